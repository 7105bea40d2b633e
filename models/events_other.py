"""Escalations, follow-up tasks, silences and dead letters, in the shape of their JSON."""

from dataclasses import dataclass, field
from enum import StrEnum

from models.event_field import about
from models.reason import Reason
from models.severity import Severity

_INCIDENT = "INC-20260412T031502Z-00K3F"
_START, _LATER = "2026-04-12T03:15:02.000Z", "2026-04-12T03:20:00.000Z"


@dataclass(frozen=True, slots=True)
class EscalatedTo:
    """A contact of the policy. An address that it does not have is empty."""

    name: str = field(metadata=about("its name", "Lead SRE"))
    email: str = field(metadata=about("an address for mail", "lead@example.org"))
    chat: str = field(metadata=about("a room or a person", "#ops"))
    pager: str = field(metadata=about("a pager's address", "lead"))


@dataclass(frozen=True, slots=True)
class Escalated:
    """The next step of a chain was called (topic `tocsin.escalations`)."""

    id: str = field(metadata=about("unique: partition, offset and number", "0-15-5"))
    kind: str = field(metadata=about("always `Escalated`", "Escalated"))
    at: str = field(metadata=about("engine time", _LATER))
    policy: str = field(metadata=about("fingerprint of the policy in force", "c0ffee12ab34"))
    incident: str = field(metadata=about("the incident, and the record's key", _INCIDENT))
    severity: Severity = field(metadata=about("the incident's", "P0"))
    component: str = field(metadata=about("what is broken", "cart"))
    scope: str = field(metadata=about("its cluster, namespace and environment", "namespace shop"))
    owner: str = field(metadata=about("the team", "platform"))
    title: str = field(metadata=about("the incident's", "PodRestarts: shop/cart-7d9f"))
    rule: str = field(
        metadata=about("an escalation rule, or unacknowledged, manual, forgotten", "p0-lasting")
    )
    because: str = field(metadata=about("why", "Not acknowledged for 5m"))
    records: tuple[str, ...] = field(metadata=about("positions of what caused it", ["0-15"]))
    step: int = field(metadata=about("the step of the chain that is called", 2))
    steps: int = field(metadata=about("how many it has", 4))
    to: EscalatedTo = field(
        metadata=about(
            "the contact",
            {"name": "Lead SRE", "email": "lead@example.org", "chat": "", "pager": "lead"},
        )
    )
    next: str = field(metadata=about("what to do first; may be empty", "Check its log"))
    late_ms: int = field(metadata=about("how late it is, after an outage of ours", 0))


class TaskState(StrEnum):
    """The states of a follow-up task."""

    OPEN = "open"
    DONE = "done"
    LAPSED = "lapsed"  # nobody did it in spite of all reminders


@dataclass(frozen=True, slots=True)
class TaskSnapshot:
    """A task that a closed incident left (topic `tocsin.followups`)."""

    id: str = field(metadata=about("unique: partition, offset and number", "0-90-2"))
    kind: str = field(metadata=about("always `Task`", "Task"))
    at: str = field(metadata=about("engine time", _LATER))
    policy: str = field(metadata=about("fingerprint of the policy in force", "c0ffee12ab34"))
    task: str = field(metadata=about("its id, and the record's key", f"{_INCIDENT}.root-cause"))
    incident: str = field(metadata=about("the incident that left it", _INCIDENT))
    name: str = field(metadata=about("the policy's name of it", "root-cause"))
    title: str = field(metadata=about("what is to be done", "Name the root cause: PodRestarts"))
    steps: tuple[str, ...] = field(metadata=about("how", ["Ask the team"]))
    owner: str = field(metadata=about("the team", "platform"))
    severity: Severity = field(metadata=about("the incident's", "P0"))
    made_at: str = field(metadata=about("when it was made", _START))
    due_at: str = field(metadata=about("when it is due", _LATER))
    state: TaskState = field(metadata=about("where it is in its life", "open"))
    done_at: str | None = field(metadata=about("when it was done, or null", None))
    done_by: str = field(metadata=about("by whom; may be empty", ""))
    reminded: int = field(metadata=about("how often its owner was reminded", 0))


@dataclass(frozen=True, slots=True)
class SilenceSnapshot:
    """A silence (topic `tocsin.silences`)."""

    id: str = field(metadata=about("unique: partition, offset and number", "0-40-0"))
    kind: str = field(metadata=about("always `Silence`", "Silence"))
    at: str = field(metadata=about("engine time", _START))
    policy: str = field(metadata=about("fingerprint of the policy in force", "c0ffee12ab34"))
    silence: str = field(metadata=about("its id, and the record's key", "5d0e7c1a"))
    matchers: tuple[tuple[str, ...], ...] = field(
        metadata=about("label, operator (=, !=, =~, !~) and value", [["namespace", "=", "shop"]])
    )
    starts_at: str = field(metadata=about("from when it is in force", _START))
    ends_at: str = field(metadata=about("until when", _LATER))
    by: str = field(metadata=about("who made it", "ann"))
    comment: str = field(metadata=about("why; may be empty", "maintenance"))
    annotations: dict[str, str] = field(
        metadata=about("what its maker noted besides; they decide nothing", {"ticket": "OPS-17"})
    )
    updated_at: str = field(metadata=about("when it was made or changed", _START))


@dataclass(frozen=True, slots=True)
class DeadLettered:
    """A record that was refused (topic `tocsin.deadletter`)."""

    id: str = field(metadata=about("unique: partition, offset and number", "0-41-0"))
    kind: str = field(metadata=about("always `DeadLettered`", "DeadLettered"))
    at: str = field(metadata=about("engine time", _START))
    policy: str = field(metadata=about("fingerprint of the policy in force", "c0ffee12ab34"))
    reason: Reason = field(metadata=about("why", "malformed"))
    message: str = field(metadata=about("what was found and what was expected", "it is not JSON"))
    topic: str = field(metadata=about("`journal` or `raw`", "journal"))
    partition: int = field(metadata=about("where the record stands", 0))
    offset: int = field(metadata=about("where the record stands", 41))
    encoding: str = field(metadata=about("of `value`: `utf-8` or `base64`", "utf-8"))
    value: str = field(metadata=about("the record, or its first MiB", "garbage"))
    bytes: int | None = field(
        default=None,
        metadata=about("how long the record is", 2_000_000, when="the value is cut"),
    )


@dataclass(frozen=True, slots=True)
class Resubmitted:
    """A dead letter was sent again (topic `tocsin.deadletter`)."""

    id: str = field(metadata=about("unique: partition, offset and number", "0-42-0"))
    kind: str = field(metadata=about("always `Resubmitted`", "Resubmitted"))
    at: str = field(metadata=about("engine time", _LATER))
    policy: str = field(metadata=about("fingerprint of the policy in force", "c0ffee12ab34"))
    letter: str = field(metadata=about("the id of the dead letter", "0-41-0"))
    by: str = field(metadata=about("who sent it again", "ann"))
