"""What holds of the engine for every journal."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.engine import Engine
from app.core.state.changelog import META, load_state
from app.policy.simulator import signal_record
from app.transport.log import StoredRecord
from models.alert import fingerprint
from models.command import Command
from models.effect import Stream
from models.journal import TICK, encode_command, encode_silence
from models.matcher import parse_matcher
from models.silence import Silence
from tests.support.example_counts import examples
from tests.support.scenario import START_MS, alert_record, assert_cuts_change_nothing, keep
from tests.support.shipped_policy import shipped

POLICY = shipped()

_names = st.sampled_from(
    [
        "AgentDown",
        "OllamaServiceDown",
        "HighErrorRate",
        "Slow",
        "UnauthorizedAccess",
        "BackupDataLoss",
    ]
)
_labels = st.fixed_dictionaries(
    {"alertname": _names},
    optional={
        "component": st.sampled_from(["api", "db", "ollama"]),
        "severity": st.sampled_from(["critical", "high", "warning", "info", "bespoke"]),
    },
)
_waits = st.sampled_from([0, 1, 500, 60_000, 299_999, 300_000, 900_000, 4_000_000])
_incidents = st.sampled_from([f"INC-20250615T150640Z-00{number}" for number in range(4)])
_steps = st.lists(
    st.one_of(
        st.tuples(
            st.just("alert"), _waits, _labels, st.booleans(), st.sampled_from([60_000, 300_000])
        ),
        st.tuples(st.just("tick"), _waits),
        st.tuples(st.just("command"), _waits, _incidents, st.sampled_from(list(Command))),
        st.tuples(
            st.just("silence"),
            _waits,
            st.integers(0, 1),
            st.sampled_from(
                ['alertname="AgentDown"', 'component=~"api|db"', 'severity="critical"']
            ),
            st.sampled_from([-60_000, 0, 120_000]),
            st.sampled_from([-1, 60_000, 3_600_000]),
        ),
        st.tuples(
            st.just("garbage"),
            _waits,
            st.sampled_from([b"", b"[]", b"{}", b'{"alert":1}', b'{"command":[]}', b"\xff"]),
        ),
    ),
    max_size=60,
)


def _journal(steps: list[tuple[object, ...]]) -> list[StoredRecord]:
    records, now_ms = [], START_MS
    for offset, (kind, wait, *rest) in enumerate(steps):
        assert isinstance(wait, int)
        now_ms += wait
        record = _record(str(kind), now_ms, rest)
        record.offset = offset
        records.append(record)
    return records


def _record(kind: str, now_ms: int, rest: list[object]) -> StoredRecord:
    if kind == "alert":
        labels, firing, ttl_ms = rest
        assert isinstance(labels, dict)
        return alert_record(
            now_ms,
            labels,
            POLICY.place(labels, fingerprint(labels)).key,
            firing=bool(firing),
            ttl_ms=ttl_ms,
        )
    if kind == "command":
        incident, command = rest
        details = {
            "to": "bob",
            "verdict": "genuine",
            "task": "review",
            "eta_ms": now_ms + 60_000,
            "number": 2,
        }
        return StoredRecord(
            -1,
            now_ms,
            b"",
            encode_command(str(command), str(incident), "ann", text="hm", **details),
        )
    if kind == "silence":
        number, matcher, starts_ms, lasts_ms = rest
        silence = Silence(
            f"s{number}",
            (parse_matcher(str(matcher)),),
            now_ms + int(str(starts_ms)),
            now_ms + int(str(lasts_ms)),
            "ann",
            "",
        )
        return StoredRecord(-1, now_ms, None, encode_silence(silence))
    value = rest[0] if rest else TICK
    assert isinstance(value, bytes)
    return StoredRecord(-1, now_ms, None, value)


@settings(max_examples=examples(60))
@given(_steps, st.lists(st.integers(1, 20), max_size=10))
def test_batches_and_restarts_change_nothing(
    steps: list[tuple[object, ...]], cuts: list[int]
) -> None:
    """However the journal is cut, and wherever the engine is restored, effects and state are the same bytes."""
    assert_cuts_change_nothing(POLICY, _journal(steps), cuts)


@settings(max_examples=examples(60))
@given(_steps)
def test_indexes_say_what_the_state_says(steps: list[tuple[object, ...]]) -> None:
    """Each derived index equals the one that is built anew from the state."""
    engine = Engine(0, POLICY)
    engine.apply(_journal(steps))
    items: dict[bytes, bytes] = {}
    keep(items, engine)

    slow = load_state({key: value for key, value in items.items() if key != META})
    quick = engine.state

    assert slow.alerts.keys() == quick.alerts.keys()
    assert slow.incidents.keys() == quick.incidents.keys()
    assert slow.current.keys() == quick.current.keys()
    for name, incident in quick.incidents.items():
        other = slow.incidents[name]
        assert list(other.alerts) == list(incident.alerts)
        assert (other.firing, other.notifiable, other.names) == (
            incident.firing,
            incident.notifiable,
            incident.names,
        )


@settings(max_examples=examples(60))
@given(_steps)
def test_everything_is_forgotten_in_the_end(steps: list[tuple[object, ...]]) -> None:
    """When all alerts have ended and time has passed, nothing is left but what tells positions."""
    records = _journal(steps)
    end_ms = (records[-1].timestamp if records else START_MS) + 30 * 86_400_000
    engine = Engine(0, POLICY)
    engine.apply(records)
    engine.apply([StoredRecord(len(records), end_ms, None, TICK)])

    state = engine.state
    assert (
        state.alerts,
        state.incidents,
        state.current,
        state.windows,
        state.inhibition_groups,
    ) == (
        {},
        {},
        {},
        {},
        {},
    )
    assert (state.silences, state.receivers, state.tasks, state.timers) == ({}, {}, {}, [])


@settings(max_examples=examples(60))
@given(_steps)
def test_every_record_is_accounted_for(steps: list[tuple[object, ...]]) -> None:
    """Each record is counted as applied, or left a dead letter."""
    engine = Engine(0, POLICY)
    records = _journal(steps)
    engine.apply(records)
    counts = engine.counts

    told = {
        "alerts",
        "ticks",
        "commands",
        "silences",
        "deadletters.unknown_kind",
        "deadletters.malformed",
    }
    # A command that is malformed, or names no command, counts as a command and leaves a dead
    # letter.
    twice = sum(record.value == b'{"command":[]}' for record in records)
    assert sum(counts.get(name, 0) for name in told) - twice == len(records)


@pytest.mark.slow
def test_the_size_of_a_checkpoint_is_known_before() -> None:
    """What is said of the next checkpoint's bytes holds for an incident with thousands of members too."""
    engine, waiting, offset = Engine(0, POLICY), list[StoredRecord](), 0
    for number in range(3000):
        labels = {"alertname": "AgentDown", "agent_name": f"agent-{number}", "severity": "warning"}
        waiting.append(alert_record(START_MS, labels, f"agent-{number}"))
    while waiting:
        record = waiting.pop(0)
        record.offset, offset = offset, offset + 1
        said = [effect for effect in engine.apply([record]) if effect.stream is Stream.JOURNAL]
        waiting += [signal_record(effect, START_MS) for effect in said]
        if offset == 6000:
            engine.checkpoint()
    expected = engine.dirty_bytes()

    found = sum(len(key) + len(value or b"") for key, value in engine.checkpoint())

    assert any(len(incident.members) > 2900 for incident in engine.state.incidents.values())
    assert expected / 4 < found < expected
