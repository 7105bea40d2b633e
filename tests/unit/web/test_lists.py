"""The list of open incidents, and the history."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from app.transport.log import NewRecord
from models.effect import Stream
from models.journal import TICK
from tests.support.fake_log import FakeLog
from tests.support.hand_stopwatch import LeapingStopwatch
from tests.support.incident_documents import NOW_MS, entry, log_of, snapshot
from tests.support.served_page import Seen, Visitor, see, visiting

FIRST_LOAD_BYTES_MAX = 100_000


def incident(number: int, **changes: Any) -> dict[str, Any]:
    """An incident's snapshot; the higher the number, the later it opened."""
    name = f"INC-20260412T131000Z-00K{number}"
    opened = f"2026-04-12T13:{number // 60:02d}:{number % 60:02d}.000Z"
    named = {"incident": name, "title": f"Alert {number}", "opened_at": opened}
    return snapshot(**{**named, **changes})


def titles(seen: Seen) -> list[str]:
    """The titles of the rows, in their order."""
    return re.findall(r'class="title"[^>]*><bdi>([^<]*)', seen.text)


def now_of(*snapshots: dict[str, Any], path: str = "/") -> Seen:
    """The list of some incidents."""
    return see(log_of({Stream.INCIDENTS: snapshots}), path)


def test_worst_first() -> None:
    """Severity decides, then whether somebody has it, then age; suppressed and resolved come last."""
    seen = now_of(
        incident(1, severity="P2"),
        incident(2, severity="P0", state="acknowledged", acknowledged_by="ann"),
        incident(3, severity="P0"),
        incident(4, severity="P0", suppressed_by=["silence by ann"]),
        incident(5, severity="P0"),
        incident(6, severity="P0", state="resolved", resolved_at="2026-04-12T13:19:00.000Z"),
    )

    assert titles(seen) == [f"Alert {number}" for number in (3, 5, 2, 1, 4, 6)]
    assert re.findall(r"<h2[^>]*>([^<]*)", seen.text) == [
        "Active",
        "Suppressed",
        "Resolved, not closed yet",
    ]


def test_a_row() -> None:
    """A row has severity, title, place, state, owner, who has it, alerts, the next clock and the age."""
    seen = now_of(
        snapshot(
            scope="namespace shop",
            state="acknowledged",
            acknowledged_by="ann",
            parents=["INC-20260412T131000Z-00K3A"],
        )
    )

    row = seen.words[seen.words.index("Active") :]
    assert row.startswith(
        "Active P0 OllamaServiceDown on ollama namespace shop part of INC-20260412T131000Z-00K3A"
        " acknowledged ai · ann 1 of 1 firing acknowledge missed 8m ago 10m"
    )


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("team=ai", [1]),
        ("severity=P1", [2]),
        ("severity=P0&severity=P1", [1, 2]),
        ("state=acknowledged", [2]),
        ("label=namespace%3D%22shop%22", [3]),
        ("q=00k3", [3]),
        ("q=ANN", [2]),
        ("team=&severity=&state=&label=&q=", [1, 2, 3]),
        ("severity=P7", [1, 2, 3]),
    ],
)
def test_filters(query: str, shown: list[int]) -> None:
    """What a form asks for is shown, and what it leaves empty asks for nothing."""
    seen = now_of(
        incident(1),
        incident(2, owner="data", severity="P1", state="acknowledged", acknowledged_by="ann"),
        incident(3, owner="data", severity="P2", common_labels={"namespace": "shop"}),
        path=f"/?{query}",
    )

    assert titles(seen) == [f"Alert {number}" for number in shown]


def test_a_wrong_label_is_told() -> None:
    """A matcher that is none is refused with what is expected, and the list stays."""
    seen = now_of(incident(1), path="/?label=%3D%3D")

    assert (seen.status, titles(seen)) == (400, ["Alert 1"])
    assert "must be a matcher such as" in seen.words


def test_what_is_part_of_another_is_folded() -> None:
    """A member of which nobody was told alone is counted, and shown when it is asked for."""
    member = incident(
        2, parents=["INC-20260412T131000Z-00K1"], suppressed_by=["x"], notified_at=None
    )

    folded = now_of(incident(1), member)
    unfolded = now_of(incident(1), member, path="/?members=yes")

    assert (titles(folded), titles(unfolded)) == (["Alert 1"], ["Alert 1", "Alert 2"])
    assert "Show 1 more that is part of these." in folded.words


def test_thousands_of_incidents() -> None:
    """The first load has 50 rows and is below 100 kB, with the longest titles; the rest is paged."""
    many = [incident(number % 3600, title="x" * 10_000) for number in range(3600)]

    first = now_of(*many)
    second = now_of(*many, path="/?page=2")

    assert (len(titles(first)), len(titles(second))) == (50, 50)
    assert len(first.text.encode()) < FIRST_LOAD_BYTES_MAX
    assert "1 to 50 of 3600" in first.words
    assert "51 to 100 of 3600" in second.words


def test_nothing_is_open() -> None:
    """An empty list says that nothing is open."""
    assert "No incident is open." in now_of().words


def test_history() -> None:
    """The closed ones are in the history, the newest first, with how long they lasted and why."""
    closed = {"state": "closed", "resolved_at": "2026-04-12T13:30:00.000Z"}

    seen = now_of(
        incident(0),
        incident(1, **closed, root_cause="a driver update"),
        incident(2, **closed),
        path="/history",
    )

    assert titles(seen) == ["Alert 2", "Alert 1"]
    assert "Cause: a driver update" in seen.words
    assert "lasted 29m" in seen.words


def test_no_worker() -> None:
    """A view behind which no worker is says so, and for how long."""
    log = log_of({Stream.INCIDENTS: [snapshot()], Stream.TIMELINE: [entry("Opened", "13:10:00")]})
    assert log.now_ms() == NOW_MS

    async def look_twice(visitor: Visitor) -> Seen:
        await visitor.get("/readyz")
        return await visitor.get("/")

    seen = asyncio.run(_visited(log, look_twice))

    assert 'class="alive wrong"' in seen.text
    assert re.search(r"No worker has reported for \d+[ms]\S* in 2 of 2 partitions\.", seen.words)


async def _visited(log: FakeLog, look: Callable[[Visitor], Awaitable[Seen]]) -> Seen:
    async with visiting(log, stopwatch=LeapingStopwatch()) as visitor:
        return await look(visitor)


def test_a_stale_view() -> None:
    """A view says how far it is behind; a fresh one is well."""
    log = log_of({Stream.INCIDENTS: [snapshot()]})
    for partition in range(2):
        log.put("tocsin.journal", partition, [NewRecord(None, TICK)])

    fresh = see(log, "/")
    log.at_ms += 60_000
    stale = see(log, "/")

    assert "Tocsin is well. This view is 0s old." in fresh.words
    assert "The workers are 1m behind." in stale.words
