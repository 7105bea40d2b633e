"""Nearness in the engine: who asks, who keeps quiet, what is told late, and what is refused."""

import copy
from typing import Any

import orjson
import pytest

from app.core.engine import Engine
from app.core.rules.compiled_policy import CompiledPolicy
from app.core.state.near_memory import NearMemory
from app.policy.simulator import signal_record
from app.transport.log import StoredRecord
from models.alert import fingerprint
from models.effect import Effect, Stream
from models.journal import TICK, encode_policy
from tests.support.scenario import START_MS, alert_record
from tests.support.shipped_policy import shipped

HOUR_MS, DAY_MS = 3_600_000, 86_400_000
HOST = "h1.example.org"


def policy(**rule: Any) -> CompiledPolicy:
    """The shipped policy with a rule of nearness, or with none."""
    document = copy.deepcopy(shipped().document)
    return CompiledPolicy(document | {"nearness": [{"name": "near", **rule}]})


class Story:
    """An engine that is fed alerts, a day after its first one, and the messages that it leaves."""

    def __init__(self, rules: CompiledPolicy) -> None:
        self.rules, self.engine, self.at_ms = rules, Engine(0, rules), START_MS
        self.effects: list[Effect] = []
        self.late: list[StoredRecord] = []  # messages that are on their way
        self.held_back = b"\n"  # messages that begin so stay on their way
        self._offset = 0
        self.fire("Early", "elsewhere")
        self.end("Early", "elsewhere")
        self.at_ms += DAY_MS

    def feed(self, record: StoredRecord) -> None:
        """Apply a record, and the messages that follow from it."""
        records = [record]
        while records:
            record = records.pop(0)
            record.offset, record.timestamp = self._offset, self.at_ms
            self._offset += 1
            effects = self.engine.apply([record])
            self.effects += effects
            for effect in effects:
                if effect.stream is Stream.JOURNAL:
                    message = signal_record(effect, self.at_ms)
                    late = effect.value.startswith(self.held_back)
                    (self.late if late else records).append(message)

    def fire(self, name: str, component: str, **labels: str) -> None:
        """An alert begins to fire, a second after what was before."""
        self._tell(name, component, labels, firing=True)

    def end(self, name: str, component: str, **labels: str) -> None:
        """An alert is resolved."""
        self._tell(name, component, labels, firing=False)

    def _tell(self, name: str, component: str, labels: dict[str, str], *, firing: bool) -> None:
        self.at_ms += 1000
        labels = {"alertname": name, "component": component, "severity": "warning"} | labels
        place = self.rules.place(labels, fingerprint(labels)).key
        more = {"ttl_ms": 7_200_000, "until_resolved": True}
        self.feed(alert_record(self.at_ms, labels, place, firing=firing, **more))

    def wait(self, ms: int) -> None:
        """Time passes."""
        self.at_ms += ms
        self.feed(StoredRecord(-1, self.at_ms, None, TICK))

    def bodies(self, stream: Stream) -> list[dict[str, Any]]:
        """What a stream was told."""
        return [orjson.loads(one.value) for one in self.effects if one.stream is stream]

    def messages(self, start: bytes) -> int:
        """How many messages between actors begin so."""
        return sum(
            one.stream is Stream.JOURNAL and one.value.startswith(start) for one in self.effects
        )

    def quiet(self) -> list[str]:
        """The components of which an incident that fires keeps quiet."""
        incidents = self.engine.state.incidents.values()
        return [one.component for one in incidents if one.suppressed]

    def members(self, component: str) -> dict[str, bool]:
        """The members of a component's incident: their components, and whether they fire."""
        incidents = self.engine.state.incidents.values()
        found = next(one for one in incidents if one.component == component)
        return {one.component: one.firing for one in found.members.values()}


def joined(**rule: Any) -> Story:
    """Two incidents of one host: the second keeps quiet because of the first."""
    story = Story(policy(**rule))
    story.fire("DiskSlow", "mail", instance=HOST)
    story.fire("QueueLong", "shop", instance=HOST)
    return story


