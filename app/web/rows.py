"""The incidents of a list: a row each, made once for each snapshot, and filtered and ordered for each request."""

import asyncio
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import orjson

from app.bridge.board.incident_filter import label_sets
from app.history.incident_view import IncidentView
from app.web.words import ClockView, clock_views
from models.incident import State
from models.matcher import Matcher, test_of
from models.severity import Severity
from models.text.instant import milliseconds

ROWS_AT_ONCE = 200  # made before the process does something else
TEXT_CHARACTERS_MAX = 2000  # of a field that is searched

Document = dict[str, Any]

_UNNAMED = re.compile(r"/[0-9a-f]{16}$")  # an alert without a component is its own one


class Group(IntEnum):
    """What comes first in the list."""

    ACTIVE = 0
    SUPPRESSED = 1
    RESOLVED = 2
    CLOSED = 3

    @property
    def heading(self) -> str:
        """What stands above it."""
        return {
            Group.ACTIVE: "Active",
            Group.SUPPRESSED: "Suppressed",
            Group.RESOLVED: "Resolved, not closed yet",
            Group.CLOSED: "Closed",
        }[self]


@dataclass(frozen=True, slots=True)
class IncidentRow:
    """What a list shows of an incident."""

    incident: str
    state: State
    severity: str
    title: str
    component: str
    place: str  # what the title does not say; may be empty
    owner: str
    person: str  # who has it; empty: nobody
    opened_ms: int
    ended_ms: int | None
    alerts_firing: int
    alerts_total: int
    members: int
    parents: tuple[str, ...]
    suppressed_by: tuple[str, ...]
    clocks: tuple[ClockView, ...]
    cause: str
    folded: bool  # part of another incident, and nobody was notified of it alone
    people: frozenset[str]
    text: str  # what is searched, in lower case
    value: bytes

    @property
    def group(self) -> Group:
        """Where it stands in the list."""
        if self.state is State.CLOSED:
            return Group.CLOSED
        if self.state is State.RESOLVED:
            return Group.RESOLVED
        return Group.SUPPRESSED if self.suppressed_by else Group.ACTIVE

    @property
    def shown_state(self) -> str:
        """Its state; nobody is asked to acknowledge what is suppressed."""
        waits = self.state is State.OPEN and self.suppressed_by
        return "suppressed" if waits else self.state.value

    def order(self) -> tuple[int, str, bool, int, str]:
        """Worst first; what nobody has taken before what somebody has; the oldest first."""
        taken = self.state is not State.OPEN
        return int(self.group), self.severity, taken, self.opened_ms, self.incident

    @property
    def next_clock(self) -> ClockView | None:
        """The clock to look at: the first that is not met."""
        waiting = [clock for clock in self.clocks if clock.tone.value != "met"]
        return waiting[0] if waiting and self.group is Group.ACTIVE else None


def row_of(value: bytes) -> IncidentRow:
    """The row of a snapshot, as it stands in `tocsin.incidents`."""
    document: Document = orjson.loads(value)
    state = State(document["state"])
    suppressed, parents = tuple(document["suppressed_by"]), tuple(document["parents"])
    quiet = bool(suppressed) or state in (State.RESOLVED, State.CLOSED)
    ended = document["resolved_at"] or document["closed_at"]
    people = (document["assignee"], document["acknowledged_by"])
    searched = (
        document["incident"],
        document["title"],
        document.get("scope", ""),
        document["component"],
        document["owner"],
        *people,
    )
    return IncidentRow(
        incident=document["incident"],
        state=state,
        severity=document["severity"],
        title=document["title"],
        component=document["component"],
        place=_place(document),
        owner=document["owner"],
        person=document["assignee"] or document["acknowledged_by"],
        opened_ms=milliseconds(document["opened_at"]),
        ended_ms=milliseconds(ended) if ended else None,
        alerts_firing=document["alerts_firing"],
        alerts_total=document["alerts_total"],
        members=len(document["members"]),
        parents=parents,
        suppressed_by=suppressed,
        clocks=clock_views(document["clocks"]),
        cause=document["root_cause"],
        folded=bool(parents and quiet and not document["notified_at"]),
        people=frozenset(name.partition(" (via ")[0].casefold() for name in people if name),
        text="\n".join(text[:TEXT_CHARACTERS_MAX] for text in searched).casefold(),
        value=value,
    )


