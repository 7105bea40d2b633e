"""The newest state of each alert that is known (topic `tocsin.alerts`), in the shape of its JSON."""

from dataclasses import dataclass, field
from enum import StrEnum

from models.event_field import about
from models.severity import Severity

_START, _LATER = "2026-04-12T03:15:02.000Z", "2026-04-12T03:20:00.000Z"


class AlertState(StrEnum):
    """Whether an alert fires, or how it ended."""

    ACTIVE = "active"
    SUPPRESSED = "suppressed"  # it fires, and something says that nobody is notified of it now
    RESOLVED = "resolved"  # a sender said that it ended
    EXPIRED = "expired"  # its time to live ran out
    LOST = "lost"  # the same, of one whose sender says when it ends
    REPLACED = "replaced"  # the same labels fire with another severity

    @property
    def fires(self) -> bool:
        """Whether it is one of an alert that fires."""
        return self in (AlertState.ACTIVE, AlertState.SUPPRESSED)


class Unnotified(StrEnum):
    """Why nobody was notified of an alert. There are no other exceptions."""

    SILENCED = "silenced"  # an operator's silence covers it
    EXPLAINED = "explained"  # a dependency or a correlation explains it
    INHIBITED = "inhibited"  # an inhibition rule of the policy matches it
    MUTED = "muted"  # a mute rule, or the hours of its team
    ENDED_FIRST = "ended_first"  # it was over before anybody could be notified


class SuppressorKind(StrEnum):
    """What suppresses an alert."""

    SILENCE = "silence"
    DEPENDENCY = "dependency"
    CORRELATION = "correlation"
    INHIBITION = "inhibition"
    MUTE = "mute"


class AlertOrigin(StrEnum):
    """Who says that an alert fires."""

    SENDER = "sender"
    HEARTBEAT = "heartbeat"  # a sender, of an alert that always fires
    TOCSIN = "tocsin"  # a heartbeat is missing, or a bound is near


@dataclass(frozen=True, slots=True)
class Suppressor:
    """What says that nobody is notified of an alert now."""

    kind: SuppressorKind = field(metadata=about("what it is", "silence"))
    name: str = field(
        metadata=about("the silence's id, the rule's name, or `hours`", "0a1b2c3d-silence")
    )
    source: str = field(
        metadata=about(
            "of a rule: the fingerprint, or the incident, that explains it; else empty. Another "
            "source of the same name may have taken over since",
            "",
        )
    )
    incident: str = field(
        metadata=about("the incident that it is a member of for so long; may be empty", "")
    )
    text: str = field(
        metadata=about("the same as a sentence", "Silenced by ann until 2026-04-12T03:20:00.000Z")
    )


@dataclass(frozen=True, slots=True)
class AlertSnapshot:
    """An alert changed: it fires, is suppressed or not, or ended. A repeat is no change."""

    id: str = field(metadata=about("unique: partition, offset and number", "0-15-6"))
    kind: str = field(metadata=about("always `Alert`", "Alert"))
    at: str = field(metadata=about("engine time", _START))
    policy: str = field(metadata=about("fingerprint of the policy in force", "c0ffee12ab34"))
    alert: str = field(
        metadata=about(
            "its fingerprint, as Alertmanager's, and the record's key", "4b6e8f0a12c3d4e5"
        )
    )
    state: AlertState = field(metadata=about("whether it fires, or how it ended", "active"))
    reason: Unnotified | None = field(
        metadata=about(
            "why nobody was notified of it since it fires; null while somebody may still be, or was",
            None,
        )
    )
    suppressed_by: tuple[Suppressor, ...] = field(
        metadata=about("what suppresses it; empty in any other state", [])
    )
    incident: str = field(
        metadata=about(
            "the incident that it belongs to; may be empty", "INC-20260412T031502Z-00K3F"
        )
    )
    follows: str = field(
        metadata=about(
            "the alert that it is of, which another sender sent first: that one has the incident, "
            "and is suppressed or not; else empty",
            "",
        )
    )
    severity: Severity = field(metadata=about("the policy's severity of it", "P0"))
    owner: str = field(metadata=about("the team that the policy gives it", "platform"))
    receivers: tuple[str, ...] = field(
        metadata=about("teams that are notified by the policy in force", ["platform"])
    )
    component: str = field(metadata=about("what is broken", "cart"))
    scope: str = field(metadata=about("its cluster, namespace and environment", "namespace shop"))
    labels: dict[str, str] = field(metadata=about("all its labels", {"alertname": "PodRestarts"}))
    annotations: dict[str, str] = field(
        metadata=about("its annotations; long ones are cut, and say so", {"summary": "It restarts"})
    )
    generator_url: str = field(
        metadata=about("where it comes from; may be empty", "https://prometheus.example.org/graph")
    )
    starts_at: str = field(metadata=about("since when it fires, as its sender says", _START))
    fired_at: str | None = field(
        metadata=about(
            "engine time at which it began to fire; null when it was never heard", _START
        )
    )
    heard_at: str = field(
        metadata=about("when it was heard of last, as of this event; repeats move it on", _START)
    )
    unheard_at: str | None = field(
        metadata=about("since when it fires on though nobody says so, or null", None)
    )
    ended_at: str | None = field(metadata=about("when it ended; null while it fires", None))
    ttl_ms: int = field(
        metadata=about("for how long it fires after its last word, if no other comes", 300_000)
    )
    until_resolved: bool = field(
        metadata=about(
            "whether its sender says when it ends: then silence is no end", example=False
        )
    )
    origin: AlertOrigin = field(metadata=about("who says that it fires", "sender"))
