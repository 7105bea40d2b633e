"""What another policy would have made of a journal.

A run of the record is what happened, any run what an engine says.
"""

import random
from collections import Counter
from collections.abc import Sequence
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.alerts import grouping
from app.core.engine import Engine
from app.core.rules.compiled_policy import CompiledPolicy
from app.demo.scenario import START_MS as DAY_MS
from app.transport.log import NewRecord, StoredRecord
from app.whatif.compare import Comparison, compare_runs
from app.whatif.outcomes import Message
from app.whatif.run import Run
from app.whatif.runner import PlayedRuns
from models.alert import fingerprint
from models.command import Command
from models.effect import Stream
from models.incident import partition_from_id
from models.journal import (
    TICK,
    Source,
    encode_alerts,
    encode_command,
    encode_policy,
    encode_receipt,
    encode_silence,
)
from models.matcher import parse_matcher
from models.silence import Silence
from models.topics import partition_of
from tests.support.bad_day import bad_day_log
from tests.support.example_counts import examples
from tests.support.fake_log import FakeLog
from tests.support.recorder import TOPICS, Recorder
from tests.support.scenario import START_MS, alert_record, in_one_batch
from tests.support.scenario import play as play_one
from tests.support.whatif_runs import (
    as_recorded,
    both,
    changed_policy,
    compared,
    correlations,
    played,
    sorted_documents,
)
from tests.support.whole_policy import LABELS, MATCHERS, OTHER, POLICY

PARTITIONS = (1, 2, 8)
MINUTE_MS = 60_000

_waits = st.sampled_from([0, 0, 1, 1000, 30_000, 60_000, 120_000, 300_000, 660_000, 3_700_000])
_alert = st.tuples(
    st.just("alert"),
    _waits,
    st.sampled_from(LABELS),
    st.booleans(),
    st.sampled_from([60_000, 7_200_000]),
)
_steps = st.lists(
    st.one_of(
        _alert,
        _alert,
        st.tuples(st.just("tick"), _waits),
        st.tuples(st.just("command"), _waits, st.integers(0, 4), st.sampled_from(list(Command))),
        st.tuples(
            st.just("silence"),
            _waits,
            st.integers(0, 2),
            st.sampled_from(MATCHERS),
            st.sampled_from([-1, 4_000_000]),
        ),
        st.tuples(st.just("receipt"), _waits),
        st.tuples(st.just("policy"), _waits, st.booleans()),
        st.tuples(
            st.just("garbage"),
            _waits,
            st.sampled_from([b"", b"[]", b"{}", b'{"alert":1}', b'{"command":[]}', b"\xff"]),
        ),
    ),
    max_size=40,
)
_alerts = st.lists(st.one_of(_alert, _alert, st.tuples(st.just("tick"), _waits)), max_size=40)
every_journal = settings(max_examples=examples(12))


def recorded(
    steps: Sequence[tuple[Any, ...]], partitions: int, seed: int | None = None
) -> Recorder:
    """The journal that the steps make."""
    recorder, now_ms = Recorder(POLICY, partitions, seed, START_MS), START_MS
    for kind, wait_ms, *rest in steps:
        now_ms += wait_ms
        recorder.log.at_ms = now_ms
        _append(recorder, kind, now_ms, rest)
    recorder.settle()
    return recorder


