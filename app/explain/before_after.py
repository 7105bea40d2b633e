"""What the engine knew before and after it applied a record.

What a verdict about the record can be made of.
"""

from dataclasses import dataclass, field

from app.core.correlation import windows
from app.core.engine import Engine
from app.core.notification import mute_times
from app.core.state.live_alert import LiveAlert, Suppression
from app.core.state.state import Incident
from app.core.suppression.suppressors import reason_of, suppressors_of
from app.explain.descriptions import alert_documents, kind_of, parse_document, source_of
from app.history.effects import Document
from app.history.timers import Timer, waits
from app.transport.log import StoredRecord
from models.events_alert import Unnotified
from models.incident import State
from models.policy.time_interval import NEVER_MS
from models.text.duration import format_ms
from models.text.instant import format_instant
from models.text.plural import plural


@dataclass(slots=True)
class KnownAlert:
    """An alert as it was known."""

    firing: bool
    fired_ms: int
    fired_offset: str
    ended_ms: int
    count: int
    incident: str
    heartbeat: str
    expires_ms: int
    suppressions: dict[str, Suppression] = field(default_factory=dict)
    reason: Unnotified | None = None  # why nobody was notified of it, while it fires


@dataclass(slots=True)
class BeforeAfter:
    """Taken by `before` and `after` of one record."""

    partition: int
    number: int = 0  # of the alert, in a record of several
    several: bool = False
    document: Document = field(default_factory=dict)
    was: KnownAlert | None = None  # the alert before
    now: KnownAlert | None = None  # and after
    incident_id: str = ""  # of the alert, or the one that the record is about
    notified_at: str = ""  # when the incident was last told; empty is never
    quiet: list[str] = field(default_factory=list)  # why nobody may be told of it now
    held: list[str] = field(default_factory=list)  # why the whole of it is quiet
    taken_by: str = ""  # who is at work on it
    flapping: bool = False
    waits: list[Timer] = field(default_factory=list)
    last_seen: tuple[int, int] | None = None  # of the record's source
    words: list[str] = field(default_factory=list)  # of rules and receivers: what they know now
    policies: tuple[str, str] = ("", "")  # the fingerprints of the policy before and after

    def before(self, engine: Engine, record: StoredRecord) -> None:
        """Look before the record is applied."""
        alerts = alert_documents(record)
        self.several = len(alerts) > 1
        self.document = alerts[self.number] if alerts else parse_document(record)
        self.was = _known_alert(engine, _alert_identity(self.document))
        self.policies = (engine.policy.fingerprint, "")
        source = source_of(record)
        if source is not None:
            self.last_seen = engine.state.sources.get((source.topic, source.partition))

    @property
    def is_repeat(self) -> bool:
        """Whether a record said of the alert what was known, as far as that can be seen from outside."""
        was, now = self.was, self.now
        if was is None or now is None:
            return False
        return (was.firing, was.fired_offset) == (now.firing, now.fired_offset)

    def after(self, engine: Engine, _: StoredRecord) -> None:
        """Look when it has been applied."""
        self.policies = (self.policies[0], engine.policy.fingerprint)
        identity = _alert_identity(self.document)
        self.now = _known_alert(engine, identity)
        alert = engine.state.alerts.get(identity.encode())
        about = (self.now or self.was).incident if self.now or self.was else self._named_incident()  # type: ignore[union-attr]
        incident = engine.state.incidents.get(about)
        if incident is not None:
            self._look_at(engine, incident)
        if alert is not None and alert.firing and alert.incident:
            self.words += list(_local_progress(engine, alert))
        self.words += _receiver_knowledge(engine, self.document)

    def _named_incident(self) -> str:
        """The incident that a record that is no alert's is about."""
        name = self.document.get(
            {"command": "incident", "member": "member"}.get(kind_of(self.document), "suppression")
        )
        return name if isinstance(name, str) else ""

    def _look_at(self, engine: Engine, incident: Incident) -> None:
        self.incident_id = incident.id
        self.notified_at = format_instant(incident.notified_ms) if incident.notified_ms else ""
        self.flapping = incident.flapping_ms > 0
        reasons = mute_times.reasons_to_wait(engine.turn, incident, engine.state.now_ms)
        self.quiet = [
            f"outside the hours of {incident.owner}"
            if reason == mute_times.HOURS
            else f"muted by {reason}"
            for reason in reasons
        ]
        self.taken_by = (
            incident.assignee or incident.acknowledged_by
            if incident.state is State.ACKNOWLEDGED
            else ""
        )
        self.waits = waits(engine, incident, NEVER_MS - 1)
        if incident.suppressed:
            self.held = [reason.because for reason in incident.suppressions.values()]


