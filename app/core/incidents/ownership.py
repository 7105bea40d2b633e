"""Whose an incident is, and how bad it is now: its worst alert that fires says both.

The severity follows what fires at once. The owner moves up at once, to the team of a worse alert,
and down only when the alert that gave it has been over for `stable_after`. Of alerts that are as
bad, the one that has fired longest counts, then the fingerprint. A new owner is notified as of an
opening, and nobody of its team has acknowledged yet.
"""

from collections.abc import Iterator

from app.core.incidents import runbooks
from app.core.response import reminders, service_levels
from app.core.rules.compiled_policy import CompiledPolicy
from app.core.state.deadline import Deadline
from app.core.state.incident_now import worst_firing
from app.core.state.lifecycle import Cause, advance
from app.core.state.live_alert import LiveAlert
from app.core.state.state import Incident
from app.core.state.titles import alert_title
from app.core.state.turn import Turn
from models.text.duration import format_ms

STABLE = "stable"  # what its deadline is called
DEADLINE_FIELDS = ("owner_alert", "ended", "always")  # that `deadlines` reads of an incident


def worst_alert(incident: Incident) -> LiveAlert | None:
    """The alert that decides, of those that fire."""
    return min(
        (alert for alert in incident.alerts.values() if alert.firing),
        key=lambda alert: (alert.severity, alert.fired_ms, alert.fingerprint),
        default=None,
    )


def on_fired(turn: Turn, incident: Incident, alert: LiveAlert) -> str:
    """An alert has joined: what became worse by it, in words; empty when nothing did."""
    raised = ""
    if alert.severity < incident.severity:  # P0 sorts before P1
        by = describe(alert, alert_title(alert))
        raised = f"severity raised from {incident.severity} to {alert.severity} by {by}"
        incident.severity, incident.severity_ms = alert.severity, turn.now_ms
        incident.peak_severity = min(incident.peak_severity, alert.severity)
        service_levels.on_severity(turn, incident)
        turn.timeline(incident, "SeverityRaised", f"S{raised[1:]}", severity=alert.severity)
        show(turn, incident, alert)
        incident.peak_title = incident.title
    if alert.severity < incident.owner_severity:
        incident.owner_alert, incident.owner_severity = alert.fingerprint, alert.severity
        hand_over(
            turn, incident, alert.owner, f"{alert.name} ({alert.severity}) is now the worst alert"
        )
    return raised


def weaken(turn: Turn, incident: Incident) -> None:
    """What fires may be less severe than what fired: an alert has ended, or the first fires again."""
    now = worst_firing(incident)
    if now is None or now <= incident.severity or incident.always or incident.rule:
        return
    before, incident.severity, incident.severity_ms = incident.severity, now, turn.now_ms
    incident.notified_severity = max(incident.notified_severity, now)
    turn.timeline(
        incident, "SeverityLowered", f"Severity lowered from {before} to {now}", severity=now
    )
    worst = worst_alert(incident)
    assert worst is not None, incident.id
    show(turn, incident, worst)


def show(turn: Turn, incident: Incident, alert: LiveAlert) -> None:
    """Give the incident the title and the runbook of an alert."""
    incident.title = alert_title(alert)
    incident.summary = describe(alert, incident.title)
    runbook = turn.rules.evaluate(alert.labels).runbook
    runbooks.choose_runbook(turn, incident, runbook, alert.labels, alert.annotations)


def describe(alert: LiveAlert, title: str) -> str:
    """An alert's title, its summary, and whether its severity is unknown."""
    annotations = alert.annotations
    summary = annotations.get("summary") or annotations.get("description") or ""
    unknown = (
        f" (severity {alert.severity_label!r} is not in the policy)" if alert.severity_label else ""
    )
    return f"{title}{': ' if summary else ''}{summary}{unknown}"


def stable_after_ms(rules: CompiledPolicy) -> int:
    """For how long the alert that gave an incident its owner has to be over."""
    flapping = rules.policy.flapping
    return flapping.stable_after if flapping else rules.policy.incidents.close_after


def deadlines(turn: Turn, incident: Incident) -> Iterator[Deadline]:
    """When the owner moves down, because the alert that it comes from stays away."""
    alert = incident.alerts.get(incident.owner_alert)
    if alert is not None and not alert.firing and not incident.ended and not incident.always:
        # While nothing was received, it could not fire again.
        away_ms = max(alert.ended_ms, turn.state.clock.listening_ms)
        at_ms = away_ms + stable_after_ms(turn.rules)
        yield Deadline(at_ms, _on_stable, "", STABLE, alert.ended_ms)


def deadline_alerts(incident: Incident) -> tuple[object, ...]:
    """What `deadlines` reads of the incident's alerts."""
    alert = incident.alerts.get(incident.owner_alert)
    return () if alert is None else (alert.firing, alert.ended_ms)


def _on_stable(turn: Turn, incident: Incident, _: str) -> None:
    before, worst = incident.alerts[incident.owner_alert], worst_alert(incident)
    if worst is None:  # only members fire
        incident.owner_alert = ""
        return
    incident.owner_alert, incident.owner_severity = worst.fingerprint, worst.severity
    away = format_ms(turn.now_ms - before.ended_ms)
    why = f"{before.name} ended {away} ago, and {worst.name} ({worst.severity}) is now the worst alert"
    if incident.title != alert_title(worst):
        show(turn, incident, worst)
    hand_over(turn, incident, worst.owner, why)
    turn.changed(incident)


def hand_over(turn: Turn, incident: Incident, owner: str, why: str) -> None:
    """Give the incident to a team, which has not acknowledged it yet."""
    if owner == incident.owner:
        return
    before, incident.owner, incident.owner_ms = incident.owner, owner, turn.now_ms
    turn.timeline(
        incident, "OwnerChanged", f"Owner changed from {before} to {owner}: {why}", owner=owner
    )
    incident.step, incident.step_since_ms, incident.unacknowledged_since_ms = (
        1,
        turn.now_ms,
        turn.now_ms,
    )
    if not incident.ended:
        incident.state = advance(incident.state, Cause.HANDED_OVER)
        incident.acknowledged_ms, incident.acknowledged_by = 0, ""
    reminders.on_activity(turn, incident)
    turn.changed(incident)


def on_policy(turn: Turn, incident: Incident, before: CompiledPolicy) -> None:
    """Another policy may say that its alerts, or what its rule opens, are another team's."""
    for alert in incident.alerts.values():
        was, now = before.evaluate(alert.labels), turn.rules.evaluate(alert.labels)
        if was.owner != now.owner and alert.owner == was.owner:
            alert.owner = now.owner
            turn.state.put_alert(alert)
            turn.state.note(alert)
    decides = incident.alerts.get(incident.owner_alert)
    owner = decides.owner if decides else incident.owner
    opens_for = _opens_for(turn.rules, incident.rule)
    if opens_for and opens_for != _opens_for(before, incident.rule):
        owner = opens_for
    hand_over(turn, incident, owner, "the policy has changed")


def _opens_for(rules: CompiledPolicy, name: str) -> str:
    """The team that a correlation opens incidents for; empty when it is none that does."""
    rule = rules.correlation(name) if name else None
    return rule.policy.open.owner if rule is not None and rule.policy.open is not None else ""