def test_the_second_incident_of_a_host_keeps_quiet() -> None:
    """It is a member of the first, and says so."""
    story = joined()
    parents = [one.parents for one in story.engine.state.incidents.values()]

    assert (story.quiet(), story.members("mail")) == (["shop"], {"shop": True})
    root, member = story.engine.state.incidents.values()
    assert parents == [[], [root.id]]
    assert member.near is not None
    assert "h1.example.org too, 1 s apart" in member.near.because


@pytest.mark.parametrize("labels", [{"severity": "critical"}, {"severity": "high"}, {"team": "ai"}])
def test_a_false_join_costs_no_page(labels: dict[str, str]) -> None:
    """A member that is urgent, or another team's, is notified as if it were near nothing."""
    story = Story(policy())
    story.fire("DiskSlow", "mail", instance=HOST)
    story.fire("QueueLong", "shop", instance=HOST, **labels)
    story.wait(60_000)

    assert (story.quiet(), story.members("mail")) == ([], {"shop": True})
    told = {one["component"] for one in story.bodies(Stream.NOTIFICATIONS)}
    assert {"mail", "shop"} <= told


def test_a_worse_member_is_notified() -> None:
    """A P2 that joins a P3 pages."""
    story = Story(policy())
    story.fire("DiskSlow", "mail", instance=HOST, severity="info")
    story.fire("QueueLong", "shop", instance=HOST)

    assert (story.quiet(), story.members("mail")) == ([], {"shop": True})


def test_what_always_escalates_never_joins() -> None:
    """Neither does a rule hear of it."""
    story = Story(policy())
    before = story.messages(b'{"signal":"near"')
    story.fire("DataLoss", "mail", instance=HOST)
    story.fire("Intrusion", "shop", instance=HOST)

    assert story.messages(b'{"signal":"near"') == before


def test_what_another_rule_may_explain_does_not_ask() -> None:
    """The author of that rule knows better."""
    story = Story(policy())
    before = story.messages(b'{"signal":"near"')
    story.fire("CriticAgentDown", "critic", instance=HOST)
    story.fire("SlowResponse", "api", instance=HOST)

    assert story.messages(b'{"signal":"near"') == before


def test_a_repeat_and_one_more_alert_ask_nothing() -> None:
    """Only an incident that opens asks. One more of its alerts keeps quiet with it."""
    story = joined()
    before = story.messages(b"")
    story.fire("QueueLong", "shop", instance=HOST)
    story.fire("QueueStuck", "shop", pod="q")

    assert (story.messages(b""), story.quiet()) == (before, ["shop"])


def test_an_urgent_alert_ends_the_quiet_of_its_incident() -> None:
    """It is named at once, and only what is no worse than before keeps quiet."""
    story = joined()
    story.fire("QueueLost", "shop", instance=HOST, severity="critical")

    opened = [one for one in story.bodies(Stream.NOTIFICATIONS) if one["component"] == "shop"]
    assert story.quiet() == []
    assert {one["severity"] for one in opened} == {"P0"}
    assert any(one["wakes"] for one in opened)


def test_the_root_is_over_when_its_members_are() -> None:
    """Its own alerts may end first."""
    story = joined()
    story.end("DiskSlow", "mail", instance=HOST)
    states = [one.state for one in story.engine.state.incidents.values()]
    story.end("QueueLong", "shop", instance=HOST)

    assert states == ["open", "open"]
    assert [one.state for one in story.engine.state.incidents.values()] == ["resolved"] * 2


def test_what_opens_after_the_root_has_ended_follows_it() -> None:
    """It is the next root, is notified, takes members, and says which incident it follows."""
    story = joined()
    story.end("QueueLong", "shop", instance=HOST)
    story.end("DiskSlow", "mail", instance=HOST)
    story.fire("SiteSlow", "site", instance=HOST)
    story.fire("CacheFull", "cache", instance=HOST)

    first = next(iter(story.engine.state.incidents))
    incidents = {one.component: one for one in story.engine.state.incidents.values()}
    assert incidents["site"].parents == [first]
    assert incidents["cache"].parents == [incidents["site"].id]
    assert story.quiet() == ["cache"]
    follows = [entry for entry in story.bodies(Stream.TIMELINE) if entry["kind"] == "Follows"]
    assert [(entry["incident"], entry["parent"]) for entry in follows] == [
        (incidents["site"].id, first)
    ]
    assert follows[0]["text"].startswith(f"Follows {first}, which has ended: {HOST} too, ")


