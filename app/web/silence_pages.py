"""Silences: who made which, until when, and a form for a new one that shows what it would do first."""

from typing import Any

from aiohttp import web

from app.bridge.access.authorization import asker_of
from app.bridge.alertmanager.silence_answers import SilenceOutcome
from app.bridge.parts import BridgeParts
from app.web.incident_page import IncidentPages, Said
from app.web.renderer import Renderer, caller_of
from app.web.security import Form, give_name, read_form, take_name
from models.matcher import matcher_document, parse_matcher
from models.reason import BadInput, Reason
from models.wire import SilenceRequest

SHOWN_MAX = 200  # silences on the page
LISTED_MAX = 20  # alerts or incidents that an answer names
DURATIONS = ("30m", "1h", "2h", "4h", "8h", "24h")
PLACE_LABELS = ("alertname", "cluster", "namespace", "component", "service", "instance")

Document = dict[str, Any]


class SilencePages:
    """The list and the form."""

    def __init__(self, parts: BridgeParts, renderer: Renderer, incidents: IncidentPages) -> None:
        self._silences, self._renderer, self._incidents = parts.silences, renderer, incidents

    async def get(self, request: web.Request) -> web.Response:
        """The silences, those that are in force first."""
        return await self._list_page(request)

    async def get_new(self, request: web.Request) -> web.Response:
        """The form, filled in for an incident if one is named."""
        incident = request.query.get("incident", "")
        values = {"for": "2h", "matchers": request.query.get("matchers", "")[:2000]}
        if incident:
            report = await self._incidents.report(incident)
            values["matchers"] = "\n".join(suggested_matchers(report["incident"]))
        return await self._form(request, values | {"incident": incident})

    async def post(self, request: web.Request) -> web.Response:
        """Show what a silence would do, or make it."""
        form = await read_form(request)
        given = take_name(request, form)
        by = given or caller_of(request).name
        previewed = form.get("do") != "silence"
        try:
            body = silence_request(form, by)
            if previewed:
                outcome = await self._silences.preview(body, asker_of(request))
                response = await self._form(request, form, outcome=outcome)
                give_name(request, response, given)
                return response
            silence, outcome = await self._silences.keep(body, asker_of(request), past=False)
        except BadInput as refusal:
            return await self._form(request, form, 400, problem=refusal.message)
        answer = Said(200, good=True, heading="Silenced", texts=(f"Its id is {silence.id}.",))
        response = await self._list_page(request, answer, outcome)
        give_name(request, response, given)
        return response

    async def post_expire(self, request: web.Request) -> web.Response:
        """End a silence."""
        await read_form(request)
        await self._silences.expire(request.match_info["silence"])
        answer = Said(
            200, good=True, heading="Ended", texts=("What it matched is notified again.",)
        )
        return await self._list_page(request, answer)

    async def _list_page(
        self,
        request: web.Request,
        answer: Said | None = None,
        outcome: SilenceOutcome | None = None,
    ) -> web.Response:
        silences = await self._silences.listed()
        values: Document = {
            "silences": silences[:SHOWN_MAX],
            "more": max(len(silences) - SHOWN_MAX, 0),
            "said": answer,
            "outcome": _outcome(outcome),
        }
        return await self._renderer.page(request, "silences.html", **values)

    async def _form(
        self,
        request: web.Request,
        values: Form,
        status: int = 200,
        problem: str = "",
        outcome: SilenceOutcome | None = None,
    ) -> web.Response:
        filled = {name: values.get(name, "") for name in ("matchers", "for", "comment", "incident")}
        return await self._renderer.page(
            request,
            "silence_new.html",
            status,
            values=filled,
            durations=DURATIONS,
            problem=problem,
            outcome=_outcome(outcome),
        )


def suggested_matchers(snapshot: Document) -> list[str]:
    """Matchers of what an incident's alerts share: the alert and its place, not each pod of it."""
    common = snapshot.get("common_labels") or {}
    alerts = snapshot["alerts"]
    labels = common if "alertname" in common or not alerts else {**common, **alerts[0]["labels"]}
    names = [name for name in PLACE_LABELS if name in labels]
    chosen = names if len(names) > 1 else sorted(labels)[:4]
    return [f'{name}="{_quoted(labels[name])}"' for name in chosen]


def silence_request(form: Form, by: str) -> SilenceRequest:
    """The silence that a form asks for. Raises BadInput."""
    if not by:
        raise BadInput(Reason.MALFORMED, "by: is missing, must be your name")
    texts = [line.strip() for line in form.get("matchers", "").splitlines() if line.strip()]
    try:
        matchers = [matcher_document(parse_matcher(text)) for text in texts]
    except ValueError as error:
        raise BadInput(Reason.MALFORMED, f"matchers: {error}") from None
    body = {
        "matchers": matchers,
        "endsAt": form.get("for", "").strip(),
        "createdBy": by,
        "comment": form.get("comment", "").strip(),
    }
    return SilenceRequest.of(body)


def _outcome(outcome: SilenceOutcome | None) -> Document | None:
    if outcome is None:
        return None
    document = outcome.document()
    names = ("acknowledged", "not_acknowledged", "mutes", "covers")
    return document | {name: document[name][:LISTED_MAX] for name in names}


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
