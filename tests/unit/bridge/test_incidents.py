"""Incidents over HTTP, in front of a log in memory: what boards and scripts see of the topics."""

from typing import Any

import orjson
import pytest

from app.core.engine import Engine
from app.intake.normalise import from_list
from app.transport.log import NewRecord, StoredRecord
from models.effect import Effect, Position, Stream
from models.journal import encode_alert, encode_command
from tests.support.fake_log import FakeLog
from tests.support.served_bridge import Answer, Client, alert, error, with_bridge
from tests.support.shipped_policy import shipped

CLOSED, OPEN = "a", "b"  # components of partition 0's incidents


def put(log: FakeLog, partition: int, effects: list[Effect]) -> None:
    """Put effects where a worker puts them."""
    for stream in (Stream.INCIDENTS, Stream.TIMELINE):
        mine = [one for one in effects if one.stream is stream]
        log.put(
            f"tocsin.{stream}",
            partition,
            [NewRecord(one.key, one.value, (one.position.header(),)) for one in mine],
        )


def told(component: str, offset: int, at_ms: int, status: str = "firing") -> StoredRecord:
    """The journal record of an alert of a component."""
    value = encode_alert(from_list([alert(component, status=status)], at_ms)[0][0])
    return StoredRecord(offset, at_ms, component.encode(), value)


def said(command: str, incident: str, offset: int, at_ms: int) -> StoredRecord:
    """The journal record of a command."""
    return StoredRecord(
        offset, at_ms, incident.encode(), encode_command(command, incident, "ann", text="")
    )


def history(log: FakeLog) -> list[str]:
    """Three incidents.

    One closed and one open in partition 0, one acknowledged in partition 1. Their ids.
    """
    at_ms = log.at_ms
    engine = Engine(0, shipped())
    effects = engine.apply([told(CLOSED, 0, at_ms), told(OPEN, 1, at_ms + 1000)])
    first, second = (
        orjson.loads(one.value)["incident"] for one in effects if b'"kind":"Opened"' in one.value
    )
    ended, closed = told(CLOSED, 2, at_ms + 2000, "resolved"), said("close", first, 3, at_ms + 2000)
    effects += engine.apply([ended, closed])
    put(log, 0, effects)
    engine = Engine(1, shipped())
    effects = engine.apply([told("c", 0, at_ms + 500)])
    third = next(
        orjson.loads(one.value)["incident"] for one in effects if b'"kind":"Opened"' in one.value
    )
    effects += engine.apply([said("acknowledge", third, 1, at_ms + 2000)])
    put(log, 1, effects)
    return [first, second, third]


def newest(log: FakeLog, incident: str) -> Any:
    """An incident's newest snapshot in the topics."""
    kept = [
        one
        for (topic, _), records in log.topics.items()
        if topic == "tocsin.incidents"
        for one in records
    ]
    return orjson.loads([one.value or b"" for one in kept if one.key == incident.encode()][-1])


@pytest.mark.parametrize(
    ("query", "which"),
    [
        ("", [2, 1]),
        ("?state=", [2, 1]),
        ("?state=open", [1]),
        ("?state=open,acknowledged", [2, 1]),
        ("?state=closed", [0]),
        ("?state=closed,%20open", [0, 1]),
        ("?state=resolved", []),
    ],
)
def test_lists_the_newest_snapshots(query: str, which: list[int]) -> None:
    """In the order of their opening, from all partitions.

    Those that are not closed, or those in the states asked for.
    """
    log = FakeLog()
    names = history(log)
    answer = with_bridge(log, lambda client: client.ask("GET", f"/api/v1/incidents{query}"))

    assert answer == (200, [newest(log, names[number]) for number in which])


def test_refuses_a_state_that_there_is_not() -> None:
    """The states are named, so that a typing error is not taken for peace."""
    answer = with_bridge(
        FakeLog(), lambda client: client.ask("GET", "/api/v1/incidents?state=opne")
    )

    assert answer == (
        400,
        error("malformed", "state: is 'opne', must be some of open,acknowledged,resolved,closed"),
    )