def test_who_follows_follows_no_more_after_its_end() -> None:
    """The word that it follows another may come when it has ended; then it changes nothing."""
    story = joined()
    story.end("QueueLong", "shop", instance=HOST)
    story.end("DiskSlow", "mail", instance=HOST)
    story.held_back = b'{"suppression":"near/all"'
    story.fire("SiteSlow", "site", instance=HOST)
    story.end("SiteSlow", "site", instance=HOST)
    story.held_back = b"\n"
    late = story.late.pop()
    story.feed(late)

    site = next(one for one in story.engine.state.incidents.values() if one.component == "site")
    assert site.parents == []


def test_an_answer_that_comes_after_the_end_ends_the_membership() -> None:
    """Otherwise the root would wait for ever for an end that was told before it knew of the member."""
    story = Story(policy())
    story.fire("DiskSlow", "mail", instance=HOST)
    story.held_back = b'{"suppression":"near'
    story.fire("QueueLong", "shop", instance=HOST)
    story.end("QueueLong", "shop", instance=HOST)
    before = story.members("mail")
    late = story.late.pop()
    late.headers = ()  # of another partition, whose messages are older
    story.feed(late)

    assert (before, story.members("mail")) == ({"shop": True}, {"shop": False})


def test_a_rule_that_is_gone_keeps_nothing_quiet_and_no_root_open() -> None:
    """What it remembers is forgotten too."""
    story = joined()
    story.end("DiskSlow", "mail", instance=HOST)
    without = CompiledPolicy(shipped().document | {"nearness": []})
    change = encode_policy(without.fingerprint, without.document)
    story.feed(StoredRecord(-1, story.at_ms, None, change))

    states = {one.component: str(one.state) for one in story.engine.state.incidents.values()}
    assert (story.quiet(), states) == ([], {"mail": "resolved", "shop": "open"})
    assert story.engine.state.near.groups == {}


def test_other_constants_keep_what_is_joined() -> None:
    """Only what counts differently begins anew."""
    story = joined()
    changed = policy(chance=10)
    story.feed(
        StoredRecord(-1, story.at_ms, None, encode_policy(changed.fingerprint, changed.document))
    )

    assert (story.quiet(), len(story.engine.state.near.groups)) == (["shop"], 1)


def test_shards_know_nothing_of_each_other() -> None:
    """With `by: [cluster]` only what is in the same cluster is near, and what names none is near nothing."""
    story = Story(policy(by=["cluster"]))
    for cluster in ("eu", "us", "eu"):
        story.fire(f"Down{cluster}", f"mail{story.at_ms}", instance=HOST, cluster=cluster)
    story.fire("Down", "shop", instance=HOST)

    assert sorted(group for _, group in story.engine.state.near.groups) == ["eu", "us"]
    assert len(story.quiet()) == 1


@pytest.mark.parametrize("off", ["place", "kind", "again"])
def test_a_reason_can_be_switched_off(off: str) -> None:
    """Then two incidents of one host stay two, or not."""
    assert joined(**{off: False}).quiet() == ([] if off == "place" else ["shop"])


def test_background_has_incidents_of_its_own() -> None:
    """What comes all day and is never resolved does not hold the component's incident open."""
    story = Story(policy(background={"hours": 4}))
    for _ in range(6):
        story.fire("Noise", "mail")
        story.wait(2 * HOUR_MS + 1_200_000)
    story.fire("Noise", "mail")
    story.fire("Down", "mail")

    classes = [one.incident_class for one in story.engine.state.incidents.values()]
    assert sorted(classes) == ["background", "operations"]


@pytest.mark.parametrize(
    ("rule", "labels"),
    [({"background": False}, {}), ({"background": {"hours": 4}}, {"severity": "high"})],
)
def test_background_can_be_off_and_is_never_urgent(
    rule: dict[str, Any], labels: dict[str, str]
) -> None:
    """Then its incidents are like all others."""
    story = Story(policy(**rule))
    for _ in range(6):
        story.fire("Noise", "mail", **labels)
        story.wait(2 * HOUR_MS + 1_200_000)
    story.fire("Noise", "mail", **labels)

    assert [one.incident_class for one in story.engine.state.incidents.values()] == ["operations"]


