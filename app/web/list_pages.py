"""The lists of incidents: what is open now, and what was."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from aiohttp import web

from app.bridge.parts import BridgeParts
from app.history.incident_view import NOT_CLOSED
from app.web.renderer import Renderer, caller_of
from app.web.rows import IncidentRow, IncidentRows, RowFilter, select
from models.incident import State
from models.matcher import parse_matcher
from models.severity import Severity

ROWS = 50  # of a page
MATCHERS_MAX = 10
WORDS_MAX = 8
VALUE_CHARACTERS_MAX = 500


@dataclass(frozen=True, slots=True)
class Question:
    """What somebody asks a list for, and what is wrong with it."""

    wanted: RowFilter
    values: dict[str, list[str]]  # as they stand in the address, without the page
    page: int  # from 1
    problem: str

    def address(self, path: str, **changes: str) -> str:
        """The address of the same question with some values changed; an empty one is left out."""
        values = {**self.values, **{name: [value] for name, value in changes.items()}}
        pairs = [(name, text) for name, texts in values.items() for text in texts if text]
        return f"{path}?{urlencode(pairs)}" if pairs else path


def question_of(request: web.Request, person: str) -> Question:
    """What a request asks for. What is not known is left out; a wrong matcher is told."""
    query = request.query
    names = ("team", "severity", "state", "label", "q", "mine", "members")
    values = {
        name: [text[:VALUE_CHARACTERS_MAX] for text in query.getall(name, []) if text.strip()]
        for name in names
    }
    problem, matchers = "", []
    for text in values["label"][:MATCHERS_MAX]:
        try:
            matchers.append(parse_matcher(text))
        except ValueError as error:
            problem = f"label: {error}"
    wanted = RowFilter(
        teams=frozenset(values["team"]),
        severities=frozenset(values["severity"]) & frozenset(Severity),
        states=frozenset(values["state"]) & frozenset(State),
        words=tuple(" ".join(values["q"]).casefold().split()[:WORDS_MAX]),
        person=person if values["mine"] else "",
        matchers=tuple(matchers),
        folded=bool(values["members"]),
    )
    page = query.get("page", "1")
    number = int(page) if page.isascii() and page.isdecimal() and len(page) < 6 else 1
    if values["mine"] and not person:
        problem = "mine: your name is not known; give it at the top of the page"
    return Question(wanted, {k: v for k, v in values.items() if v}, max(number, 1), problem)


class ListPages:
    """Now, and the history."""

    def __init__(self, parts: BridgeParts, renderer: Renderer) -> None:
        self._parts, self._renderer = parts, renderer
        incidents = parts.board.view.incidents
        self._open = IncidentRows(incidents, NOT_CLOSED)
        self._closed = IncidentRows(incidents, (State.CLOSED,))

    async def open_rows(self) -> Sequence[IncidentRow]:
        """The incidents that are not closed, worst first."""
        return await self._open.rows()

    async def closed_rows(self) -> Sequence[IncidentRow]:
        """The closed ones that are known, the newest first."""
        rows = await self._closed.rows()
        return sorted(rows, key=lambda row: (row.opened_ms, row.incident), reverse=True)

    async def get_now(self, request: web.Request) -> web.Response:
        """What is open, worst first."""
        return await self._list_page(request, "now.html", await self.open_rows())

    async def get_history(self, request: web.Request) -> web.Response:
        """What is closed, the newest first."""
        return await self._list_page(request, "history.html", await self.closed_rows())

    async def _list_page(
        self, request: web.Request, template: str, rows: Sequence[IncidentRow]
    ) -> web.Response:
        question = question_of(request, caller_of(request).name)
        selection = await select(rows, question.wanted)
        first = (question.page - 1) * ROWS
        shown = selection.rows[first : first + ROWS]
        teams = sorted({*self._parts.policy().policy.teams, *(row.owner for row in rows)})
        values: dict[str, Any] = {
            "question": question,
            "rows": shown,
            "first": first,
            "total": len(selection.rows),
            "known": len(rows),
            "more": first + ROWS < len(selection.rows),
            "by_severity": selection.by_severity,
            "folded": selection.folded,
            "teams": teams[:200],
            "states": [state.value for state in NOT_CLOSED],
        }
        return await self._renderer.page(
            request, template, 400 if question.problem else 200, **values
        )