def _place(document: Document) -> str:
    """Where it is: scope and component, unless the title has it, or the component is none's name."""
    title, component = document["title"], document["component"]
    named = not _UNNAMED.search(component) and component not in title
    parts = [part for part in (document.get("scope", ""),) if part and part not in title]
    return " · ".join([*parts, component] if named else parts)


class IncidentRows:
    """The rows of some states. A row is made again only when its snapshot is another."""

    def __init__(self, view: IncidentView, states: tuple[State, ...]) -> None:
        self._view, self._states = view, states
        self._rows: dict[str, IncidentRow] = {}
        self._in_order: Sequence[IncidentRow] = ()
        self._number_read = -1

    async def rows(self) -> Sequence[IncidentRow]:
        """All rows, in the order of the list."""
        number_read = await self._view.number_read()
        if number_read == self._number_read:
            return self._in_order
        snapshots = await self._view.snapshots(self._states)
        rows: dict[str, IncidentRow] = {}
        made = 0
        for snapshot in snapshots:
            row = self._rows.get(snapshot.incident)
            if row is None or row.value is not snapshot.value:
                row, made = row_of(snapshot.value), made + 1
                if made % ROWS_AT_ONCE == 0:
                    await asyncio.sleep(0)
            rows[snapshot.incident] = row
        self._rows, self._number_read = rows, number_read
        self._in_order = sorted(rows.values(), key=IncidentRow.order)
        return self._in_order


@dataclass(frozen=True, slots=True)
class RowFilter:
    """Which rows are wanted. What is empty wants all."""

    teams: frozenset[str] = frozenset()
    severities: frozenset[str] = frozenset()
    states: frozenset[str] = frozenset()
    words: tuple[str, ...] = ()
    person: str = ""
    matchers: tuple[Matcher, ...] = ()
    folded: bool = False  # also what is part of another

    def takes(self, row: IncidentRow) -> bool:
        """Whether a row is wanted, whatever its severity; its alerts are asked by `labelled`."""
        return (
            (self.folded or not row.folded)
            and (not self.teams or row.owner in self.teams)
            and (not self.states or row.state in self.states)
            and (not self.person or self.person.casefold() in row.people)
            and all(word in row.text for word in self.words)
        )

    async def labelled(self, rows: Iterable[IncidentRow]) -> list[IncidentRow]:
        """The rows of which one alert satisfies all matchers."""
        if not self.matchers:
            return list(rows)
        test, kept = test_of([self.matchers]), []
        for number, row in enumerate(rows, start=1):
            if any(test(labels) for labels in label_sets(orjson.loads(row.value))):
                kept.append(row)
            if number % ROWS_AT_ONCE == 0:
                await asyncio.sleep(0)
        return kept


@dataclass(frozen=True, slots=True)
class Selection:
    """The rows that a filter takes, and what it leaves to choose from."""

    rows: list[IncidentRow]
    by_severity: dict[str, int]  # whatever the severity asked for
    folded: int  # rows that are part of others, and not shown


async def select(rows: Sequence[IncidentRow], wanted: RowFilter) -> Selection:
    """The wanted rows, in their order."""
    taken = [row for row in rows if wanted.takes(row)]
    severities = Counter(row.severity for row in taken if row.group is Group.ACTIVE)
    if wanted.severities:
        taken = [row for row in taken if row.severity in wanted.severities]
    taken = await wanted.labelled(taken)
    folded = 0 if wanted.folded else sum(row.folded for row in rows)
    by_severity = {severity.value: severities[severity.value] for severity in Severity}
    return Selection(taken, by_severity, folded)


def similar(rows: Iterable[IncidentRow], snapshot: Document, since_ms: int) -> list[IncidentRow]:
    """Closed incidents with the same title since then, the newest first."""
    same = [
        row
        for row in rows
        if row.title == snapshot["title"]
        and row.component == snapshot["component"]
        and row.opened_ms >= since_ms
        and row.incident != snapshot["incident"]
    ]
    return sorted(same, key=lambda row: row.opened_ms, reverse=True)
