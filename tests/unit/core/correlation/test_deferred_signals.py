"""What is kept for a rule that is not in force here.

For how long, and what comes of it when the rule comes.
"""

from typing import Any

import orjson
import pytest

from app.core.correlation.deferred_signals import DEFERRED_MAX_MS, FORMER_RULES_MAX
from app.core.engine import Engine
from app.core.rules.compiled_policy import CompiledPolicy
from app.files.policy_file import load_policy
from app.transport.log import StoredRecord
from models.journal import encode_policy, encode_signal
from tests.support.engine_bounds import MINUTE_MS, Partition, early, signal
from tests.support.scenario import keep

SHIPPED = load_policy()
SHAPE = SHIPPED.correlations["agents-down"].rule_id


def without(rule: str) -> dict[str, Any]:
    """The shipped policy's correlations but one."""
    return {
        "correlations": [one for one in SHIPPED.document["correlations"] if one["name"] != rule]
    }


def adopt(partition: Partition, policy: CompiledPolicy) -> None:
    """Let a policy take over."""
    partition.feed(StoredRecord(-1, 0, None, encode_policy(policy.fingerprint, policy.document)))


def changed(record: StoredRecord, **more: Any) -> StoredRecord:
    """A signal of an alert that does not fire, or not for the rule."""
    document = orjson.loads(record.value or b"")
    document["member"]["firing"] = False
    return StoredRecord(-1, 0, None, orjson.dumps(document | more))


def opened(partition: Partition) -> list[list[int]]:
    """The members that fire of each incident that a rule opened."""
    return [
        sorted(int(identity, 16) for identity, member in incident.members.items() if member.firing)
        for incident in partition.engine.state.incidents.values()
    ]


def test_what_is_kept_for_a_rule_is_forgotten_in_time() -> None:
    """A day after it fired.

    It is counted if it fires still. Nothing is left that would be forgotten later.
    """
    partition = early(3)
    ended = signal("agents-down", "g0", "0", 0, shape="0123456789ab")
    ended.value = (ended.value or b"").replace(b'"firing":true', b'"firing":false')
    partition.feed(ended)
    partition.wait(DEFERRED_MAX_MS - 1)
    before = sum(len(window) for window in partition.restored().deferred_signals.values())
    partition.wait(1)

    assert (
        before,
        partition.engine.state.deferred_signals,
        partition.restored().deferred_signals,
    ) == (3, {}, {})
    assert partition.engine.counts["refused.deferred_signals"] == 2
    assert partition.engine.state.timers == []


@pytest.mark.slow
@pytest.mark.parametrize("more", [-1, 0, 1], ids=["below", "at", "above"])
def test_former_shapes_have_a_bound(more: int) -> None:
    """A correlation that changed so often: the oldest shapes are forgotten, also over a restart."""
    partition = Partition()
    document = SHIPPED.document
    (rule,) = (one for one in document["correlations"] if one["name"] == "agents-down")
    for within in range(1, FORMER_RULES_MAX + more + 1):
        changed = CompiledPolicy(document | {"correlations": [rule | {"within": f"{within}h"}]})
        partition.feed(
            StoredRecord(-1, 0, None, encode_policy(changed.fingerprint, changed.document))
        )

    assert len(partition.engine.state.former_rule_ids) == FORMER_RULES_MAX + min(more, 0)
    assert list(partition.restored().former_rule_ids) == list(
        partition.engine.state.former_rule_ids
    )


@pytest.mark.parametrize("restored", [False, True])
def test_what_fired_before_the_rule_came_counts_at_its_own_time(restored: bool) -> None:
    """Three within five minutes are an incident, also when the policy comes a while later.

    Three within six are none.
    """
    for wait_ms, expected in ((2 * MINUTE_MS, [[0, 1, 2]]), (3 * MINUTE_MS, [])):
        partition = Partition(**without("agents-down"))
        for one in range(3):
            partition.feed(signal("agents-down", "ai", "0", one, shape=SHAPE))
            partition.wait(wait_ms)
        if restored:
            keep(partition.items, partition.engine)
            partition.engine = Engine.restore(0, partition.engine.policy, partition.items)
        partition.wait(60 * MINUTE_MS)
        adopt(partition, SHIPPED)

        assert opened(partition) == expected
        assert partition.engine.state.deferred_signals == {}


