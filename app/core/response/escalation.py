"""When an incident escalates to the next step of its owner's chain, and why.

Source: PROCEDURES, "Escalation Triggers" and each team's "Primary Escalation Chain".
"""

from collections.abc import Iterator, Sequence

from app.core.notification import mute_times, naming, recipients, schedule
from app.core.notification.actions import begin_episode
from app.core.rules.compiled_policy import EscalationRule
from app.core.state.deadline import Deadline
from app.core.state.incident_now import unheard_since_ms, waiting_since_ms
from app.core.state.live_alert import LiveAlert
from app.core.state.state import Incident
from app.core.state.timer_kind import TimerKind
from app.core.state.turn import Turn
from models.effect import Stream
from models.incident import State
from models.text.duration import format_ms
from models.text.instant import format_instant

UNACKNOWLEDGED = "unacknowledged"
MANUAL = "manual"
NOT_DONE = "undone"  # what a deadline of a rule `without` is called
# What `deadlines` reads of an incident.
DEADLINE_FIELDS = (
    *mute_times.DEADLINE_FIELDS,
    *("ended", "suppressed", "deferred_escalations", "deferred_since_ms", "owner", "severity"),
    *("step", "state", "notified_ms"),
    *("step_since_ms", "severity_ms", "notifiable_since_ms", "clock_ms", "escalated"),
    *("root_cause", "mitigated_ms"),
    "incident_class",
)


def on_fired(turn: Turn, incident: Incident, alert: LiveAlert) -> None:
    """Escalate what escalates always, and set a timer for what escalates when it lasts."""
    for rule in turn.rules.always:
        if rule.applies(alert.severity, alert.incident_class, alert.labels):
            because = f"{alert.name} on {alert.place.title} always escalates ({rule.policy.name})"
            escalate(turn, incident, rule.policy.name, because, [_position_of(turn, alert)])
    watch_lasting(turn, alert)


def watch_lasting(turn: Turn, alert: LiveAlert) -> None:
    """Set the timers of the rules that escalate when this alert lasts."""
    for rule in turn.rules.lasting:
        if rule.applies(alert.severity, alert.incident_class, alert.labels):
            turn.state.schedule(
                _lasting_ms(rule, alert),
                TimerKind.LASTING,
                f"{rule.policy.name} {alert.fingerprint}",
            )


def _lasting_ms(rule: EscalationRule, alert: LiveAlert) -> int:
    # What was suppressed counts from when it no longer was: nothing old pages out of the blue.
    return alert.notifiable_since_ms + (rule.policy.lasting or 0)


def on_lasting(turn: Turn, at_ms: int, subject: str) -> None:
    """Escalate if the alert fires still, since the time for which the timer was set."""
    name, fingerprint = subject.split(" ")
    rule, alert = turn.rules.escalation(name), turn.state.alerts.get(fingerprint.encode())
    if rule is None or rule.policy.lasting is None or alert is None or not alert.firing:
        return
    incident = turn.state.incidents.get(alert.incident)
    if incident is None or _lasting_ms(rule, alert) != at_ms or alert.suppressions:
        return
    # Who has resolved it need not be notified that an alert has not noticed yet. If it is not over,
    # `on_reopened` escalates.
    if not incident.ended and rule.applies(alert.severity, alert.incident_class, alert.labels):
        _escalate_lasting(turn, incident, rule, alert)


def on_reopened(turn: Turn, incident: Incident) -> None:
    """Escalate because of what lasted for too long while the incident was thought to be over, in the order of its timers."""
    lasted = [
        (_lasting_ms(rule, alert), rule.policy.name, alert.fingerprint, rule, alert)
        for alert in incident.alerts.values()
        for rule in turn.rules.lasting
        if alert.firing
        and not alert.suppressions
        and rule.applies(alert.severity, alert.incident_class, alert.labels)
    ]
    for at_ms, _, _, rule, alert in sorted(lasted, key=lambda due: due[:3]):
        if at_ms <= turn.now_ms:
            _escalate_lasting(turn, incident, rule, alert)


def _escalate_lasting(
    turn: Turn, incident: Incident, rule: EscalationRule, alert: LiveAlert
) -> None:
    since, lasting = format_instant(alert.fired_ms), format_ms(turn.now_ms - alert.fired_ms)
    because = f"{alert.name} on {alert.place.title} has been firing for {lasting}, since {since}"
    escalate(turn, incident, rule.policy.name, because, [_position_of(turn, alert)])


