"""What the engine holds at most: a table of the limits, each with what puts any number there."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson

from app.core.alerts.capacity import OWN_COMPONENT
from app.core.engine import Engine
from app.core.rules.compiled_policy import CompiledPolicy
from app.core.state.members import PARTS_BYTES_MAX, Member
from app.core.state.signals import MEMBER_BYTES_MAX
from app.core.state.state import PartitionState
from app.core.suppression import suppression
from app.transport.log import StoredRecord
from models.alert import fingerprint
from models.effect import Stream
from models.journal import TICK, encode_page, encode_signal, encode_silence, encode_suppression
from models.matcher import parse_matcher
from models.severity import Severity
from models.silence import Silence
from tests.support.scenario import START_MS, alert_record, keep
from tests.support.shipped_policy import shipped

MINUTE_MS = 60_000
BOUND = 5  # what a policy's bound is lowered to
REFUSED = "deadletters.bound_reached"


class Partition:
    """An engine that is fed record by record, and restored from its changelog at the end."""

    def __init__(self, **policy: Any) -> None:
        self.engine = Engine(0, CompiledPolicy(shipped().document | policy))
        self.letters: list[str] = []
        self.told: list[str] = []
        self._offset = 0
        self.items: dict[bytes, bytes] = {}
        self.now_ms = START_MS

    def feed(self, *records: StoredRecord) -> None:
        """Apply records at the present time."""
        for record in records:
            record.offset, record.timestamp = self._offset, self.now_ms
            self._offset += 1
            for effect in self.engine.apply([record]):
                if effect.stream is Stream.DEADLETTER:
                    self.letters.append(orjson.loads(effect.value)["message"])
                if effect.stream is Stream.TIMELINE:
                    self.told.append(orjson.loads(effect.value)["kind"])

    def wait(self, duration_ms: int) -> None:
        """Let time pass."""
        self.now_ms += duration_ms
        self.feed(StoredRecord(-1, 0, None, TICK))

    def restored(self) -> PartitionState:
        """The state as the next owner loads it."""
        keep(self.items, self.engine)
        return Engine.restore(0, self.engine.policy, self.items).state


def alert(name: str, component: str, **labels: str) -> StoredRecord:
    """An alert that fires."""
    return alert_record(0, {"alertname": name, "component": component, **labels}, component)


def signal(
    rule: str, group: str, role: str, number: int, pad: str = "", shape: str = ""
) -> StoredRecord:
    """A component tells a rule's actor of an alert."""
    labels = {"component": f"c{number}", "pad": pad}
    member = Member(
        "AgentDown",
        f"c{number}",
        "INC-20260412T031502Z-00K3F",
        Severity.P2,
        True,
        f"0-{number}",
        labels,
    )
    document = {
        "alert": f"{number:016x}",
        **{name: getattr(member, name) for name in member.__slots__},
    }
    return StoredRecord(-1, 0, None, encode_signal(rule, group, role, document, shape))


def silence(number: int) -> StoredRecord:
    """A silence of everything."""
    matchers = (parse_matcher('alertname=~".+"'),)
    one = Silence(f"s{number:04}", matchers, START_MS, START_MS + 60 * MINUTE_MS, "ann", "x" * 2000)
    return StoredRecord(-1, 0, None, encode_silence(one))


def alerts(number: int) -> Partition:
    """So many alerts of one component."""
    partition = Partition(bounds={"alerts": BOUND})
    partition.feed(*(alert(f"A{one}", "c") for one in range(number)))
    return partition


def alert_bytes(number: int) -> Partition:
    """So many alerts of the same size."""
    one = {"alertname": "A0", "component": "c", "severity": "critical"}
    partition = Partition(bounds={"alert_bytes": BOUND * len(orjson.dumps(one) + b"{}")})
    partition.feed(*(alert(f"A{one}", "c", severity="critical") for one in range(number)))
    return partition


