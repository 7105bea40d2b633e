"""From alerts to records of the journal: what is known from before, and what only looks like it."""

from typing import Any

import pytest

from app.core.rules.compiled_policy import CompiledPolicy
from app.intake.normalise import Entries
from app.intake.records import ALERT_BYTES_MAX, Intake
from app.transport.log import NewRecord
from tests.support.shipped_policy import shipped

NOW_MS = 1_776_000_000_000  # 2026-04-12T13:20:00Z
ALERT = {
    "labels": {"alertname": "A", "component": "db"},
    "annotations": {"summary": "it is slow"},
    "startsAt": "2026-04-12T13:00:00Z",
    "endsAt": "2026-04-12T13:24:00Z",
    "generatorURL": "http://p/graph",
}


def taken(intake: Intake, entry: Any, now_ms: int = NOW_MS) -> NewRecord | str:
    """The record of one entry, or why there is none."""
    records, refused = intake.records(Entries([entry], ""), now_ms, shipped())
    return records[0] if records else refused[0].message


@pytest.mark.parametrize(
    ("later_ms", "fields"),
    [
        (0, {}),
        (60_000, {"endsAt": "2026-04-12T13:25:00Z"}),
        (60_000, {"endsAt": "2026-04-12T13:24:51Z"}),
        (0, {"status": "firing"}),
        (0, {"status": {"state": "active"}}),
        (0, {"fingerprint": "a field that says nothing"}),
    ],
)
def test_a_repeat_is_known(later_ms: int, fields: dict[str, Any]) -> None:
    """What says the same, and holds for as long, is the very record of before."""
    intake = Intake()
    first = taken(intake, ALERT)

    again = taken(intake, ALERT | fields, NOW_MS + later_ms)

    assert again is first
    assert again == taken(Intake(), ALERT | fields, NOW_MS + later_ms)


def test_an_alert_is_known_as_it_was_last() -> None:
    """An alert that fires for longer than it did is read once, and known again from then on."""
    intake, longer = Intake(), ALERT | {"endsAt": "2026-04-12T13:30:00Z"}
    first = taken(intake, ALERT)
    second = taken(intake, longer)

    assert first != second
    assert taken(intake, longer) is second


OTHERS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "another label": ({}, {"labels": {"alertname": "A", "component": "web"}}),
    "another name": ({}, {"labels": {"alertname": "A", "components": "db"}}),
    "another order of labels": ({}, {"labels": {"component": "db", "alertname": "A"}}),
    "another annotation": ({}, {"annotations": {"summary": "it is down"}}),
    "a label that was an annotation": (
        {},
        {
            "labels": {"alertname": "A", "component": "db", "summary": "it is slow"},
            "annotations": {},
        },
    ),
    "another start": ({}, {"startsAt": "2026-04-12T13:00:01Z"}),
    "another source": ({}, {"generatorURL": "http://q/graph"}),
    "a longer hold": ({}, {"endsAt": "2026-04-12T13:30:00Z"}),
    "no end": ({}, {"endsAt": None}),
    "an end that is past": ({}, {"endsAt": "2026-04-12T13:10:00Z"}),
    "an end before its start": (
        {"startsAt": "2026-04-12T13:23:00Z"},
        {"endsAt": "2026-04-12T13:22:00Z"},
    ),
    "an end before its start, held as long": (
        {"startsAt": "2026-04-12T13:23:58Z"},
        {"endsAt": "2026-04-12T13:23:57Z"},
    ),
    "it is resolved": ({}, {"status": "resolved"}),
    "a status that is none": ({}, {"status": "ringing"}),
    "a status that is a number": ({}, {"status": 1}),
    "an end that is none": ({}, {"endsAt": "soon"}),
    "a start that is none": ({}, {"startsAt": ["2026-04-12T13:00:00Z"]}),
    "no start": ({}, {"startsAt": None}),
    "an empty list of annotations": ({"annotations": {}}, {"annotations": []}),
    "no annotations": ({"annotations": {}}, {"annotations": None}),
    "an empty list of sources": ({"generatorURL": ""}, {"generatorURL": []}),
    "no source": ({"generatorURL": ""}, {"generatorURL": None}),
    "a number in a label": ({}, {"labels": {"alertname": "A", "component": 1}}),
    "an empty label more": ({}, {"labels": {"alertname": "A", "component": "db", "empty": ""}}),
    "NULs in a label": ({}, {"labels": {"alertname": "A\0component\0db"}}),
    "NULs in a label, and as many labels": (
        {"labels": {"a": "b", "c": "d\0e"}},
        {"labels": {"a": "b\0c", "d": "e"}},
    ),
    "NULs between labels and annotations": (
        {"labels": {"a": "b"}, "annotations": {"c": "d\0e"}},
        {"labels": {"a": "b\0c"}, "annotations": {"d": "e"}},
    ),
    "NULs in the source": (
        {"annotations": {"a": "b"}, "startsAt": "2026-04-12T13:00:00Z", "generatorURL": "c"},
        {"annotations": {}, "startsAt": "a", "generatorURL": "b\x002026-04-12T13:00:00Z\0c"},
    ),
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_only_looks_like_a_repeat_is_read(name: str) -> None:
    """Whatever was known before, the record is that of who reads it the first time, and so is the refusal."""
    before, after = OTHERS[name]
    intake = Intake()
    taken(intake, ALERT | before)

    again = taken(intake, ALERT | before | after)

    assert taken(Intake(), ALERT | before | after) == again