def deadlines(turn: Turn, incident: Incident) -> Iterator[Deadline]:
    """When it escalates: not acknowledged, something not done, or what had to wait."""
    if incident.ended or incident.suppressed:
        return
    if incident.deferred_escalations:
        yield Deadline(
            mute_times.next_notifiable_ms(turn, incident, incident.deferred_since_ms), _on_time
        )
    wait_ms = next_wait_ms(turn, incident)
    if wait_ms is not None and incident.notified_ms:
        step_ms = max(incident.step_since_ms, incident.severity_ms)
        at_ms = mute_times.next_notifiable_ms(turn, incident, step_ms + wait_ms)
        yield Deadline(at_ms, _on_unacknowledged, "", UNACKNOWLEDGED, step_ms)
    since_ms = max(incident.notifiable_since_ms, incident.severity_ms, incident.clock_ms)
    for rule, after_ms in _rules_not_done(turn, incident) if incident.notified_ms else ():
        at_ms = mute_times.next_notifiable_ms(turn, incident, since_ms + after_ms)
        yield Deadline(at_ms, _on_not_done, rule, NOT_DONE, since_ms)


def next_wait_ms(turn: Turn, incident: Incident) -> int | None:
    """How long it stays at its step while nobody acknowledges it; None when nobody is called then."""
    if incident.state is not State.OPEN and not not_acknowledged(incident):
        return None
    owner = turn.rules.owner_known(incident.owner)
    return turn.rules.escalate_after_ms(owner, incident.severity, incident.step)


def deadline_alerts(incident: Incident) -> tuple[object, ...]:
    """What `deadlines` reads of the incident's alerts."""
    return (not_acknowledged(incident),)


def not_acknowledged(incident: Incident) -> str:
    """The name of an urgent alert that fires and that an acknowledgement was not about, if any."""
    if incident.state is not State.ACKNOWLEDGED:
        return ""
    alerts = (incident.alerts.get(fingerprint) for fingerprint in incident.unacknowledged)
    return next(
        (alert.name for alert in alerts if alert and alert.firing and not alert.suppressions), ""
    )


def _on_unacknowledged(turn: Turn, incident: Incident, _: str) -> None:
    acknowledged = incident.state is State.ACKNOWLEDGED
    waited_ms = turn.now_ms - (
        incident.step_since_ms if acknowledged else waiting_since_ms(incident)
    )
    since_ms = unheard_since_ms(incident)
    alert = not_acknowledged(incident)
    subject = f"{alert} not acknowledged" if alert else "Not acknowledged"
    because = f"{subject} for {format_ms(waited_ms)}"
    if since_ms:
        because = f"{because}. Not received since {format_instant(since_ms)}."
    escalate_step(turn, incident, UNACKNOWLEDGED, because, [incident.opened_by])


def _on_time(turn: Turn, incident: Incident, _: str) -> None:
    deferred_escalations, incident.deferred_escalations = incident.deferred_escalations, {}
    turn.changed(incident)
    for rule, (because, *records) in deferred_escalations.items():
        escalate(turn, incident, rule, because, records)


def _rules_not_done(turn: Turn, incident: Incident) -> Iterator[tuple[str, int]]:
    for rule in turn.rules.escalations:
        escalation = rule.policy
        if (
            escalation.without is None
            or escalation.after is None
            or escalation.name in incident.escalated
        ):
            continue
        done = incident.root_cause if escalation.without == "root_cause" else incident.mitigated_ms
        if not done and rule.policy.covers(incident.severity, incident.incident_class):
            yield escalation.name, escalation.after


def _on_not_done(turn: Turn, incident: Incident, name: str) -> None:
    rule = turn.rules.escalation(name)
    assert rule is not None, name  # the deadline was found in this policy
    assert rule.policy.after is not None, name
    lack = "No root cause named" if rule.policy.without == "root_cause" else "Not mitigated"
    because = f"{lack} after {format_ms(rule.policy.after)}"
    escalate(turn, incident, name, because, [incident.opened_by])


