"""With everything that the shipped policy switches on.

Cuts and restarts change nothing, and nothing is left behind.
"""

from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.engine import Engine
from app.policy.simulator import signal_record
from app.transport.log import StoredRecord
from models.alert import fingerprint
from models.command import Command
from models.effect import Stream
from models.journal import TICK, encode_command, encode_policy, encode_receipt, encode_silence
from models.matcher import parse_matcher
from models.silence import Silence
from tests.support.example_counts import examples
from tests.support.scenario import START_MS, alert_record, assert_cuts_change_nothing
from tests.support.whole_policy import LABELS, MATCHERS, OTHER, POLICY

_waits = st.sampled_from([0, 0, 1, 1000, 30_000, 60_000, 120_000, 300_000, 660_000, 3_700_000])
_steps = st.lists(
    st.one_of(
        st.tuples(
            st.just("alert"),
            _waits,
            st.sampled_from(LABELS),
            st.just(True),
            st.sampled_from([60_000, 7_200_000]),
        ),
        st.tuples(
            st.just("alert"),
            _waits,
            st.sampled_from(LABELS),
            st.just(True),
            st.sampled_from([60_000, 7_200_000]),
        ),
        st.tuples(st.just("alert"), _waits, st.sampled_from(LABELS), st.just(False), st.just(0)),
        st.tuples(st.just("tick"), _waits),
        st.tuples(st.just("command"), _waits, st.integers(0, 4), st.sampled_from(list(Command))),
        st.tuples(
            st.just("silence"),
            _waits,
            st.integers(0, 2),
            st.sampled_from(MATCHERS),
            st.sampled_from([-60_000, 0, 90_000]),
            st.sampled_from([-1, 60_000, 4_000_000]),
        ),
        st.tuples(st.just("receipt"), _waits, st.sampled_from(["delivered", "failed", "lost"])),
        st.tuples(st.just("policy"), _waits, st.booleans()),
    ),
    max_size=40,
)
every_journal = settings(max_examples=examples(24))


def _value(engine: Engine, kind: str, now_ms: int, rest: list[Any]) -> StoredRecord:
    match kind:
        case "alert":
            labels, firing, ttl_ms = rest
            component = engine.policy.place(labels, fingerprint(labels)).key
            return alert_record(now_ms, labels, component, firing=firing, ttl_ms=ttl_ms)
        case "command":
            number, command = rest
            known = [
                *engine.state.incidents,
                *(task.incident for task in engine.state.tasks.values()),
            ] or ["INC-x"]
            details = {
                "team": "data",
                "verdict": "genuine",
                "task": "review",
                "eta_ms": now_ms,
                "number": 2,
                "step": 3,
            }
            return StoredRecord(
                -1,
                now_ms,
                b"",
                encode_command(command, known[-1 - number % len(known)], "ann", **details),
            )
        case "silence":
            number, matcher, starts_ms, lasts_ms = rest
            matchers = (parse_matcher(matcher),)
            silence = Silence(
                f"s{number}", matchers, now_ms + starts_ms, now_ms + lasts_ms, "ann", "known"
            )
            return StoredRecord(-1, now_ms, None, encode_silence(silence))
        case "receipt":
            return StoredRecord(
                -1, now_ms, None, encode_receipt("0-0-1", "INC-x", rest[0], "smtp 250")
            )
        case "policy":
            policy = OTHER if rest[0] else POLICY
            return StoredRecord(
                -1, now_ms, None, encode_policy(policy.fingerprint, policy.document)
            )
        case _:
            return StoredRecord(-1, now_ms, None, TICK)


def _journal(
    steps: list[tuple[Any, ...]], look: Callable[[Engine], None] = lambda _: None
) -> list[StoredRecord]:
    """The journal that the steps make, with the messages between actors in it."""
    engine, journal, now_ms = Engine(0, POLICY), list[StoredRecord](), START_MS
    for kind, wait_ms, *rest in steps:
        now_ms += wait_ms
        waiting = [_value(engine, kind, now_ms, rest)]
        while waiting:
            record = waiting.pop(0)
            record.offset = len(journal)
            journal.append(record)
            said = [effect for effect in engine.apply([record]) if effect.stream is Stream.JOURNAL]
            waiting += [signal_record(effect, now_ms) for effect in said]
            look(engine)
    return journal


@every_journal
@given(_steps, st.lists(st.integers(1, 12), max_size=8))
def test_cuts_and_restarts_change_nothing(steps: list[tuple[Any, ...]], cuts: list[int]) -> None:
    """Effects and state are the same bytes wherever the journal is cut and the engine restored."""
    assert_cuts_change_nothing(POLICY, _journal(steps), cuts)


@every_journal
@given(_steps)
def test_what_is_loud_is_what_nothing_keeps_quiet(steps: list[tuple[Any, ...]]) -> None:
    """After every record, each incident's counts are those of a look at all its alerts, and what ended is held by nothing."""

    def look(engine: Engine) -> None:
        for incident in engine.state.incidents.values():
            firing = [alert for alert in incident.alerts.values() if alert.firing]
            assert (incident.firing, incident.notifiable) == (
                len(firing),
                sum(not alert.suppressions for alert in firing),
            )
        assert not [
            alert
            for alert in engine.state.alerts.values()
            if alert.suppressions and not alert.firing
        ]

    _journal(steps, look)


def _resolved(engine: Engine, now_ms: int) -> list[StoredRecord]:
    """Somebody resolves the incidents in which nothing fires."""
    return [
        StoredRecord(-1, now_ms, b"", encode_command(Command.RESOLVE, incident.id, "ann"))
        for incident in engine.state.incidents.values()
        if not incident.firing
    ]


@every_journal
@given(_steps)
def test_everything_is_forgotten_in_the_end(steps: list[tuple[Any, ...]]) -> None:
    """When nothing more comes, nothing is left but heartbeats and what says that they are missing.

    An incident that somebody reopened stays until somebody resolves it.
    """
    journal = _journal(steps)
    now_ms = journal[-1].timestamp if journal else START_MS
    engine = Engine(0, POLICY)
    engine.apply(journal)
    offset = len(journal)
    for day in range(40):  # what actors say to each other comes back as records
        now_ms += 86_400_000
        waiting = [StoredRecord(offset, now_ms, None, TICK)]
        if day == 2:
            waiting += _resolved(engine, now_ms)
        while waiting:
            record = waiting.pop(0)
            record.offset = offset
            offset += 1
            said = [effect for effect in engine.apply([record]) if effect.stream is Stream.JOURNAL]
            waiting += [signal_record(effect, now_ms) for effect in said]
    state = engine.state

    assert [alert.labels["alertname"] for alert in state.alerts.values()] in (
        [],
        ["Watchdog", "alerting-silent"],
    )
    assert len(state.incidents) == len(state.alerts) // 2
    assert (state.windows, state.silences) == ({}, {})
    assert len(state.inhibition_groups) + len(state.receivers) + len(state.tasks) <= len(
        state.alerts
    )
