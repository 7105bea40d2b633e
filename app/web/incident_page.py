"""The page of one incident, and what belongs to it: its report and its explanation."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import orjson
from aiohttp import web
from markupsafe import Markup

from app.bridge.board.board import Absent
from app.bridge.connections.responses import RequestDeclined
from app.bridge.parts import BridgeParts
from app.render.timeline_svg import NARROW, WIDE, fragment
from app.report.timeline import TimelinePicture, draw_picture
from app.web.entries import runs_of
from app.web.forms import FilledForm, forms_for
from app.web.list_pages import ListPages
from app.web.people import next_call, occasions_of
from app.web.renderer import Renderer, guarded
from app.web.rows import row_of, similar

RUNS = 40  # of the timeline on one page
MARKS_MAX = 150  # of the picture: the newest
LANES_WIDE, LANES_NARROW = 12, 6  # of the picture, on a desk and on a phone
SIMILAR_MS = 30 * 86_400_000
SIMILAR_SHOWN = 5

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Said:
    """What came of what somebody did."""

    status: int
    good: bool
    heading: str
    texts: tuple[str, ...]


class IncidentPages:
    """All of them."""

    def __init__(self, parts: BridgeParts, renderer: Renderer, lists: ListPages) -> None:
        self._board, self._policy = parts.board, parts.policy
        self._renderer, self._lists = renderer, lists

    async def get(self, request: web.Request) -> web.Response:
        """The page of one incident."""
        return await self.page(request, request.match_info["incident"])

    async def page(
        self,
        request: web.Request,
        incident: str,
        answer: Said | None = None,
        filled: FilledForm | None = None,
    ) -> web.Response:
        """The page, perhaps with what came of a form, or with a form that has to be corrected."""
        report = await self.report(incident)
        snapshot, timeline = report["incident"], report["timeline"]
        live = await self._renderer.liveness.now()
        drawn = draw_picture(snapshot, timeline, report["notifications"], live.now_ms)
        # What is older is in the timeline.
        drawn = replace(drawn, marks=drawn.marks[-MARKS_MAX:])
        occasions, older = occasions_of(report["notifications"])
        runs, first = runs_of(timeline), _first_run(request.query)
        policy = self._policy()
        forms = _with_filled(forms_for(snapshot, policy, report["tasks"]), filled)
        row = row_of(orjson.dumps(snapshot))
        values = {
            "incident": snapshot,
            "row": row,
            "report": report,
            "said": answer,
            "forms": forms,
            "main": next((form for form in forms if row.state in form.form.main), None),
            # The drawing escapes each text that it has.
            "wide": Markup(fragment(shortened(drawn, LANES_WIDE), WIDE)),  # noqa: S704
            "narrow": Markup(fragment(shortened(drawn, LANES_NARROW), NARROW)),  # noqa: S704
            "occasions": occasions,
            "occasions_older": older,
            "next_call": next_call(snapshot, timeline, policy),
            "runs": runs[first : first + RUNS],
            "runs_first": first,
            "runs_step": RUNS,
            "runs_total": len(runs),
            "differing": differing_labels(snapshot),
            **await self._similar(snapshot, live.now_ms),
        }
        status = answer.status if answer else 200
        return await self._renderer.page(request, "incident.html", status, **values)

    async def get_act(self, request: web.Request) -> web.Response:
        """The page, with one form open."""
        return await self.get(request)

    async def get_report(self, request: web.Request) -> web.Response:
        """The report for who was not there, on one screen."""
        incident = request.match_info["incident"]
        report = await self.report(incident)
        return await self._renderer.page(
            request, "report.html", incident=report["incident"], report=report
        )

    async def get_markdown(self, request: web.Request) -> web.Response:
        """The whole report, as a file in Markdown."""
        incident = request.match_info["incident"]
        try:
            answer = await self._board.report({"format": ["markdown"]}, incident)
        except Absent as error:
            raise RequestDeclined(404, error.reason, str(error)) from None
        assert isinstance(answer.body, str)
        response = web.Response(text=answer.body, content_type="text/markdown")
        # The id was found, so it has letters, digits and dashes only.
        response.headers["Content-Disposition"] = f'attachment; filename="{incident}.md"'
        return guarded(response)

    async def get_explanation(self, request: web.Request) -> web.Response:
        """Why the incident is as it is. It may take half a minute."""
        incident = request.match_info["incident"]
        try:
            answer = await self._board.explain_incident({"format": ["text"]}, incident)
        except Absent as error:
            raise RequestDeclined(404, error.reason, str(error)) from None
        return await self._renderer.page(
            request, "explain.html", incident_id=incident, text=answer.body
        )

    async def report(self, incident: str) -> Document:
        """The report of an incident, as the board answers it. Raises Declined."""
        try:
            answer = await self._board.report({}, incident)
        except Absent as error:
            raise RequestDeclined(404, error.reason, str(error)) from None
        assert isinstance(answer.body, dict)
        return answer.body

    async def _similar(self, snapshot: Document, now_ms: int) -> Document:
        rows = similar(await self._lists.closed_rows(), snapshot, now_ms - SIMILAR_MS)
        cause = next((row.cause for row in rows if row.cause), "")
        return {"similar": rows[:SIMILAR_SHOWN], "similar_total": len(rows), "last_cause": cause}


def differing_labels(snapshot: Document) -> list[Document]:
    """The alerts that a snapshot shows, each with the labels that not all of them share."""
    common = snapshot.get("common_labels") or {}
    return [
        {
            **alert,
            "name": alert["labels"].get("alertname", alert["fingerprint"]),
            "own": {
                name: value
                for name, value in alert["labels"].items()
                if common.get(name) != value and name != "alertname"
            },
        }
        for alert in snapshot["alerts"]
    ]


def _with_filled(forms: list[FilledForm], filled: FilledForm | None) -> list[FilledForm]:
    """The forms, with one that has to be corrected in its place."""
    if filled is None:
        return forms
    commands = [form.form.command for form in forms]
    if filled.form.command not in commands:
        return [*forms, filled]
    return [filled if form.form is filled.form else form for form in forms]


def shortened(drawn: TimelinePicture, lanes_max: int) -> TimelinePicture:
    """The picture with so many lanes at the most; it says how many more there are."""
    more = max(len(drawn.lanes) - lanes_max, 0)
    return replace(drawn, lanes=drawn.lanes[:lanes_max], more=drawn.more + more)


def _first_run(query: Mapping[str, str]) -> int:
    text = query.get("from", "0")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 7 else 0