def _append(recorder: Recorder, kind: str, now_ms: int, rest: list[Any]) -> None:
    match kind:
        case "alert":
            labels, firing, ttl_ms = rest
            component = POLICY.place(labels, fingerprint(labels)).key
            record = alert_record(now_ms, labels, component, firing=firing, ttl_ms=ttl_ms)
            recorder.append(record.key, record.value or b"")
        case "command":
            number, command = rest
            known = [one for engine in recorder.engines for one in engine.state.incidents]
            known += [
                task.incident for engine in recorder.engines for task in engine.state.tasks.values()
            ]
            name = known[-1 - number % len(known)] if known else "INC-20250615T150640Z-000"
            details = {
                "team": "data",
                "verdict": "genuine",
                "task": "review",
                "eta_ms": now_ms,
                "number": 2,
                "step": 3,
                "into": known[-1 - (number + 1) % len(known)] if known else name,
            }
            value = encode_command(command, name, "ann", **details)
            recorder.append(name.encode(), value, partition_from_id(name))
        case "silence":
            number, matcher, lasts_ms = rest
            silence = Silence(
                f"s{number}", (parse_matcher(matcher),), now_ms, now_ms + lasts_ms, "ann", "known"
            )
            recorder.broadcast(encode_silence(silence))
        case "receipt":
            recorder.append(b"INC-x", encode_receipt("0-0-1", "INC-x", "delivered", "smtp 250"), 0)
        case "policy":
            policy = OTHER if rest[0] else POLICY
            recorder.broadcast(encode_policy(policy.fingerprint, policy.document))
        case "garbage":
            recorder.append(None, rest[0], 0)
        case _:
            recorder.broadcast(TICK)


def said(messages: Sequence[Message]) -> Counter[Any]:
    """Messages without their place in the journal, and without the ids in their texts."""
    return Counter((one.at_ms, one.kind, one.channel, one.receiver, one.title) for one in messages)


@every_journal
@given(_steps, st.sampled_from(PARTITIONS), st.integers(0, 999))
def test_the_run_of_the_record_is_what_happened(
    steps: list[tuple[Any, ...]], partitions: int, seed: int
) -> None:
    """Every notification, escalation and newest snapshot, byte for byte but for how large the offsets are."""
    recorder = recorded(steps, partitions, seed)

    before = played(recorder.log, partitions, POLICY).before

    assert as_recorded(before.notifications) == _values(recorder, Stream.NOTIFICATIONS)
    assert as_recorded(before.escalations) == _values(recorder, Stream.ESCALATIONS)
    newest = {
        effect.key: effect.value
        for effects in recorder.effects
        for effect in effects
        if effect.stream == "incidents"
    }
    assert as_recorded(before.snapshots.values()) == sorted_documents(newest.values())
    assert before.empty_slots == 0


def _values(recorder: Recorder, stream: Stream) -> list[str]:
    return sorted_documents(
        effect.value
        for effects in recorder.effects
        for effect in effects
        if effect.stream is stream
    )


@every_journal
@given(
    _steps.filter(lambda steps: not any(step[0] == "policy" for step in steps)),
    st.sampled_from(PARTITIONS),
    st.integers(0, 999),
)
def test_the_same_policy_changes_nothing(
    steps: list[tuple[Any, ...]], partitions: int, seed: int
) -> None:
    """Nothing added, gone or changed, against what happened and against the policy's own file.

    No command is left out.
    """
    log = recorded(steps, partitions, seed).log

    found = [played(log, partitions, POLICY), played(log, partitions, POLICY, POLICY)]

    assert [compared(one).same for one in found] == [True, True]
    assert [one.left_out for one in found] == [[], []]


NEW = {
    "threshold": changed_policy(correlations=correlations(agents_down=2, several_p1=3)),
    "wait": changed_policy(
        notify=POLICY.document["notify"]
        | {"group_wait": {"P0": "3m", "P1": "2m", "P2": "10m", "P3": "10m"}}
    ),
    "other": OTHER,
    "components": changed_policy(components={"labels": ["alertname"]}),
    "no rules": changed_policy(
        correlations=[], dependencies=[], inhibit_rules=[], classes=[], escalations=[], followups=[]
    ),
}