def test_alerts_that_began_longest_ago_are_forgotten_first() -> None:
    """The memory of hours has a bound, and a restart changes nothing."""
    memory, items = NearMemory(3), dict[bytes, bytes]()
    for number in (1, 2, 3, 1, 4):
        memory.begin(f"alert {number}", 7)
        for key, value in memory.changed_records():
            items.pop(key, None)
            items |= {} if value is None else {key: value}

    assert list(memory.begun) == ["alert 3", "alert 1", "alert 4"]
    restored = NearMemory(3)
    for key, value in reversed(items.items()):
        restored.load_begun(key[2:], orjson.loads(value))
    restored.end_load()
    assert restored.begun == memory.begun
    assert len(items) == memory.number_of_keys == 3


@pytest.mark.parametrize(
    "near",
    [
        None,
        {},
        {"places": "x", "kind": "", "labels": [], "hours": 0},
        {"places": ["x" * 500], "kind": "", "labels": [], "hours": 0},
        {"places": ["x"] * 13, "kind": "", "labels": [], "hours": 0},
        {"places": [], "kind": "", "labels": ["x"], "hours": 0},
        {"places": [], "kind": "", "labels": [2**32], "hours": 0},
        {"places": [], "kind": "", "labels": [1] * 65, "hours": 0},
        {"places": [], "kind": "", "labels": [], "hours": 25},
        {"places": [], "kind": "", "labels": [], "hours": True},
    ],
)
def test_a_signal_that_is_none_is_a_dead_letter(near: object) -> None:
    """Whatever is in it, nothing changes."""
    story = Story(policy())
    story.held_back = b'{"signal":"near'
    story.fire("DiskSlow", "mail", instance=HOST)
    record = story.late.pop()
    document = orjson.loads(record.value or b"") | {"near": near}
    story.feed(StoredRecord(-1, story.at_ms, record.key, orjson.dumps(document)))

    assert [one["reason"] for one in story.bodies(Stream.DEADLETTER)] == ["malformed"]


def test_a_lru_map_of_a_rule_survives_a_restart() -> None:
    """What the changelog holds is what was known."""
    story = joined()
    items = {key: value for key, value in story.engine.checkpoint() if value is not None}
    restored = Engine.restore(0, story.rules, items)

    assert restored.state.near.groups == story.engine.state.near.groups
    assert restored.state.near.begun == story.engine.state.near.begun
    nears = [one.near for one in restored.state.incidents.values()]
    assert nears == [one.near for one in story.engine.state.incidents.values()]


def test_what_is_urgent_by_its_rule_waits_for_nothing() -> None:
    """A heartbeat that is missing is a P1, whatever its labels say."""
    document = copy.deepcopy(policy().document)
    document["notify"]["group_wait"] = 0
    story = Story(CompiledPolicy(document))
    story.fire("Watchdog", "prometheus", severity="none")
    story.wait(600_000)

    opened = [one for one in story.bodies(Stream.NOTIFICATIONS) if one["severity"] == "P1"]
    assert {one["kind"] for one in opened} == {"opened"}


@pytest.mark.parametrize("skew_ms", [-6 * HOUR_MS, 6 * HOUR_MS])
def test_a_sender_whose_clock_is_hours_off_is_near_by_the_journals_clock(skew_ms: int) -> None:
    """Neither is the join missed, nor does the time of nearness go back or run ahead."""
    story = Story(policy())
    story.fire("DiskSlow", "mail", instance=HOST)
    labels = {"alertname": "QueueLong", "component": "shop", "severity": "warning"}
    labels["instance"] = HOST
    place = story.rules.place(labels, fingerprint(labels)).key
    story.at_ms += 1000
    story.feed(alert_record(story.at_ms + skew_ms, labels, place, until_resolved=True))

    [near] = story.engine.state.near.groups.values()
    assert (story.quiet(), near.now_ms) == (["shop"], story.at_ms)
