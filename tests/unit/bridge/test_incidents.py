"""Incidents over HTTP, in front of a log in memory: what boards and scripts see of the topics."""

import asyncio
from typing import Any

import orjson
import pytest

from app.bridge.board.board import RESOURCES
from app.core.engine import Engine
from app.history.incident_alerts import IncidentAlerts
from app.history.incident_view import IncidentView
from app.intake.normalise import from_list
from app.transport.log import NewRecord, StoredRecord
from models.effect import Effect, Position, Stream
from models.incident import State
from models.journal import encode_alert, encode_command
from models.text.instant import format_instant
from tests.support.fake_log import FakeLog
from tests.support.served_bridge import Answer, Client, alert, error, with_bridge
from tests.support.shipped_policy import shipped

PARAMETERS = "state, severity, owner, component, matcher, limit, cursor"
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


def times(log: FakeLog) -> dict[str, str]:
    """What each answer has besides: the time of now, and as of when it is complete."""
    return {"now": format_instant(log.at_ms), "as_of": format_instant(log.at_ms)}


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
        ("?owner=nobody", []),
        ("?component=b", [1]),
        ("?component=b&component=c", [2, 1]),
        ("?severity=P0,P1,P2,P3", [2, 1]),
        ("?matcher=alertname%3D%22none%22", []),
        ("?matcher=alertname%3D~%22.%2B%22&component=c", [2]),
    ],
)
def test_lists_the_newest_snapshots(query: str, which: list[int]) -> None:
    """In the order of their opening, from all partitions.

    Those that are not closed, or those in the states asked for.
    """
    log = FakeLog()
    names = history(log)
    answer = with_bridge(log, lambda client: client.ask("GET", f"/api/v1/incidents{query}"))

    more = {"part_of": "", "fingerprints": []}  # the log has no alerts
    items = [newest(log, names[number]) | more for number in which]
    assert answer == (200, {"items": items, "next": None, **times(log)})


def test_the_first_incident_names_the_alerts_of_all_that_are_part_of_it() -> None:
    """A member, and what follows after its end, say of which incident they are part."""
    log = FakeLog()
    for number, (name, parents) in enumerate((("A", ""), ("B", "A"), ("C", "B"), ("D", ""))):
        shown: dict[str, Any] = {"incident": name, "opened_at": f"2026-04-12T03:15:0{number}.000Z"}
        shown |= {"state": "open", "parents": [parents] if parents else [], "alerts": []}
        alert_of_it = orjson.dumps({"incident": name, "state": "active"})
        header = (Position(number, 0).header(),)
        log.put("tocsin.incidents", 0, [NewRecord(name.encode(), orjson.dumps(shown), header)])
        log.put("tocsin.alerts", 0, [NewRecord(f"of {name}".encode(), alert_of_it, header)])

    _, answer = with_bridge(log, lambda client: client.ask("GET", "/api/v1/incidents"))

    named = [(item["incident"], item["part_of"], item["fingerprints"]) for item in answer["items"]]
    assert named == [
        ("A", "", ["of A", "of B", "of C"]),
        ("B", "A", ["of B"]),
        ("C", "A", ["of C"]),
        ("D", "", ["of D"]),
    ]


def test_the_alerts_of_the_incident_told_of_longest_ago_go_first() -> None:
    """All fingerprints that are known are bounded together."""
    log = FakeLog()
    view = IncidentAlerts(log, "tocsin.alerts", 1, names_max=2)
    for number, (alert_name, incident) in enumerate((("a", "A"), ("b", "B"), ("a2", "A"))):
        value, header = orjson.dumps({"incident": incident}), (Position(number, 0).header(),)
        log.put("tocsin.alerts", 0, [NewRecord(alert_name.encode(), value, header)])

    alerts = asyncio.run(view.of_incidents())

    assert {incident: list(names) for incident, names in alerts.items()} == {"A": ["a", "a2"]}


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
        newest(log, name)
        | {"timeline": [orjson.loads(one.value or b"") for one in kept]}
        | times(log),
    )
    assert [answer["timeline"][0]["kind"], answer["timeline"][-1]["kind"]] == ["Opened", "Closed"]


