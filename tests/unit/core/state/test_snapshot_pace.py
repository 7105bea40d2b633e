"""An incident that only grows is shown once a second, and what people act on at once."""

from dataclasses import fields, replace
from typing import Any

import pytest

from app.core.state.snapshot import incident_snapshot
from app.core.state.snapshot_pace import checksum
from app.core.state.state import Incident
from app.transport.log import StoredRecord
from models.command import Command
from models.effect import Effect, Stream
from models.incident import State
from models.journal import encode_command
from models.severity import Severity
from models.text.instant import milliseconds
from tests.support.alerts import POD, documents, effects_of, engine_after, record, tick
from tests.support.scenario import FEEDINGS, START_MS, Feeding
from tests.support.shipped_policy import shipped

# What an incident that only grows changes of its snapshot.
GROWTH = {"alerts", "alerts_omitted", "alerts_firing", "alerts_total", "common_labels"}
GROWTH |= {"links", "alert_names", "members", "records"}
CONSTANT = {"id", "component", "scope", "opened_ms", "opened_by"}  # from its opening to its end
Shown = tuple[int, str, int, int]


def shown(effects: list[Effect]) -> list[Shown]:
    """The snapshots: milliseconds from the start, state, alerts, alerts that fire."""
    return [
        (
            milliseconds(body["at"]) - START_MS,
            body["state"],
            body["alerts_total"],
            body["alerts_firing"],
        )
        for body in documents(effects, Stream.INCIDENTS)
    ]


def pod(number: int, at_ms: int, severity: str = "warning", *, firing: bool = True) -> StoredRecord:
    """The record of one of a component's alerts."""
    return record(
        at_ms, firing=firing, labels=POD | {"pod": f"basket-{number}", "severity": severity}
    )


def command(at_ms: int, name: Command) -> StoredRecord:
    """A command about the incident that the first record opens."""
    value = encode_command(name, "INC-20250615T150640Z-000", "ann", text="seen")
    return StoredRecord(-1, START_MS + at_ms, None, value)


@pytest.mark.parametrize("feeding", FEEDINGS, ids=lambda feeding: feeding.__name__)
def test_growth_is_shown_once_a_second(feeding: Feeding) -> None:
    """Alerts that join and end within a second of a snapshot are one snapshot, at the second's end."""
    joining = [pod(number, number * 100) for number in range(6)]

    effects = effects_of(
        *joining, pod(0, 700, firing=False), tick(1500), pod(6, 1600), tick(9000), feeding=feeding
    )

    assert shown(effects) == [(0, "open", 1, 1), (1000, "open", 6, 5), (2000, "open", 7, 6)]


def test_the_first_change_after_a_quiet_second_is_shown_at_once() -> None:
    """An alert that joins later than a second after the last snapshot waits for nothing."""
    effects = effects_of(pod(0, 0), pod(1, 1000), pod(2, 5000))

    assert shown(effects) == [(0, "open", 1, 1), (1000, "open", 2, 2), (5000, "open", 3, 3)]


@pytest.mark.parametrize("feeding", FEEDINGS, ids=lambda feeding: feeding.__name__)
def test_what_people_act_on_is_shown_at_once(feeding: Feeding) -> None:
    """An acknowledgement shows the alerts that waited too, and nothing is shown twice."""
    effects = effects_of(
        *(pod(0, 0), pod(1, 200), command(300, Command.ACKNOWLEDGE), tick(5000)), feeding=feeding
    )

    assert shown(effects) == [(0, "open", 1, 1), (300, "acknowledged", 2, 2)]


def test_a_worse_severity_is_shown_at_once() -> None:
    """An alert that raises the severity is shown with its own record."""
    effects = effects_of(pod(0, 0), pod(1, 200, "critical"))

    assert shown(effects)[:2] == [(0, "open", 1, 1), (200, "open", 2, 2)]


def test_a_command_is_answered_with_a_snapshot() -> None:
    """Also a command that changes nothing that people act on shows the incident as it is then."""
    effects = effects_of(pod(0, 0), pod(1, 200), command(300, Command.NOTE))

    assert shown(effects) == [(0, "open", 1, 1), (300, "open", 2, 2)]


def _changed(value: Any) -> Any:
    """Another value of the same type."""
    match value:
        case State():
            return State.RESOLVED
        case Severity():
            return Severity.P3 if value is not Severity.P3 else Severity.P0
        case bool():
            return not value
        case int():
            return value + 3_600_000
        case str():
            return value + "x"
        case list():
            return [*value, "x"]
        case _:
            return value


def test_everything_but_growth_moves_the_checksum() -> None:
    """A field that changes the snapshot, other than by its alerts, changes the checksum."""
    (incident,) = engine_after(pod(0, 0)).state.incidents.values()
    rules, before = shipped(), checksum(incident)
    body = incident_snapshot(rules, incident)
    moved = []

    for field in fields(Incident):
        if field.name in CONSTANT:
            continue
        other = replace(incident, **{field.name: _changed(getattr(incident, field.name))})
        now = incident_snapshot(rules, other)
        if any(now[name] != body[name] for name in body.keys() - GROWTH):
            moved.append(field.name)
            assert checksum(other) != before, field.name

    assert len(moved) > 25


@pytest.mark.parametrize(
    "changes",
    [
        {"clocks": {"resolve": "breached"}},
        {"clock_since_ms": {"acknowledge": START_MS, "resolve": START_MS + 1}},
        {"down": {"shop": 1}},
        {"assessment": {"verdict": "genuine"}},
    ],
    ids=str,
)
def test_what_is_kept_by_name_moves_the_checksum(changes: dict[str, Any]) -> None:
    """So do the clocks of the targets, which services are down, and an assessment."""
    (incident,) = engine_after(pod(0, 0)).state.incidents.values()

    assert checksum(replace(incident, **changes)) != checksum(incident)
