"""The snapshot of an incident (topic `tocsin.incidents`), in the shape of its JSON."""

from dataclasses import dataclass, field

from models.event_field import about
from models.events import NotifiedAlert
from models.incident import State
from models.severity import Severity

_ID = "INC-20260412T031502Z-00K3F"
_START, _LATER = "2026-04-12T03:15:02.000Z", "2026-04-12T03:20:00.000Z"


@dataclass(frozen=True, slots=True)
class Clock:
    """A response time target of an incident."""

    due_at: str = field(metadata=about("when it is missed", _LATER))
    state: str = field(metadata=about("running, warned, breached or met", "running"))


@dataclass(frozen=True, slots=True)
class Assessment:
    """What somebody said of an incident's scope."""

    verdict: str = field(metadata=about("`genuine` or `false-positive`", "genuine"))
    scope: str = field(metadata=about("whom it strikes; may be empty", "checkout"))
    by: str = field(metadata=about("who said so", "ann"))


@dataclass(frozen=True, slots=True)
class IncidentMember:
    """An alert of another incident that belongs to this one, by a rule or because it is near."""

    alert: str = field(metadata=about("its fingerprint", "4b6e8f0a12c3d4e5"))
    name: str = field(metadata=about("its alertname", "AgentDown"))
    component: str = field(metadata=about("its component", "agent-1"))
    scope: str = field(metadata=about("its cluster, namespace and environment", "namespace ai"))
    incident: str = field(metadata=about("its own incident", _ID))
    firing: bool = field(metadata=about("whether it fires", example=True))


@dataclass(frozen=True, slots=True)
class IncidentSnapshot:
    """An incident as it is now. The newest record of an id is in force.

    What people act on is shown with the journal record that changes it. That more alerts belong to
    it, or fewer fire, is shown at most once a second.
    """

    id: str = field(metadata=about("unique: partition, offset and number", "0-15-4"))
    kind: str = field(metadata=about("always `Incident`", "Incident"))
    at: str = field(metadata=about("engine time", _START))
    policy: str = field(metadata=about("fingerprint of the policy in force", "c0ffee12ab34"))
    incident: str = field(metadata=about("its id, and the record's key", _ID))
    state: State = field(metadata=about("where it is in its life", "open"))
    severity: Severity = field(metadata=about("P0 is the worst", "P0"))
    peak_severity: Severity = field(metadata=about("the worst that it was", "P0"))
    incident_class: str = field(
        metadata=about("the policy's class, or `background`", "operations", name="class")
    )
    status: str = field(metadata=about("the class' own word for it; may be empty", ""))
    component: str = field(metadata=about("what is broken", "cart"))
    scope: str = field(metadata=about("its cluster, namespace and environment", "namespace shop"))
    owner: str = field(metadata=about("the team", "platform"))
    title: str = field(metadata=about("alert and place", "PodRestarts: shop/cart-7d9f"))
    next: str = field(metadata=about("what to do first; may be empty", "Check its log"))
    runbook: str = field(metadata=about("the runbook; may be empty", "service-down"))
    opened_at: str = field(metadata=about("when it opened", _START))
    notified_at: str | None = field(metadata=about("the first message; null: none yet", _START))
    acknowledged_at: str | None = field(metadata=about("when it was taken", None))
    acknowledged_by: str = field(metadata=about("by whom; may be empty", ""))
    assignee: str = field(metadata=about("whom it was given to; may be empty", ""))
    mitigated_at: str | None = field(metadata=about("when somebody said so", None))
    mitigated_by: str = field(metadata=about("who; may be empty", ""))
    root_cause: str = field(metadata=about("the root cause; may be empty", ""))
    root_cause_by: str = field(metadata=about("who named it; may be empty", ""))
    assessment: Assessment | None = field(metadata=about("its scope, or null", None))
    eta_at: str | None = field(metadata=about("when it is expected to be over", None))
    complaints: int = field(metadata=about("how many were counted", 0))
    resolved_at: str | None = field(metadata=about("when it was over", None))
    resolved_by: str = field(metadata=about("who said so; empty: its alerts ended", ""))
    closed_at: str | None = field(metadata=about("when it was closed", None))
    reopened: int = field(metadata=about("how often", 0))
    episode: int = field(metadata=about("the part of it that one ring is for", 1))
    flapping: bool = field(metadata=about("whether it comes and goes", example=False))
    escalation_step: int = field(metadata=about("the step of the owner's chain", 1))
    escalated_by: tuple[str, ...] = field(metadata=about("rules that escalated it", []))
    clocks: dict[str, Clock] = field(
        metadata=about(
            "by target: acknowledge, resolve",
            {"acknowledge": {"due_at": _LATER, "state": "running"}},
        )
    )
    suppressed_by: tuple[str, ...] = field(
        metadata=about("why nobody is notified; empty if somebody is", [])
    )
    parents: tuple[str, ...] = field(metadata=about("incidents that it was a member of", []))
    services: tuple[str, ...] = field(metadata=about("services that it has down", ["shop"]))
    alerts: tuple[NotifiedAlert, ...] = field(
        metadata=about("at most 5, the worst and newest first, ended ones last", [])
    )
    alerts_omitted: int = field(metadata=about("how many are left out", 1))
    alerts_firing: int = field(metadata=about("how many fire", 1))
    alerts_total: int = field(metadata=about("how many belong to it", 1))
    common_labels: dict[str, str] = field(
        metadata=about("labels that all of them share", {"namespace": "shop"})
    )
    links: dict[str, str] = field(
        metadata=about("web addresses by title", {"runbook": "https://wiki.example.org/pods"})
    )
    alert_names: dict[str, int] = field(
        metadata=about("at most 20 alertnames, with numbers", {"PodRestarts": 1})
    )
    rule: str = field(metadata=about("the correlation that opened it; may be empty", ""))
    members: tuple[IncidentMember, ...] = field(
        metadata=about("at most 20 alerts of other incidents that belong to it", [])
    )
    opened_by: str = field(metadata=about("position of the record that opened it", "0-15"))
    records: int | None = field(
        metadata=about("alert records that it took, once it is over; else null", None)
    )