@pytest.mark.parametrize("name", NEW)
@settings(max_examples=examples(5))
@given(_alerts)
def test_a_run_says_what_an_engine_under_that_policy_says(
    name: str, steps: list[tuple[Any, ...]]
) -> None:
    """What is left of the record's messages, and what is added, is what one engine of that policy says of the same alerts."""
    policy, now_ms = NEW[name], START_MS
    outside: list[StoredRecord] = []
    for kind, wait_ms, *rest in steps:
        now_ms += wait_ms
        if kind == "alert":
            labels, firing, ttl_ms = rest
            component = policy.place(labels, fingerprint(labels)).key
            outside.append(alert_record(now_ms, labels, component, firing=firing, ttl_ms=ttl_ms))
        else:
            outside.append(StoredRecord(-1, now_ms, None, TICK))
    _, effects = play_one(policy, outside, in_one_batch)
    expected = Counter(
        (body["at"], body["kind"], body["channel"], body["receiver"], body["title"])
        for effect in effects
        if effect.stream is Stream.NOTIFICATIONS
        for body in [orjson.loads(effect.value)]
    )

    after = played(recorded(steps, 1).log, 1, policy).after

    bodies = [orjson.loads(value) for value in after.notifications]
    assert (
        Counter(
            (one["at"], one["kind"], one["channel"], one["receiver"], one["title"])
            for one in bodies
        )
        == expected
    )


@every_journal
@given(_steps, st.sampled_from(PARTITIONS), st.sampled_from(sorted(NEW)), st.integers(0, 999))
def test_before_without_what_is_gone_and_with_what_is_added_is_after(
    steps: list[tuple[Any, ...]], partitions: int, name: str, seed: int
) -> None:
    """Every message of both runs is in the comparison once, and so is every incident."""
    found = played(recorded(steps, partitions, seed).log, partitions, NEW[name])
    before, after = both(found)

    pairs = compare_runs(before, after).notifications

    old, new = (
        [pair.before for pair in pairs if pair.before],
        [pair.after for pair in pairs if pair.after],
    )
    assert (said(old), said(new)) == (said(before.messages), said(after.messages))
    incidents = compare_runs(before, after).incidents
    assert sorted(pair.before.id for pair in incidents if pair.before) == sorted(
        one.id for one in before.incidents
    )
    assert sorted(pair.after.id for pair in incidents if pair.after) == sorted(
        one.id for one in after.incidents
    )


@pytest.mark.parametrize("name", ["threshold", "wait", "other"])
def test_partitions_change_nothing(name: str) -> None:
    """With one partition and with eight, the same messages come and go, but for a second.

    A digest waits for a tick.
    """
    dice = random.Random(3)
    steps = [
        (
            "alert",
            dice.choice([0, 1000, 60_000]),
            dice.choice(LABELS),
            dice.random() < 0.7,
            7_200_000,
        )
        for _ in range(80)
    ]
    steps = [one for step in steps for one in (step, ("tick", 1000))]  # type: ignore[misc]

    one, many = [
        sorted(
            (pair.verdict, *rest, at_ms) for pair in pairs for at_ms, *rest in said([pair.shown])
        )
        for partitions in (1, 8)
        for pairs in [
            compared(played(recorded(steps, partitions).log, partitions, NEW[name])).notifications
        ]
    ]

    assert [told[:-1] for told in one] == [told[:-1] for told in many]
    assert all(abs(told[-1] - other[-1]) <= 1000 for told, other in zip(one, many, strict=True))
    assert {told[0] for told in one} > {"same"}


def _pair(
    log: FakeLog, policy: CompiledPolicy, partitions: int = 8
) -> tuple[PlayedRuns, Comparison]:
    found = played(log, partitions, policy)
    return found, compared(found)


