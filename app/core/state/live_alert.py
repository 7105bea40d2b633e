"""An alert that a partition knows, and what keeps it quiet."""

from dataclasses import dataclass
from typing import NamedTuple

import orjson

from models.alert import Labels
from models.events_alert import AlertState, Unnotified
from models.place import Place
from models.severity import Severity

# The key of the suppression of an alert that waits to see whether a rule suppresses it. No rule has an empty name.
CORRELATION_WAIT = "/wait"

NO_REPEAT = b"\n"  # no record begins so


@dataclass(slots=True)
class Suppression:
    """Why nobody is told of an alert: another one explains it, or an operator silenced it."""

    because: str
    parent: str = ""  # the id of the incident that it is a member of for so long
    source: str = ""  # what explains it: an alert's fingerprint, or an incident's id


class Ending(NamedTuple):
    """How an alert ended, and why nobody was notified of it."""

    state: AlertState
    reason: Unnotified | None


@dataclass(slots=True)
class LiveAlert:
    """An alert that fires, or that ended a while ago.

    Times are engine time in ms, but `starts_ms`, the sender's.
    """

    fingerprint: str
    component: str
    labels: Labels
    annotations: Labels
    severity: Severity
    severity_label: str  # the severity label when the policy does not know it
    owner: str
    incident_class: str
    generator_url: str = ""  # where it came from, for people
    scope: str = ""
    firing: bool = False
    fired_ms: int = 0
    fired_offset: int = 0  # the offset of the record that made it fire
    ended_ms: int = 0
    notifiable_since_ms: int = 0  # since when it fires and nothing keeps it quiet
    named: bool = False  # in a message since it fires
    known_of: bool = False  # what rules were told last: whether somebody knows of it
    unheard_ms: int = 0  # since when it fires on though nobody says so; 0 is not so
    incident: str = ""  # the id of the incident that it belongs to
    joined: int = 0  # the offset of the record by which it joined that incident
    follows: str = ""  # the alert that it is of, which another sender sent first
    own_ended: bool = False  # its own sender says that it is over, and another that it fires
    replaced: bool = False  # it ended as another severity of it began to fire
    until_resolved: bool = False  # its sender says when it ends: one not heard of is lost
    retain_until_ms: int = 0  # when to forget it; 0 while it belongs to an incident
    heartbeat: str = ""  # the name of the absence rule that it is the heartbeat of
    suppressions: dict[str, Suppression] | None = (
        None  # why nobody is told of it, by rule and group or silence; None is an empty one
    )
    changes: list[int] | None = (
        None  # when it began and ended of late, for flapping; None where that is not watched
    )
    # The counters. A repeat changes these and nothing else.
    count: int = 0
    last_ms: int = 0
    ttl_ms: int = 0
    starts_ms: int = 0
    # Derived.
    repeat: bytes = b""  # how the value of a plain repeat begins
    kin: bytes = b""  # what the alerts that may be one have in common (`app.core.alerts.identity`)
    bytes: int = 0  # of its texts as JSON; counted in the state's `alert_bytes`
    timer_ms: int = 0  # when its expiry timer fires; it is set again only then, not at each repeat
    touched: bool = False  # its counters changed since the last checkpoint

    @property
    def place(self) -> Place:
        """Where it is."""
        return Place(self.component, self.scope)

    @property
    def name(self) -> str:
        """The alertname, or the fingerprint of an alert that has none."""
        return self.labels.get("alertname") or self.fingerprint

    @property
    def awaits_correlation(self) -> bool:
        """Whether it is quiet only until a rule has had the time to hold it."""
        return bool(self.suppressions and CORRELATION_WAIT in self.suppressions)

    @property
    def must_be_named(self) -> bool:
        """Whether it is urgent, fires, nothing keeps it quiet, and no message has named it."""
        return self.severity.is_urgent and self.firing and not self.suppressions and not self.named

    def renew(self, ttl_ms: int, starts_ms: int) -> None:
        """Take over what a sender said, and from now on recognise its repeats."""
        self.ttl_ms, self.starts_ms = ttl_ms, starts_ms
        start = f'{{"alert":"{self.fingerprint}","status":"firing","ttl_ms":{ttl_ms},"starts_ms":{starts_ms},'
        # The next record of its own sender is news when it fires on without one.
        self.repeat = NO_REPEAT if self.own_ended or self.unheard_ms else start.encode()


def bytes_of(labels: Labels, annotations: Labels, generator_url: str) -> int:
    """How many bytes an alert's labels, annotations and link have as JSON, about."""
    return len(orjson.dumps(labels)) + len(orjson.dumps(annotations)) + len(generator_url)