def test_shows_one_with_its_timeline() -> None:
    """A closed one too, and only its own entries."""
    log = FakeLog()
    name = history(log)[0]
    status, answer = with_bridge(log, lambda client: client.ask("GET", f"/api/v1/incidents/{name}"))

    kept = [one for one in log.topics["tocsin.timeline", 0] if one.key == name.encode()]
    assert (status, answer) == (
        200,
        newest(log, name) | {"timeline": [orjson.loads(one.value or b"") for one in kept]},
    )
    assert [answer["timeline"][0]["kind"], answer["timeline"][-1]["kind"]] == ["Opened", "Closed"]


def test_says_what_it_does_not_know() -> None:
    """An id that nobody had is 404, what is none is 400."""
    names = ["INC-20260412T031502Z-00K3F", "nonsense", "INC-20260412T031502Z-02K3F"]

    async def talk(client: Client) -> list[Answer]:
        return [await client.ask("GET", f"/api/v1/incidents/{name}") for name in names]

    unknown = f"{names[0]!r} is neither open nor among the last that were closed: tocsin incidents show {names[0]}"
    assert with_bridge(FakeLog(), talk) == [
        (404, error("unknown_incident", unknown)),
        (
            400,
            error(
                "unknown_incident",
                "'nonsense' is not an incident id such as INC-20260412T031502Z-00K3F",
            ),
        ),
        (400, error("unknown_incident", f"'{names[2]}' is of partition 2, there are 2")),
    ]


def test_a_poll_reads_what_is_new() -> None:
    """Neither the list nor a timeline is read a second time."""
    log = FakeLog()
    name = history(log)[0]

    async def talk(client: Client) -> list[int]:
        found = []
        for _ in range(2):
            log.reads.clear()
            await client.ask("GET", "/api/v1/incidents")
            await client.ask("GET", f"/api/v1/incidents/{name}")
            found.append(sum(number for _, _, _, number in log.reads))
        return found

    everything = [
        records
        for (topic, place), records in log.topics.items()
        if (topic, place) != ("tocsin.timeline", 1)
    ]
    assert with_bridge(log, talk) == [sum(len(records) for records in everything), 0]


def test_an_effect_that_was_sent_twice_counts_once() -> None:
    """What is not past the newest position is not news, so an old copy does not undo a newer one."""
    log = FakeLog()
    name = history(log)[0]
    for topic in ("tocsin.incidents", "tocsin.timeline"):
        oldest = log.topics[topic, 0][0]
        log.put(topic, 0, [NewRecord(oldest.key, oldest.value, oldest.headers)])

    status, answer = with_bridge(log, lambda client: client.ask("GET", f"/api/v1/incidents/{name}"))

    assert (status, answer["state"], answer["timeline"][-1]["kind"]) == (200, "closed", "Closed")


def test_what_is_known_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """Open incidents stay known.

    Of the closed ones those that changed last; a timeline that was dropped is read anew.
    """
    monkeypatch.setattr("app.bridge.incidents.CLOSED_MAX", 2)
    monkeypatch.setattr("app.bridge.incidents.TIMELINE_BYTES_MAX", 0)
    log = FakeLog()
    for number, state in enumerate(("open", "closed", "closed", "closed")):
        name = f"INC-20260412T031502Z-00{number}"
        snapshot = orjson.dumps({"incident": name, "state": state, "opened_at": str(number)})
        entry = orjson.dumps({"kind": "Opened", "incident": name})
        for topic, value in (("tocsin.incidents", snapshot), ("tocsin.timeline", entry)):
            log.put(topic, 0, [NewRecord(name.encode(), value, (Position(number, 0).header(),))])

    async def talk(client: Client) -> tuple[list[str], Any]:
        listed = (await client.ask("GET", "/api/v1/incidents?state=open,closed"))[1]
        return [one["opened_at"] for one in listed], (
            await client.ask("GET", "/api/v1/incidents/INC-20260412T031502Z-000")
        )[1]

    name = "INC-20260412T031502Z-000"
    one = {
        "incident": name,
        "state": "open",
        "opened_at": "0",
        "timeline": [{"kind": "Opened", "incident": name}],
    }
    assert with_bridge(log, talk) == (["0", "2", "3"], one)