def test_commands_go_to_the_incident_that_they_meant() -> None:
    """Where the component has another name, the incident has another id, and the word still stops it from climbing."""
    recorder = Recorder(POLICY, 8, now_ms=START_MS)
    labels = {
        "alertname": "ServiceDown",
        "service": "shop",
        "job": "shop-7",
        "severity": "critical",
    }
    record = alert_record(START_MS, labels, "shop")
    recorder.append(record.key, record.value or b"")
    (incident,) = [one for engine in recorder.engines for one in engine.state.incidents]
    recorder.append(
        incident.encode(),
        encode_command("acknowledge", incident, "ann", text=""),
        partition_from_id(incident),
    )
    for minute in range(5):
        recorder.log.at_ms = START_MS + minute * MINUTE_MS
        recorder.broadcast(TICK)

    found, comparison = _pair(recorder.log, changed_policy(components={"labels": ["job"]}))

    (pair,) = comparison.incidents
    assert found.left_out == []
    assert pair.after is not None
    assert (pair.after.component, pair.after.acknowledged_by) == ("shop-7", "ann")
    assert [change.label for change in pair.changes] == ["component", "title"]
    assert comparison.escalations == []


def test_a_merge_joins_the_incidents_that_it_meant() -> None:
    """Both have other ids under the other policy; the part keeps quiet there, too."""
    recorder = Recorder(POLICY, 8, now_ms=START_MS)
    for service in ("shop", "cart"):
        labels = {
            "alertname": f"{service}Down",
            "service": service,
            "job": f"{service}-7",
            "severity": "high",
        }
        record = alert_record(START_MS, labels, service)
        recorder.append(record.key, record.value or b"")
    whole, part = [one for engine in recorder.engines for one in engine.state.incidents]
    merge = encode_command("merge", part, "ann", text="", into=whole)
    recorder.append(part.encode(), merge, partition_from_id(part))
    recorder.settle()
    for minute in range(5):
        recorder.log.at_ms = START_MS + minute * MINUTE_MS
        recorder.broadcast(TICK)

    _, same = _pair(recorder.log, POLICY)
    found, comparison = _pair(recorder.log, changed_policy(components={"labels": ["job"]}))

    assert same.same
    assert found.left_out == []
    after = [pair.after for pair in comparison.incidents if pair.after is not None]
    assert {incident.component for incident in after} == {"shop-7", "cart-7"}
    assert sum(bool(incident.parents) for incident in after) == 1


def test_alerts_of_one_request_go_where_another_policy_puts_them() -> None:
    """Two of three services have one job: by jobs they are one incident, and the third is another."""
    recorder = Recorder(POLICY, 8, now_ms=START_MS)
    values = []
    for name, job in (("Down", "shop-7"), ("Slow", "shop-8"), ("Full", "shop-7")):
        labels = {"alertname": name, "service": "shop", "job": job, "severity": "critical"}
        values.append(alert_record(START_MS, labels, "shop").value or b"")
    recorder.append(b"shop", encode_alerts(values))
    recorder.broadcast(TICK)

    found, _ = _pair(recorder.log, changed_policy(components={"labels": ["job"]}))

    snapshots = [
        [orjson.loads(value) for value in run.snapshots.values()]
        for run in (found.before, found.after)
    ]
    sizes = [{one["component"]: one["alerts_total"] for one in run} for run in snapshots]
    assert sizes == [{"shop": 3}, {"shop-7": 2, "shop-8": 1}]


def test_commands_for_what_a_rule_opens_no_more_are_left_out_and_told() -> None:
    """Somebody took three agents that were down.

    Under a threshold of ten there is no such incident to take.
    """
    recorder = Recorder(POLICY, 8, now_ms=START_MS)
    for name in ("planner", "critic", "tutor"):
        record = alert_record(
            START_MS, {"alertname": "AgentDown", "agent_name": name, "severity": "warning"}, name
        )
        recorder.append(record.key, record.value or b"")
    (rule,) = [
        one for engine in recorder.engines for one in engine.state.incidents.values() if one.rule
    ]
    recorder.append(
        rule.id.encode(),
        encode_command("acknowledge", rule.id, "ann", text=""),
        partition_from_id(rule.id),
    )

    found, comparison = _pair(
        recorder.log, changed_policy(correlations=correlations(agents_down=10))
    )

    assert [(one.command, one.by, one.incident, one.title) for one in found.left_out] == [
        ("acknowledge", "ann", rule.id, "3 AI agents down")
    ]
    assert [pair.shown.title for pair in comparison.incidents if pair.verdict == "gone"] == [
        "3 AI agents down"
    ]


