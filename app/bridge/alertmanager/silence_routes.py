"""The resources of silences, so that amtool and the procedures' curl can be pointed at Tocsin."""

import uuid
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from aiohttp import web

from app.bridge.access.authorization import Asker, asker_of
from app.bridge.access.request_bodies import CONTENT_TYPES, FORM, Bodies
from app.bridge.alertmanager.firing_alerts import flag_of
from app.bridge.alertmanager.silence_answers import SilenceAnswers, SilenceOutcome
from app.bridge.alertmanager.silences import (
    LIVE_MAX,
    STATES,
    Silences,
    as_v2,
    can_update_in_place,
    check_sender,
    end_silence,
    filters_of,
    in_listing_order,
    matches_filters,
    silence_of,
)
from app.bridge.connections.refusals import count_refusal
from app.bridge.connections.responses import RequestDeclined, json_response
from app.bridge.writer import answered_in_time
from app.core.rules.compiled_policy import CompiledPolicy
from app.transport.log import Log
from models.journal import encode_silence
from models.matcher import Matcher
from models.reason import BadInput, Reason
from models.silence import Silence
from models.text.duration import format_ms
from models.wire import SilenceRequest

UNKNOWN_SILENCE = "unknown_silence"
SILENCE_IS_OVER = "endsAt is past: nothing is muted"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class SilenceRoutes:
    """Versions 1 and 2 of Alertmanager's API."""

    def __init__(
        self, log: Log, topic: str, answers: SilenceAnswers, policy: CompiledPolicy, bodies: Bodies
    ) -> None:
        self._log, self._answers, self._policy = log, answers, policy.policy
        self._bodies = bodies
        self._silences = Silences(log, topic)
        self._under_way = 0  # silences that the journal has not yet acknowledged

    def use(self, policy: CompiledPolicy) -> None:
        """Take another policy's bounds from now on."""
        self._policy = policy.policy

    def routes(self) -> list[web.RouteDef]:
        """What there is."""
        return [
            web.get("/api/v2/silences", in_v2(self._get_v2)),
            web.post("/api/v2/silences", in_v2(self._post_v2)),
            web.post("/api/v1/silences/preview", self._preview),
            web.get("/api/v2/silence/{id}", in_v2(self._get_one)),
            web.delete("/api/v2/silence/{id}", in_v2(self._delete_silence)),
            web.get("/api/v1/silences", self._get_v1),
            web.post("/api/v1/silences", self._post_v1),
            web.delete("/api/v1/silence/{id}", self._delete_silence),
        ]

    async def _get_v2(self, request: web.Request) -> web.Response:
        return json_response(await self._listed(request))

    async def _get_v1(self, request: web.Request) -> web.Response:
        return json_response({"status": "success", "data": await self._listed(request)})

    async def _listed(self, request: web.Request) -> list[dict[str, Any]]:
        query = values_of(request)
        states = [state for state in STATES if flag_of(query, state)]
        creators = query.get("creator", ())
        silences = await self.listed(filters_of(query.get("filter", [])))
        return [
            silence
            for silence in silences
            if silence["status"]["state"] in states
            and silence["createdBy"] in (creators or [silence["createdBy"]])
        ]

    async def listed(self, filters: frozenset[Matcher] = frozenset()) -> list[dict[str, Any]]:
        """The silences that have these matchers, as Alertmanager lists them."""
        now_ms = self._log.now_ms()
        known = in_listing_order(await self._silences.all(), now_ms)
        return [as_v2(kept, now_ms) for kept in known if matches_filters(kept.silence, filters)]

    async def _get_one(self, request: web.Request) -> web.Response:
        name = request.match_info["id"]
        kept = (await self._silences.all()).get(name)
        if kept is None:
            raise _unknown_silence(name)
        return json_response(as_v2(kept, self._log.now_ms()))

    async def _post_v2(self, request: web.Request) -> web.Response:
        silence, outcome = await self._post_silence(request, past=False)
        return json_response({"silenceID": silence.id, **outcome.document()})

    async def _post_v1(self, request: web.Request) -> web.Response:
        silence, outcome = await self._post_silence(request, past=True)
        data = {"silenceId": silence.id, **outcome.document()}
        answer: dict[str, Any] = {"status": "success", "data": data}
        if silence.ends_ms <= self._log.now_ms():
            answer["warnings"] = [SILENCE_IS_OVER]
        return json_response(answer)

    async def _preview(self, request: web.Request) -> web.Response:
        """What a silence would acknowledge and mute. Nothing changes."""
        body = SilenceRequest.of(await self._bodies.read_json(request))
        outcome = await self.preview(body, asker_of(request))
        return json_response({"status": "success", "data": outcome.document()})

    async def preview(self, body: SilenceRequest, asker: Asker) -> SilenceOutcome:
        """What a silence would acknowledge and mute. Nothing changes. Raises BadInput."""
        silence = silence_of(body, None, self._log.now_ms(), past=True)
        silence = replace(silence, id=str(uuid.uuid4()), by=asker.signature_of(silence.by))
        async with answered_in_time():
            _, outcome = await self._answers.send(
                silence.id, [encode_silence(silence, preview=True)]
            )
        return outcome

    async def _post_silence(
        self, request: web.Request, *, past: bool
    ) -> tuple[Silence, SilenceOutcome]:
        """The silence that was made or changed. Raises BadInput, RequestDeclined and LogUnavailable."""
        if request.content_type == FORM:
            check_sender(request)
        document = await self._bodies.read_json(request, (*CONTENT_TYPES, FORM))
        return await self.keep(SilenceRequest.of(document), asker_of(request), past=past)

    async def keep(
        self, body: SilenceRequest, asker: Asker, *, past: bool
    ) -> tuple[Silence, SilenceOutcome]:
        """The silence that was made or changed. Raises BadInput, RequestDeclined and LogUnavailable."""
        async with answered_in_time():
            return await self._keep(body, asker, past=past)

    async def _keep(
        self, body: SilenceRequest, asker: Asker, *, past: bool
    ) -> tuple[Silence, SilenceOutcome]:
        kept = (await self._silences.all()).get(body.id) if body.id else None
        if body.id and kept is None:
            raise _unknown_silence(body.id)
        known, now_ms = kept.silence if kept else None, self._log.now_ms()
        silence = silence_of(body, known, now_ms, past=past)
        silence = replace(silence, by=asker.signature_of(silence.by))
        if known is not None and can_update_in_place(known, silence, now_ms):
            return silence, await self._append_silences([silence])
        # As in Alertmanager: another silence, which begins now at the earliest, in the place of the
        # old one.
        starts_ms = (
            silence.starts_ms if silence.ends_ms <= now_ms else max(silence.starts_ms, now_ms)
        )
        silence = replace(silence, id=str(uuid.uuid4()), starts_ms=starts_ms)
        replaced = (
            [end_silence(known, now_ms)] if known is not None and known.ends_ms > now_ms else []
        )
        await self._check_room(len(replaced), now_ms)
        # The new one first: what both match is quiet all the time, and nobody is told that it is
        # quiet no more, and again.
        return silence, await self._append_silences([silence, *replaced])

    async def _delete_silence(self, request: web.Request) -> web.Response:
        await self.expire(request.match_info["id"])
        return json_response({"status": "success"})

    async def expire(self, name: str) -> None:
        """End a silence. Raises RequestDeclined when there is none of that id, and LogUnavailable."""
        async with answered_in_time():
            kept = (await self._silences.all()).get(name)
            if kept is None:
                raise _unknown_silence(name)
            now_ms = self._log.now_ms()
            if kept.silence.ends_ms > now_ms:
                await self._append_silences([end_silence(kept.silence, now_ms)])

    async def _check_room(self, replaced: int, now_ms: int) -> None:
        """Raise BadInput when there are as many as there may be, of those that have not ended or of all that engines know."""
        known, forget_ms = (
            (await self._silences.all()).values(),
            self._policy.incidents.retain_resolved,
        )
        live = sum(kept.silence.ends_ms > now_ms for kept in known)
        remembered = sum(
            max(kept.silence.ends_ms, kept.updated_ms) + forget_ms > now_ms for kept in known
        )
        if live + self._under_way - replaced >= LIVE_MAX:
            message = f"there are {live} silences that have not ended, must be at most {LIVE_MAX}: expire some"
            raise BadInput(Reason.BOUND_REACHED, message)
        limit = self._policy.bounds.silences
        if remembered + self._under_way >= limit:
            message = f"there are {remembered} silences, with those that ended less than {format_ms(forget_ms)} ago"
            raise BadInput(
                Reason.BOUND_REACHED, f"{message}, must be at most {limit} (bounds.silences): wait"
            )

    async def _append_silences(self, silences: list[Silence]) -> SilenceOutcome:
        """Tell every partition, and return what came of the first.

        Raises LogUnavailable; some may have heard of it then, so what is sent again is another.
        """
        self._under_way += len(silences)
        try:
            offset, outcome = await self._answers.send(
                silences[0].id, [encode_silence(item) for item in silences]
            )
        finally:
            self._under_way -= len(silences)
        for number, silence in enumerate(silences):
            self._silences.note(silence, offset + number)
        return outcome


def in_v2(handler: Handler) -> Handler:
    """The handler with its refusals as amtool reads them: a text, not an object."""

    async def answer(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except BadInput as refusal:
            count_refusal(refusal.reason, refusal.message)
            return json_response(refusal.message, 400)
        except RequestDeclined as refusal:
            if refusal.reason != UNKNOWN_SILENCE:
                raise
            count_refusal(UNKNOWN_SILENCE, refusal.message)
            return json_response(refusal.message, refusal.status)

    return answer


def values_of(request: web.Request) -> dict[str, list[str]]:
    """The values of each parameter of a request."""
    return {name: request.query.getall(name) for name in request.query}


def _unknown_silence(name: str) -> RequestDeclined:
    return RequestDeclined(404, UNKNOWN_SILENCE, f"there is no silence {name!r:.80}")