def test_says_what_it_does_not_know() -> None:
    """An id that nobody had is 404, what is none is 400."""
    names = ["INC-20260412T031502Z-00K3F", "nonsense", "INC-20260412T031502Z-02K3F"]

    async def talk(client: Client) -> list[Answer]:
        return [await client.ask("GET", f"/api/v1/incidents/{name}") for name in names]

    unknown = f"no incident {names[0]!r}; the newest are: none yet"
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


def test_a_list_has_pages() -> None:
    """Each page has as many items as are asked for, and the cursor of the next one."""
    log = FakeLog()
    names = history(log)

    async def talk(client: Client) -> list[Any]:
        pages, query = [], "state=open,acknowledged,closed&limit=2"
        while True:
            page = (await client.ask("GET", f"/api/v1/incidents?{query}"))[1]
            pages.append([incident["incident"] for incident in page["items"]])
            if page["next"] is None:
                return pages
            query = f"state=open,acknowledged,closed&limit=2&cursor={page['next']}"

    assert with_bridge(log, talk) == [[names[0], names[2]], [names[1]]]


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("limit=0", "limit: is '0', must be a whole number from 1 to 1000"),
        ("limit=many", "limit: is 'many', must be a whole number from 1 to 1000"),
        ("limit=1&limit=2", "limit: is given 2 times, must be once"),
        ("cursor=x", "cursor: is 'x', must be the `next` of the page before"),
        (
            "sate=open",
            f"parameter 'sate': is not known, must be one of {PARAMETERS}; did you mean 'state'?",
        ),
        (
            "matcher=x",
            """matcher: is 'x', must be a matcher such as alertname=~"Ollama.*" or team="ai\"""",
        ),
    ],
)
def test_a_wrong_parameter_is_named(query: str, text: str) -> None:
    """With what was found and what is expected."""
    answer = with_bridge(FakeLog(), lambda client: client.ask("GET", f"/api/v1/incidents?{query}"))

    assert answer == (400, error("malformed", text))


def test_what_is_known_has_a_bound() -> None:
    """Open incidents stay known, and of the closed ones those that changed last.

    One that is not known any more is read from the topic when it is asked for by its id.
    """
    log = FakeLog()
    names = [f"INC-20260412T031502Z-00{number}" for number in range(4)]
    for number, state in enumerate(("open", "closed", "closed", "closed")):
        snapshot = {"incident": names[number], "state": state, "opened_at": str(number)}
        header = (Position(number, 0).header(),)
        record = NewRecord(names[number].encode(), orjson.dumps(snapshot), header)
        log.put("tocsin.incidents", 0, [record])
    view = IncidentView(log, "tocsin.incidents", 2, closed_max=2)

    async def ask() -> tuple[list[str], list[bool]]:
        known = [snapshot.incident for snapshot in await view.snapshots(tuple(State))]
        found = [await view.snapshot(name, 0) for name in (*names, "INC-20260412T031502Z-009")]
        return known, [value is not None for value in found]

    kept = [names[0], names[2], names[3]]
    assert asyncio.run(ask()) == (kept, [True, True, True, True, False])


def test_an_answer_says_how_old_it_is() -> None:
    """The oldest record that no worker has applied is not in it."""
    log = FakeLog()
    history(log)
    log.put("tocsin.journal", 1, [NewRecord(b"c", b"{}")])
    log.at_ms += 90_000

    answer = with_bridge(log, lambda client: client.ask("GET", "/api/v1/incidents"))[1]

    as_of = format_instant(log.at_ms - 90_000)
    assert (answer["now"], answer["as_of"]) == (format_instant(log.at_ms), as_of)


def test_what_a_board_reads() -> None:
    """Every path answers for an incident of the topics, and all of them want the same role."""
    log = FakeLog()
    name = history(log)[1]
    paths = [path.replace("{incident}", name) for path in RESOURCES if "{letter}" not in path]

    async def talk(client: Client) -> dict[str, int]:
        return {path: (await client.ask("GET", path))[0] for path in paths}

    answers = with_bridge(log, talk)
    assert answers == dict.fromkeys(paths, 200) | {"/api/v1/explain": 400}  # it needs an id