def incidents(number: int) -> Partition:
    """Alerts of so many components."""
    partition = Partition(bounds={"incidents": BOUND})
    partition.feed(*(alert("A", f"c{one}") for one in range(number)))
    return partition


def alerts_in_incident(number: int) -> Partition:
    """So many alerts of one component."""
    partition = Partition(bounds={"alerts_in_incident": BOUND})
    partition.feed(*(alert(f"A{one}", "c") for one in range(number)))
    return partition


def members(number: int) -> Partition:
    """So many alerts of the incident that a rule opens."""
    partition = Partition(bounds={"alerts_in_incident": BOUND})
    partition.feed(*(signal("agents-down", "ai", "0", one) for one in range(number)))
    return partition


def large_members(number: int) -> Partition:
    """The same, each as large as a member may be."""
    partition = Partition()
    partition.feed(
        *(signal("agents-down", "ai", "0", one, PAD) for one in range(10_000, 10_000 + number))
    )
    return partition


def targets(number: int) -> Partition:
    """So many alerts that depend on another."""
    partition = Partition(bounds={"alerts_in_incident": BOUND})
    partition.feed(*(signal("needs-ollama", "[]", "target", one) for one in range(number)))
    return partition


def large_targets(number: int) -> Partition:
    """The same, each as large as may be."""
    partition = Partition()
    partition.feed(
        *(
            signal("needs-ollama", "[]", "target", one, PAD)
            for one in range(10_000, 10_000 + number)
        )
    )
    return partition


def groups(number: int) -> Partition:
    """So many groups of rules that look across components: windows and links."""
    partition = Partition(bounds={"groups": BOUND})
    for one in range(number):
        rule, role = ("agents-down", "0") if one % 2 else ("needs-ollama", "target")
        partition.feed(signal(rule, f"g{one}", role, one))
    return partition


def local_groups(number: int) -> Partition:
    """So many groups of a rule about one component."""
    partition = Partition(bounds={"groups": BOUND})
    partition.feed(*(alert("HighErrorRate", f"c{one}") for one in range(number)))
    return partition


def silences(number: int) -> Partition:
    """So many silences."""
    partition = Partition(bounds={"silences": BOUND})
    partition.feed(*(silence(one) for one in range(number)))
    return partition


def tasks(number: int) -> Partition:
    """So many incidents that leave something to do."""
    followups = [{"name": "review", "due": "1d", "remind": "1h", "title": "Review"}]
    partition = Partition(bounds={"tasks": BOUND}, followups=followups)
    for one in range(number):
        partition.feed(alert("ServiceDown", f"c{one}"))
    for one in range(number):
        labels = {"alertname": "ServiceDown", "component": f"c{one}"}
        partition.feed(alert_record(0, labels, f"c{one}", firing=False))
    partition.wait(10 * MINUTE_MS)
    return partition


def holds(number: int) -> Partition:
    """So many silences of an alert that fires."""
    partition = Partition()
    partition.feed(alert("A", "c"), *(silence(one) for one in range(number)))
    return partition


def holds_of_a_new_alert(number: int) -> Partition:
    """So many silences, and then an alert."""
    partition = Partition()
    partition.feed(*(silence(one) for one in range(number)), alert("A", "c"))
    return partition


def parents(number: int) -> Partition:
    """An alert that was a member of so many incidents, one after the other."""
    partition = Partition()
    partition.feed(alert("A", "c"))
    identity = fingerprint({"alertname": "A", "component": "c"})
    for one in range(number):
        because = {"text": "depends on it", "parent": f"INC-{one}"}
        partition.feed(
            StoredRecord(
                -1, 0, None, encode_suppression("needs-ollama/[]", identity, "0-0", because)
            )
        )
    return partition


def receivers(number: int) -> Partition:
    """Messages to so many receivers."""
    partition = Partition()
    for one in range(number):
        body = {
            "incident": "INC-1",
            "severity": "P2",
            "channel": "chat",
            "receiver": f"r{one}",
            "address": "#r",
        }
        partition.feed(StoredRecord(-1, 0, None, encode_page("P2", "opened", body)))
    return partition


