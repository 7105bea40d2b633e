"""The alerts of an incident as JSON that is used again say the same as those that are encoded anew."""

from dataclasses import replace
from functools import reduce
from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.state.alerts_shown import ALERTS_MAX, SNAPSHOT_ALERTS_MAX, alerts_of
from app.core.state.live_alert import LiveAlert, bytes_of
from app.core.state.ranking import labels_in_both
from app.core.state.state import Incident, PartitionState
from models.incident import State
from models.severity import Severity
from tests.support.example_counts import examples

_TEXTS = st.dictionaries(
    st.sampled_from(["summary", "runbook_url", "wiki"]),
    st.sampled_from(["s", "https://a.example.org/x", "https://b.example.org/y", "z" * 9000]),
    max_size=3,
)
_changes = st.one_of(
    st.tuples(st.just("annotations"), _TEXTS),
    st.tuples(st.just("generator_url"), st.sampled_from(["", "https://c.example.org/g"])),
    st.tuples(st.just("severity"), st.sampled_from(list(Severity))),
    st.tuples(st.sampled_from(["starts_ms", "ended_ms", "fired_ms"]), st.integers(0, 5)),
    st.tuples(st.just("firing"), st.booleans()),
)
_steps = st.lists(st.tuples(st.integers(0, 19), _changes), min_size=1, max_size=40)


@given(_steps)
@settings(max_examples=examples(100))
def test_what_is_used_again_is_what_is_encoded_anew(
    steps: list[tuple[int, tuple[str, Any]]],
) -> None:
    """Whatever of an alert changes between two snapshots stands in the second."""
    state, incident = PartitionState(), _incident()
    for offset, (number, (name, value)) in enumerate(steps):
        fingerprint = f"{number:016x}"
        if fingerprint not in incident.alerts:
            _join(state, incident, fingerprint, offset)
        alert = incident.alerts[fingerprint]
        setattr(alert, name, value)
        state.measure(alert, bytes_of(alert.labels, alert.annotations, alert.generator_url))

        for number_shown in (SNAPSHOT_ALERTS_MAX, ALERTS_MAX):
            anew = replace(incident, shown={})
            expected = orjson.dumps(alerts_of(anew, number_shown))
            assert expected == orjson.dumps(alerts_of(incident, number_shown))
            assert len(incident.shown) <= ALERTS_MAX


@given(st.lists(st.integers(0, 19), min_size=1, max_size=40), st.integers(1, 3))
@settings(max_examples=examples(100))
def test_common_labels_are_those_of_all_alerts(numbers: list[int], joined_together: int) -> None:
    """In the order of the first alert's labels, also where a record brought several alerts."""
    state, incident = PartitionState(), _incident()
    for place, number in enumerate(numbers):
        if f"{number:016x}" not in incident.alerts:
            _join(state, incident, f"{number:016x}", place // joined_together)

        expected = reduce(labels_in_both, (alert.labels for alert in incident.alerts.values()))
        assert list(expected.items()) == list((incident.common_labels or {}).items())


def _incident() -> Incident:
    return Incident(
        *("INC-1", "db", "operations", State.OPEN, Severity.P2, "ops", "title", "summary", "", 0),
        "0-0",
    )


def _join(state: PartitionState, incident: Incident, fingerprint: str, offset: int) -> None:
    number = int(fingerprint, 16)
    labels = {"alertname": f"A{number}", "x": str(number % 2), "y": str(number % 3), "z": "same"}
    if number % 4 == 0:
        labels = dict(reversed(labels.items()))
    alert = LiveAlert(fingerprint, "db", labels, {}, Severity.P2, "", "ops", "operations")
    alert.firing, alert.fired_ms, alert.fired_offset = True, offset, offset
    state.put_alert(alert)
    state.join(incident, alert, offset)