def test_a_journal_whose_beginning_is_gone() -> None:
    """Both runs begin where what is kept begins, and that is said.

    Commands about what was before are counted.
    """
    log = FakeLog()
    log.topics = {key: list(records) for key, records in bad_day_log().topics.items()}
    for (topic, _), records in log.topics.items():
        if topic == TOPICS.journal:
            del records[
                : next(
                    number
                    for number, one in enumerate(records)
                    if one.timestamp > DAY_MS + 25 * MINUTE_MS
                )
            ]
    state = Engine(0, POLICY).checkpoint()
    log.put(TOPICS.state, 0, [NewRecord(*one) for one in state])

    found, comparison = _pair(log, POLICY)

    assert comparison.same
    assert found.unknown == 3  # of ann's four words about Ollama, whose beginning was before
    assert found.notes[0].startswith(
        "the record has not the journal's beginning, but what is from 0:"
    )


def test_a_fault_of_ours_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """A record that makes an engine raise is a dead letter in the run, as it was when it happened.

    The rest goes on.
    """
    recorder = Recorder(POLICY, 2, now_ms=START_MS)
    for name in ("ServiceDown", "Poison", "HighErrorRate"):
        record = alert_record(START_MS, {"alertname": name, "severity": "critical"}, name)
        recorder.append(record.key, record.value or b"")
    on_fired = grouping.on_fired

    def fail(turn: Any, alert: Any) -> None:
        on_fired(turn, alert)
        assert alert.name != "Poison"

    monkeypatch.setattr(grouping, "on_fired", fail)

    found, comparison = _pair(recorder.log, POLICY, 2)

    assert comparison.same
    assert {pair.shown.component for pair in comparison.incidents} == {
        "ServiceDown",
        "HighErrorRate",
    }
    assert comparison.refused == ({"poison": 1}, {"poison": 1})
    assert "it made Tocsin fail with AssertionError" in found.notes[0]


def test_second_copies_of_raw_records_count_once() -> None:
    """What an ingest agent copied twice is there once in each run, in whatever partitions the copies are."""
    recorder = Recorder(POLICY, 8, now_ms=START_MS)
    copies = []
    for number in range(40):
        labels = {
            "alertname": "ServiceDown",
            "service": f"s{number}",
            "job": f"j{number % 3}",
            "severity": "critical",
        }
        record = alert_record(START_MS, labels, f"s{number}", firing=number % 4 != 3)
        copies.append((record.key, record.value or b"", None, (Source("raw", 0, number).header(),)))
    for copy in [*copies[:20], *copies[10:30], *copies]:
        recorder.append(*copy)

    found, comparison = _pair(recorder.log, changed_policy(components={"labels": ["job"]}))

    counts = [
        sum(engine.counts.get("alerts", 0) for engine in run.engines)
        for run in (found.before, found.after)
    ]
    assert counts == [40, 40]
    assert len([pair for pair in comparison.incidents if pair.after]) == 3


@every_journal
@given(_steps, st.sampled_from(PARTITIONS), st.sampled_from(sorted(NEW)), st.integers(0, 999))
def test_messages_arrive_once_and_in_order(
    steps: list[tuple[Any, ...]], partitions: int, name: str, seed: int
) -> None:
    """Whatever is late in the record.

    Between two partitions nothing overtakes, is lost, or comes twice.
    """
    sent: dict[tuple[int, int, int], list[int]] = {}
    arrived: dict[tuple[int, int], list[int]] = {}
    kept: list[bytes | None] = []  # so that no two values have one identity
    send, apply = Run._send, Run._apply

    def note_sent(run: Run, source: int, message: StoredRecord, free: list[Any]) -> None:
        target = partition_of(message.key or b"", partitions)
        kept.append(message.value)
        sent.setdefault((id(run), source, target), []).append(id(message.value))
        send(run, source, message, free)

    def note_applied(run: Run, partition: int, record: StoredRecord) -> bool:
        kept.append(record.value)
        arrived.setdefault((id(run), partition), []).append(id(record.value))
        return apply(run, partition, record)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Run, "_send", note_sent)
        patch.setattr(Run, "_apply", note_applied)
        found = played(recorded(steps, partitions, seed).log, partitions, NEW[name])

    assert found.before.empty_slots == 0
    for (run, _, target), values in sent.items():
        assert [value for value in arrived[run, target] if value in set(values)] == values