def early(number: int) -> Partition:
    """So many alerts for a correlation that the partition does not have yet."""
    partition = Partition()
    for one in range(number):
        partition.feed(signal("agents-down", f"g{one % 2}", "0", one, shape="0123456789ab"))
    return partition


PAD = "\x01" * ((MEMBER_BYTES_MAX - 300) // 6)  # a byte of a label, six of JSON


def _alerts(state: PartitionState) -> int:
    """The alerts but for Tocsin's own, which tell that a bound is near."""
    return sum(one.component != OWN_COMPONENT for one in state.alerts.values())


def _incidents(state: PartitionState) -> int:
    return sum(one.component != OWN_COMPONENT for one in state.incidents.values())


def _size(record: StoredRecord) -> int:
    document = orjson.loads(record.value or b"")["member"]
    del document["alert"]
    return Member(**document).size


LARGE = _size(signal("agents-down", "ai", "0", 10_000, PAD))


def _incident_members(state: PartitionState) -> int:
    return max((len(incident.members) for incident in state.incidents.values()), default=0)


def _link_parts(state: PartitionState) -> int:
    return sum(len(link.targets) + len(link.sources) for link in state.inhibition_groups.values())


def _holds(state: PartitionState) -> int:
    return sum(len(one.suppressions or ()) for one in state.alerts.values())


@dataclass
class Limit:
    """A row of the table.

    What is limited, where, what puts so many there, how many are kept, and what counts the rest.
    """

    limit: int
    put: Callable[[int], Partition]
    kept: Callable[[PartitionState], int]
    counter: str = REFUSED
    patch: str = ""  # the constant that is lowered to the limit for this test


ENGINE_LIMITS = {
    "bounds.alerts": Limit(BOUND, alerts, _alerts),
    "bounds.alert_bytes": Limit(BOUND, alert_bytes, _alerts),
    "bounds.incidents": Limit(BOUND, incidents, _incidents),
    "bounds.alerts_in_incident": Limit(BOUND, alerts_in_incident, _alerts),
    "bounds.alerts_in_incident, members": Limit(BOUND, members, _incident_members),
    "bounds.alerts_in_incident, links": Limit(BOUND, targets, _link_parts),
    "PARTS_BYTES_MAX, members": Limit(PARTS_BYTES_MAX // LARGE, large_members, _incident_members),
    "PARTS_BYTES_MAX, links": Limit(PARTS_BYTES_MAX // LARGE - 1, large_targets, _link_parts),
    "bounds.groups": Limit(
        BOUND, groups, lambda state: len(state.windows) + len(state.inhibition_groups)
    ),
    "bounds.groups, local": Limit(
        BOUND, local_groups, lambda state: len(state.windows), "refused.windows"
    ),
    "bounds.silences": Limit(BOUND, silences, lambda state: len(state.silences)),
    "bounds.tasks": Limit(BOUND, tasks, lambda state: len(state.tasks), "refused.tasks"),
    "HOLDS_MAX": Limit(suppression.SUPPRESSIONS_MAX, holds, _holds, "refused.holds"),
    "HOLDS_MAX, new": Limit(
        suppression.SUPPRESSIONS_MAX, holds_of_a_new_alert, _holds, "refused.holds"
    ),
    "PARENTS_MAX": Limit(
        suppression.PARENTS_MAX,
        parents,
        lambda state: sum(len(one.parents) for one in state.incidents.values()),
        "refused.parents",
    ),
    "EARLY_MAX": Limit(
        BOUND,
        early,
        lambda state: sum(len(window) for window in state.deferred_signals.values()),
        "refused.early",
        patch="app.core.correlation.deferred_signals.DEFERRED_MAX",
    ),
    "RECEIVERS_MAX": Limit(
        BOUND,
        receivers,
        lambda state: len(state.receivers),
        "refused.receivers",
        patch="app.core.notification.digests.RECEIVERS_MAX",
    ),
}