def on_grown(turn: Turn, incident: Incident, growth: str) -> None:
    """Escalate an acknowledged incident that became worse, or larger, than whoever acknowledged it could know."""
    if incident.state is State.ACKNOWLEDGED:
        for rule in turn.rules.escalations:
            if rule.policy.grew and rule.policy.covers(incident.severity, incident.incident_class):
                because = f"Grew after {incident.acknowledged_by} acknowledged it: {growth}"
                escalate(turn, incident, rule.policy.name, because, [turn.position])


def on_complaints(turn: Turn, incident: Incident) -> None:
    """Escalate when enough complaints were counted."""
    for rule in turn.rules.escalations:
        enough = rule.policy.complaints
        if (
            enough
            and incident.complaints >= enough
            and rule.policy.covers(incident.severity, incident.incident_class)
        ):
            because = f"{incident.complaints} complaints counted"
            escalate(turn, incident, rule.policy.name, because, [turn.position])


def on_clock_warned(turn: Turn, incident: Incident, clock: str, because: str) -> None:
    """Escalate when a target is about to be missed."""
    for rule in turn.rules.escalations:
        if rule.policy.target == clock and rule.policy.covers(
            incident.severity, incident.incident_class
        ):
            escalate(turn, incident, rule.policy.name, because, [incident.opened_by])


def escalate(
    turn: Turn, incident: Incident, rule: str, because: str, records: Sequence[str]
) -> None:
    """Escalate one step, once for each rule.

    Not while it is suppressed, and in its hours only.
    """
    if rule in incident.escalated:
        return
    if incident.suppressed:
        if incident.awaits_correlation and rule not in incident.undecided_escalations:
            incident.undecided_escalations[rule] = [because, *records]
            turn.changed(incident)
        return
    if not mute_times.may_notify(turn, incident):
        if not incident.ended and rule not in incident.deferred_escalations:
            incident.deferred_escalations[rule], incident.deferred_since_ms = (
                [because, *records],
                turn.now_ms,
            )
            turn.changed(incident)
        return
    incident.escalated.append(rule)
    escalate_step(turn, incident, rule, because, records)


def on_correlation_decided(turn: Turn, incident: Incident) -> None:
    """It no longer waits for a rule and is not suppressed: do what was deferred because of the wait."""
    undecided_escalations, incident.undecided_escalations = incident.undecided_escalations, {}
    for rule, (because, *records) in undecided_escalations.items():
        escalate(turn, incident, rule, because, records)


def escalate_step(
    turn: Turn,
    incident: Incident,
    rule: str,
    because: str,
    records: Sequence[str],
    step: int | None = None,
    by: str = "",
) -> None:
    """Escalate to a step, else to the next.

    That contact of the owner's chain is notified, or the last one again.
    """
    if not incident.notified_ms or incident.notified_owner != incident.owner:
        schedule.notify_recipients(
            turn, incident
        )  # whoever is called second should not be the first to be notified
    chain = turn.rules.chain(turn.rules.owner_known(incident.owner))
    incident.step = min(step or incident.step + 1, len(chain))
    incident.steps_notified = max(incident.steps_notified, incident.step)
    incident.step_since_ms = turn.now_ms
    contact = chain[incident.step - 1]
    turn.count("escalations")
    turn.count(f"escalations.{rule}")
    body = {
        "incident": incident.id,
        "severity": incident.severity,
        "component": incident.component,
        "scope": incident.scope,
        "owner": incident.owner,
        "title": incident.title,
        "rule": rule,
        "because": because,
        "records": list(dict.fromkeys(records)),  # of one request may come several alerts
        "step": incident.step,
        "steps": len(chain),
        "to": {
            "name": contact.name,
            "email": contact.email,
            "chat": contact.chat,
            "pager": contact.pager,
        },
        "next": incident.next_step,
        "late_ms": turn.late_ms,
    }
    turn.emit(Stream.ESCALATIONS, incident.id, "Escalated", body)
    text = naming.join_sentences(because, f"Step {incident.step}: {contact.name}")
    turn.timeline(
        incident, "Escalated", text, rule=rule, step=incident.step, to=contact.name, by=by
    )
    begin_episode(incident)
    recipients.on_escalated(turn, incident, contact, rule, because)
    turn.changed(incident)


def _position_of(turn: Turn, alert: LiveAlert) -> str:
    return f"{turn.partition}-{alert.fired_offset}"