def test_what_ended_before_the_rule_came_does_not_count() -> None:
    """As in a window: what is counted fires still."""
    for ended, expected in ((0, [[0, 1, 2]]), (1, []), (3, [])):
        partition = Partition(**without("agents-down"))
        partition.feed(*(signal("agents-down", "ai", "0", one, shape=SHAPE) for one in range(3)))
        for one in range(ended):
            partition.feed(changed(signal("agents-down", "ai", "0", one, shape=SHAPE)))
        adopt(partition, SHIPPED)

        assert opened(partition) == expected


def test_an_incident_that_is_there_gets_who_fired_meanwhile() -> None:
    """The owner went back to a policy without the rule for a moment.

    Nobody is missing, and nobody joins twice.
    """
    partition = Partition()
    partition.feed(*(signal("agents-down", "ai", "0", one, shape=SHAPE) for one in range(3)))
    adopt(partition, CompiledPolicy(SHIPPED.document | without("agents-down")))
    partition.feed(signal("agents-down", "ai", "0", 3, shape=SHAPE))
    adopt(partition, SHIPPED)

    assert opened(partition) == [[0, 1, 2, 3]]
    assert partition.told.count("MemberFired") == 1


def test_who_is_behind_counts_at_once() -> None:
    """A signal of the rule as it was before, from a partition that has not heard of the change, is not kept for later."""
    partition = Partition()
    rule = next(one for one in SHIPPED.document["correlations"] if one["name"] == "agents-down")
    adopt(partition, CompiledPolicy(SHIPPED.document | {"correlations": [rule | {"within": "6m"}]}))
    partition.feed(*(signal("agents-down", "ai", "0", one, shape=SHAPE) for one in range(3)))

    assert opened(partition) == [[0, 1, 2]]
    assert partition.engine.state.deferred_signals == {}


def test_a_signal_of_an_older_tocsin_counts_as_it_did() -> None:
    """It names no rule: by name it is taken, and passed over where there is none."""
    partition = Partition()
    partition.feed(*(signal("agents-down", "ai", "0", one) for one in range(3)))
    partition.feed(signal("gone", "ai", "0", 4), signal("gone", "[]", "source", 5))

    assert opened(partition) == [[0, 1, 2]]
    assert (
        partition.engine.state.deferred_signals,
        partition.engine.state.parked,
        partition.letters,
    ) == (
        {},
        {},
        [],
    )


@pytest.mark.parametrize("shape", [7, "x", "0123456789AB", ["0123456789ab"]])
def test_a_shape_that_is_none_is_refused(shape: object) -> None:
    """Nobody but Tocsin writes signals; what it would not write is a dead letter."""
    partition = Partition()
    document = orjson.loads(encode_signal("agents-down", "ai", "0", {"alert": "0"})) | {
        "rule_id": shape
    }
    partition.feed(StoredRecord(-1, 0, None, orjson.dumps(document)))

    assert partition.letters == [f"the rule_id is {shape!r}, must be 12 hex digits"]


def test_a_rule_has_one_shape_however_it_is_written() -> None:
    """Durations in other units and keys with their defaults change nothing.

    What it says does, and so does its name.
    """
    rule = next(one for one in SHIPPED.document["correlations"] if one["name"] == "agents-down")

    def rule_id(**more: Any) -> str:
        (found,) = CompiledPolicy(
            SHIPPED.document | {"correlations": [rule | more]}
        ).correlations.values()
        return found.rule_id

    assert {rule_id(), rule_id(within="300s"), rule_id(escalate=False, severity=[])} == {SHAPE}
    others = [
        rule_id(count=4),
        rule_id(by=["team"]),
        rule_id(name="agents-away"),
        rule_id(match=['alertname="AgentDown"']),
    ]
    assert len({SHAPE, *others}) == 5
