"""The resources of silences, so that amtool and the procedures' curl can be pointed at Tocsin."""

from dataclasses import replace
from typing import Any

from aiohttp import web

from app.bridge.answers import CONTENT_TYPES, FORM, as_json, error_json, read_json
from app.bridge.silences import Silences, as_v2, check_sender, fits, silence_of
from app.bridge.writer import JournalWriter
from app.transport.log import Log, NewRecord
from models.journal import encode_silence
from models.silence import Silence


class SilenceRoutes:
    """Versions 1 and 2 of Alertmanager's API."""

    def __init__(self, log: Log, topic: str, writer: JournalWriter, body_seconds_max: float) -> None:
        self._log, self._writer = log, writer
        self._body_seconds_max = body_seconds_max
        self._silences = Silences(log, topic)

    def routes(self) -> list[web.RouteDef]:
        """What there is."""
        return [
            web.get("/api/v2/silences", self._get_v2),
            web.post("/api/v2/silences", self._post_v2),
            web.get("/api/v2/silence/{id}", self._get_one),
            web.delete("/api/v2/silence/{id}", self._delete),
            web.get("/api/v1/silences", self._get_v1),
            web.post("/api/v1/silences", self._post_v1),
            web.delete("/api/v1/silence/{id}", self._delete),
        ]

    async def _get_v2(self, request: web.Request) -> web.Response:
        filters = request.query.getall("filter", [])
        return as_json([one for silence, one in await self._listed() if fits(silence, filters)])

    async def _get_v1(self, _: web.Request) -> web.Response:
        return as_json({"status": "success", "data": [one for _, one in await self._listed()]})

    async def _listed(self) -> list[tuple[Silence, dict[str, Any]]]:
        now_ms = self._log.now_ms()
        return [(silence, as_v2(silence, updated_at, now_ms)) for silence, updated_at in await self._silences.all()]

    async def _get_one(self, request: web.Request) -> web.Response:
        for silence, one in await self._listed():
            if silence.id == request.match_info["id"]:
                return as_json(one)
        return _unknown(request.match_info["id"])

    async def _post_v2(self, request: web.Request) -> web.Response:
        silence = silence_of(await self._read(request), self._log.now_ms(), past=False)
        known = await self._silences.get(silence.id)
        if known is None and await self._names_unknown(request):
            return _unknown(silence.id)
        if known is not None and (known.matchers != silence.matchers or known.ends_ms <= self._log.now_ms()):
            # As in Alertmanager: another silence, in the place of the old one.
            await self._end(known)
            silence = silence_of(await self._without_id(request), self._log.now_ms(), past=False)
        await self._keep(silence)
        return as_json({"silenceID": silence.id})

    async def _post_v1(self, request: web.Request) -> web.Response:
        silence = silence_of(await self._without_id(request), self._log.now_ms(), past=True)
        await self._keep(silence)
        answer: dict[str, Any] = {"status": "success", "data": {"silenceId": silence.id}}
        if silence.ends_ms <= self._log.now_ms():
            answer["warnings"] = ["endsAt is past: open incidents are acknowledged, and nothing is muted"]
        return as_json(answer)

    async def _delete(self, request: web.Request) -> web.Response:
        silence = await self._silences.get(request.match_info["id"])
        if silence is None:
            return _unknown(request.match_info["id"])
        await self._end(silence)
        return as_json({"status": "success"})

    async def _read(self, request: web.Request) -> Any:
        if request.content_type == FORM:
            check_sender(request)
        return await read_json(request, self._body_seconds_max, (*CONTENT_TYPES, FORM))

    async def _without_id(self, request: web.Request) -> Any:
        document = await self._read(request)  # aiohttp keeps a body that was read
        return {**document, "id": ""} if isinstance(document, dict) else document

    async def _names_unknown(self, request: web.Request) -> bool:
        document = await self._read(request)
        return bool(document.get("id"))

    async def _keep(self, silence: Silence) -> None:
        await self._silences.check_room()
        await self._append(silence)

    async def _end(self, silence: Silence) -> None:
        now_ms = self._log.now_ms()
        if silence.ends_ms > now_ms:
            await self._append(replace(silence, starts_ms=min(silence.starts_ms, now_ms - 1), ends_ms=now_ms))

    async def _append(self, silence: Silence) -> None:
        await self._writer.broadcast([NewRecord(None, encode_silence(silence))])
        self._silences.note(silence)


def _unknown(name: str) -> web.Response:
    return error_json(404, "unknown_silence", f"there is no silence {name!r:.80}")