@pytest.mark.parametrize("starts", [None, "", "0001-01-01T00:00:00Z"])
def test_what_begins_when_it_comes_is_not_known(starts: str | None) -> None:
    """An alert that does not say since when it fires begins anew each time."""
    intake, later_ms = Intake(), NOW_MS + 60_000
    entry = {"labels": ALERT["labels"], "startsAt": starts}
    taken(intake, entry)

    assert taken(Intake(), entry, later_ms) == taken(intake, entry, later_ms)


def test_the_end_of_an_alert_is_not_known() -> None:
    """An alert that has ended is read each time.

    Without an end of its own it ends when it comes.
    """
    intake, entry, later_ms = Intake(), ALERT | {"status": "resolved"}, NOW_MS + 60_000
    taken(intake, entry)

    assert taken(Intake(), entry, later_ms) == taken(intake, entry, later_ms)


def test_another_policy_finds_other_components() -> None:
    """What was known under a policy is not, under the next."""
    intake, names = Intake(), []
    for policy in (shipped(), _by("alertname"), shipped()):
        (record,), _ = intake.records(Entries([ALERT], ""), NOW_MS, policy)
        names.append(record.key)

    assert names == [b"db", b"A", b"db"]


def _by(label: str) -> CompiledPolicy:
    """The shipped policy, but a component is found by one label."""
    document = shipped().document
    return CompiledPolicy(document | {"components": document["components"] | {"labels": [label]}})


def test_memory_is_bounded() -> None:
    """However many alerts come, two generations of them are known.

    One that is very large is read each time.
    """
    intake = Intake(known_bytes_max=30_000)
    large = ALERT | {"annotations": {"summary": "x" * ALERT_BYTES_MAX}}
    for number in range(1000):
        taken(intake, ALERT | {"labels": {"alertname": f"{number:03}"}})
    taken(intake, large)

    assert 20 < len(intake._known) < 100
    assert taken(intake, large) is not taken(intake, large)


def test_alerts_of_a_request_share_an_end() -> None:
    """Each is known or not by its own start and time to live, as if it had come alone."""
    others: list[dict[str, Any]] = [
        ALERT | {"labels": {"alertname": "B"}},
        ALERT | {"labels": {"alertname": "C"}, "startsAt": "2026-04-12T13:27:00Z", "endsAt": None},
        ALERT | {"labels": {"alertname": "D"}, "endsAt": "2026-04-12T13:40:00Z"},
    ]
    entries = [ALERT, *others]
    late = [entry | {"endsAt": "2026-04-12T13:25:00Z"} for entry in entries]
    intake, alone = Intake(), Intake()
    first, _ = intake.records(Entries(entries, ""), NOW_MS, shipped())
    for entry in entries:
        taken(alone, entry)

    again, refused = intake.records(Entries(late, ""), NOW_MS + 60_000, shipped())

    expected = [taken(alone, entry, NOW_MS + 60_000) for entry in late]
    messages = [refusal.message.removeprefix("[2]") for refusal in refused]
    assert again[:2] == first[:2]
    assert again == [record for record in expected if isinstance(record, NewRecord)]
    assert messages == [text.removeprefix("[0]") for text in expected if isinstance(text, str)]
