"""Commands from chats, pagers and links: each key counts once, and the second of two hears who was first."""

from typing import Any

import orjson
import pytest

from app.core.engine import Engine
from app.core.incidents.acts import KEYS_KEPT
from app.core.rules.compiled_policy import CompiledPolicy
from app.transport.log import StoredRecord
from models.effect import Stream
from models.journal import TICK, encode_command
from tests.support.scenario import START_MS, alert_record, keep
from tests.support.shipped_policy import shipped

LABELS = {"alertname": "DiskFull", "component": "db", "severity": "critical"}


class Partition:
    """One partition with one incident."""

    def __init__(self, policy: CompiledPolicy | None = None) -> None:
        self.policy = policy or shipped()
        self.engine = Engine(0, self.policy)
        self.offset = 0
        self.items: dict[bytes, bytes] = {}
        key = self.policy.place(LABELS, "f").key
        alert = alert_record(START_MS, LABELS, key, firing=True)
        self.apply(alert.value or b"")
        [self.incident] = self.engine.state.incidents

    def act(self, command: str, key: str, by: str = "ann") -> str:
        """What the timeline says of a command first."""
        value = encode_command(command, self.incident, by, text="hm", through="link", key=key)
        text: str = self.apply(value)[0]["text"]
        return text

    def messages(self, command: str) -> list[tuple[str, str, str]]:
        """Kind, channel and receiver of the messages that a command causes."""
        value = encode_command(command, self.incident, "ann")
        told = self.apply(value, Stream.NOTIFICATIONS)
        return [(one["kind"], one["channel"], one["receiver"]) for one in told]

    def restart(self) -> None:
        """Go on from the changelog, as another worker would."""
        keep(self.items, self.engine)
        self.engine = Engine.restore(0, self.policy, self.items)

    def apply(self, value: bytes, stream: Stream = Stream.TIMELINE, after_ms: int = 0) -> list[Any]:
        """The effects of one more record in one topic."""
        record = StoredRecord(self.offset, START_MS + self.offset + after_ms, b"", value)
        self.offset += 1
        effects = self.engine.apply([record])
        return [orjson.loads(one.value) for one in effects if one.stream is stream]


def test_a_key_counts_once() -> None:
    """Also after a restart; another key counts."""
    partition = Partition()

    first, again = partition.act("note", "k"), partition.act("note", "k")
    partition.restart()
    after = partition.act("note", "k")
    other = partition.act("note", "other")

    refused = "note by ann was refused: it was carried out before"
    assert (first, again, after, other) == ("ann: hm", refused, refused, "ann: hm")


@pytest.mark.parametrize(
    ("command", "text"),
    [
        (
            "acknowledge",
            "acknowledge by bob was refused: ann acknowledged it first, at 2025-06-15T15:06:40.001Z",
        ),
        (
            "resolve",
            "resolve by bob was refused: ann resolved it first, at 2025-06-15T15:06:40.001Z",
        ),
    ],
)
def test_the_second_hears_who_was_first(command: str, text: str) -> None:
    """A button shows what was a moment ago."""
    partition = Partition()

    partition.act(command, "a")
    second = partition.act(command, "b", "bob")

    assert second == text


def test_what_joined_since_can_be_acknowledged() -> None:
    """A P0 that joins an acknowledged incident goes on to page until its own button is pressed."""
    partition = Partition()
    partition.act("acknowledge", "a")
    labels = LABELS | {"alertname": "DataLossRisk", "severity": "critical"}
    key = partition.policy.place(labels, "f").key
    partition.apply(alert_record(START_MS, labels, key, firing=True).value or b"")
    unaware = partition.act("acknowledge", "b", "bob")
    partition.apply(TICK, after_ms=partition.policy.policy.notify.group_interval)

    aware = partition.act("acknowledge", "c", "bob")

    assert "ann acknowledged it first" in unaware
    assert aware == "bob acknowledged it: hm"


def test_at_the_keyboard_somebody_else_takes_over() -> None:
    """A command without a key says what is meant now: bob takes it from ann."""
    partition = Partition()
    partition.act("acknowledge", "a")

    taken = partition.act("acknowledge", "", "bob")

    assert taken == "bob acknowledged it: hm"


def test_a_refused_act_may_be_tried_again() -> None:
    """Its key was not used up."""
    partition = Partition()
    partition.act("resolve", "a")

    refused = partition.act("escalate", "k")
    partition.act("reopen", "b")
    tried = partition.act("escalate", "k")

    assert ("was refused" in refused, tried.startswith("ann escalated it")) == (True, True)


def test_the_keys_that_are_kept_have_a_bound() -> None:
    """The newest are kept."""
    partition = Partition()

    for number in range(KEYS_KEPT + 10):
        partition.act("note", str(number))

    [incident] = partition.engine.state.incidents.values()
    assert incident.act_keys == [str(number) for number in range(10, KEYS_KEPT + 10)]


@pytest.mark.parametrize("key", ["7", "[]", "null"])
def test_a_key_that_is_no_text_is_refused(key: str) -> None:
    """Whoever wrote it."""
    partition = Partition()
    value = encode_command("note", partition.incident, "ann", text="hm", key=orjson.loads(key))

    effects = partition.apply(value, Stream.DEADLETTER)

    assert [one["reason"] for one in effects] == ["malformed"]


def test_an_acknowledgement_reaches_the_pagers_that_were_called() -> None:
    """With the channel `pager`: the first on call, and each step that was called. Else nobody's."""
    document = shipped().document
    notify = document["notify"] | {"acknowledged": ["chat", "pager"]}
    policies = (shipped(), CompiledPolicy(document | {"notify": notify}))
    told = []
    for policy in policies:
        partition = Partition(policy)
        partition.act("escalate", "k")
        told.append({one[2] for one in partition.messages("acknowledge") if one[1] == "pager"})

    [incident] = partition.engine.state.incidents.values()
    chain = policies[0].chain(incident.owner)
    assert told == [set(), {contact.name for contact in chain[:2]}]