def _life(recorder: Recorder, begins: int, ends: int, until: int) -> str:
    """An outage of the shop from minute to minute, with a tick each until another.

    The id of its incident.
    """
    labels, name = (
        {"alertname": "ServiceDown", "service": "shop", "job": "shop-7", "severity": "critical"},
        "",
    )
    for minute in range(begins, until):
        recorder.log.at_ms = START_MS + minute * MINUTE_MS
        if minute in (begins, ends):
            record = alert_record(recorder.log.at_ms, labels, "shop", firing=minute == begins)
            recorder.append(record.key, record.value or b"")
        name = name or next(one for engine in recorder.engines for one in engine.state.incidents)
        recorder.broadcast(TICK)
    return name


def test_a_word_about_what_is_over_takes_nothing_else() -> None:
    """It was refused when it was said.

    The incident that the component has since is not acknowledged by it.
    """
    recorder = Recorder(POLICY, 8, now_ms=START_MS)
    first = _life(recorder, 0, 2, 10)
    second = _life(recorder, 10, 99, 11)
    recorder.append(
        first.encode(),
        encode_command("acknowledge", first, "ann", text=""),
        partition_from_id(first),
    )
    _life(recorder, 11, 12, 30)

    found, comparison = _pair(recorder.log, POLICY)

    assert comparison.same
    assert comparison.refused == ({"unknown_incident": 1}, {"unknown_incident": 1})
    assert [(pair.shown.id, pair.shown.acknowledged_by) for pair in comparison.incidents] == [
        (first, ""),
        (second, ""),
    ]
    assert (found.left_out, found.unknown) == ([], 0)


def test_a_task_that_is_done_is_that_of_the_same_component() -> None:
    """What an incident left to do has been done, where its incident has another id under the new policy, too."""
    recorder = Recorder(POLICY, 8, now_ms=START_MS)
    name = _life(recorder, 0, 2, 10)
    recorder.append(
        name.encode(), encode_command("done", name, "ann", task="review"), partition_from_id(name)
    )

    found, _ = _pair(recorder.log, changed_policy(components={"labels": ["job"]}))

    assert found.left_out == []
    before, after = (
        [task for engine in run.engines for task in engine.state.tasks.values()]
        for run in (found.before, found.after)
    )
    assert {task.incident for task in before}.isdisjoint(task.incident for task in after)
    assert (
        sorted(task.name for task in before)
        == sorted(task.name for task in after)
        == ["improvements", "root-cause"]
    )


@every_journal
@given(_steps, st.sampled_from([2, 8]), st.integers(0, 999))
def test_a_record_of_one_partition(
    steps: list[tuple[Any, ...]], partitions: int, seed: int
) -> None:
    """What other partitions sent is taken as it was, so that what happened in this one comes out.

    And that is said.
    """
    recorder = recorded(steps, partitions, seed)
    log = FakeLog()
    log.topics = {
        key: records for key, records in recorder.log.topics.items() if key == (TOPICS.journal, 0)
    }

    found = played(log, partitions, POLICY)

    del recorder.effects[1:]
    assert as_recorded(found.before.notifications) == _values(recorder, Stream.NOTIFICATIONS)
    assert as_recorded(found.before.escalations) == _values(recorder, Stream.ESCALATIONS)
    assert "the record has not the partitions 1" in found.notes[0]