def _alert_identity(document: Document) -> str:
    """The fingerprint of the alert that a record is about."""
    name = document.get("alert") if kind_of(document) in ("alert", "suppression") else ""
    return name if isinstance(name, str) else ""


def _known_alert(engine: Engine, identity: str) -> KnownAlert | None:
    alert = engine.state.alerts.get(identity.encode())
    if alert is None:
        return None
    fired_by = f"{engine.partition}:{alert.fired_offset}"
    return KnownAlert(
        alert.firing,
        alert.fired_ms,
        fired_by,
        alert.ended_ms,
        alert.count,
        alert.incident,
        alert.heartbeat,
        engine.state.expires_ms(alert),
        dict(alert.suppressions or {}),
        _reason_of(engine, alert) if alert.firing else None,
    )


def _reason_of(engine: Engine, alert: LiveAlert) -> Unnotified | None:
    """What `tocsin.alerts` says."""
    return reason_of(engine.turn, alert, suppressors_of(engine.turn, alert))


def _local_progress(engine: Engine, alert: LiveAlert) -> list[str]:
    """How near the rules about one component are to being true."""
    nodes = []
    for rule, _, group in windows.rules_for(
        engine.turn, alert, engine.policy.evaluate(alert.labels)
    ):
        if rule.local:
            nodes.append(_distinct_count(engine, rule.policy.name, group))
    return nodes


def _distinct_count(engine: Engine, name: str, group: str) -> str:
    """How many alerts of how many a rule has."""
    rule = engine.policy.correlation(name)
    if rule is None:
        return f"the rule {name} is no longer in the policy"
    have = len(windows.alerts_counted(rule, engine.state.windows.get((name, group), [])))
    return f"{name}/{group}: {have} of {rule.count} within {format_ms(rule.policy.within)}"


def _rule_and_group(name: str, group: str) -> str:
    """A rule and its group; one that groups by nothing is one group."""
    return name if group == "[]" else f"{name} {group}"


def _near_knowledge(engine: Engine, name: str, group: str, document: Document) -> list[str]:
    """Where the incident belongs that a rule of nearness was told of."""
    known, place = engine.state.near.groups.get((name, group)), f"{name}/{group}"
    member = document.get("member")
    identity = str(member.get("alert")) if isinstance(member, dict) else ""
    alert = known.alerts.get(identity) if known else None
    near_group = known.groups.get(alert.group) if known and alert else None
    if near_group is None:
        return [f"{place}: nothing is known of it"]
    if near_group.root:
        return [f"{place}: the root is {near_group.root}; firing in its group: {near_group.firing}"]
    return [f"{place}: its group began with {near_group.first}, and nothing of it fires"]


def _receiver_knowledge(engine: Engine, document: Document) -> list[str]:
    """What the actor that a message went to knows now."""
    match kind_of(document):
        case "signal":
            name, group = str(document["signal"]), str(document.get("group"))
            kept = (str(document.get("rule_id")), group)
            if kept in engine.state.parked or kept in engine.state.deferred_signals:
                return [f"{_rule_and_group(name, group)}: waits for the policy that has this rule"]
            if name in engine.policy.nearness:
                return _near_knowledge(engine, name, group, document)
            link = engine.state.inhibition_groups.get((name, group))
            if engine.policy.inhibition(name) is None:
                return [_distinct_count(engine, name, group)]
            if link is None or not (link.sources or link.last):
                return [
                    f"{_rule_and_group(name, group)}: no source is firing, so nothing is suppressed"
                ]
            names = [f"{source.name} on {source.component}" for source in link.sources.values()]
            return [
                f"{_rule_and_group(name, group)}: source {', '.join(names[:3]) or 'has just ended'}"
            ]
        case "page":
            body = document.get("body") or {}
            known = engine.state.receivers.get(
                (str(body.get("receiver")), str(body.get("channel")))
            )
            if known is not None and known.digest_ms:
                waiting = sum(known.counts.values())
                return [
                    f"Waits for the digest at {format_instant(known.digest_ms)}, with {plural(waiting, 'message')} so far"
                ]
    return []
