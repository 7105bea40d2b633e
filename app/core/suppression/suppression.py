"""What suppresses an alert: a silence, an inhibition, or an incident that it is a member of.

An incident is suppressed while all of its firing alerts are. Rules say so through the journal
(`app.core.suppression.inhibition`, `app.core.correlation.windows`). Only operators suppress what
always escalates.

The answer of a rule comes one or two records later. So that nobody is notified meanwhile, an alert
that a rule may suppress *waits*: if nothing of its incident is notifiable when it begins to fire, it
is suppressed for `correlation_wait`, or until a rule suppresses it.
"""

from collections.abc import Mapping
from typing import Any

from app.core.notification import recipients
from app.core.response import escalation, reminders
from app.core.rules.rule_id import rule_id_from
from app.core.state.incident_now import begin_clocks
from app.core.state.live_alert import CORRELATION_WAIT, LiveAlert, Suppression
from app.core.state.state import Incident
from app.core.state.timer_kind import TimerKind
from app.core.state.turn import Turn
from models.events import NotificationKind
from models.reason import BadInput, Reason
from models.text.duration import format_ms
from models.text.truncate import truncate

SILENCED = "silence/"  # how the keys of silences begin; no rule's name has a slash
SUPPRESSIONS_MAX = 100  # of an alert, or of an incident that a rule opened
PARENTS_MAX = 100  # incidents that one was a member of
BECAUSE_CHARACTERS_MAX = 500


def on_suppression_message(turn: Turn, document: dict[str, Any]) -> None:
    """A rule says that an alert, or an incident that a rule opened, keeps quiet, or need not any more. Raises BadInput."""
    key, identity, record, because = (
        document.get(name) for name in ("suppression", "alert", "record", "because")
    )
    reason, rule_id = _suppression_from(because), rule_id_from(document)
    if not (isinstance(key, str) and isinstance(identity, str) and isinstance(record, str)):
        raise BadInput(
            Reason.MALFORMED,
            f"a suppression is {document!r:.200}: suppression, alert and record must be texts",
        )
    if rule_id and not _is_meant(turn, key, rule_id, turn.state.alerts.get(identity.encode())):
        return  # the policy changed while it was under way: nobody would ever end the suppression
    incident = turn.state.incidents.get(identity)
    if incident is not None:
        if incident.firing_since == record and not incident.ended:
            suppress_incident(turn, incident, key, reason)
        return
    alert = turn.state.alerts.get(identity.encode())
    # What has ended, or has fired again since, is another matter: its signal is under way.
    if (
        alert is not None
        and alert.firing
        and alert.incident
        and record == f"{turn.partition}-{alert.fired_offset}"
    ):
        if reason is not None and turn.rules.evaluate(alert.labels).always:
            text = f"{alert.name} always escalates, so {key} does not suppress it"
            turn.timeline(turn.state.incidents[alert.incident], "NotSuppressed", text, rule=key)
            return
        suppress_alert(turn, alert, key, reason)


def _is_meant(turn: Turn, key: str, rule_id: str, alert: LiveAlert | None) -> bool:
    """Whether what a rule states is still meant.

    The alert takes part in it. A correlation that changed goes on.
    """
    name, _, group = key.partition("/")
    link, rule = turn.rules.inhibition(name), turn.rules.correlation(name)
    if link is not None or rule is None:
        return link is not None and link.rule_id == rule_id
    return alert is None or (
        bool(rule.steps(alert.labels))
        and rule.group(alert.severity, alert.place, alert.owner, alert.labels) == group
    )


def begin_correlation_wait(turn: Turn, incident: Incident, alert: LiveAlert, wait_ms: int) -> None:
    """Let an alert that is about to join an incident of which nothing is notifiable wait for the rules that may suppress it."""
    if wait_ms and not incident.notifiable and not alert.suppressions:
        alert.suppressions = {CORRELATION_WAIT: _waiting_suppression(wait_ms)}
        incident.reopened_unexplained = incident.reopened_unexplained or not incident.suppressed
        watch_alert_wait(turn, alert)


def begin_incident_wait(turn: Turn, incident: Incident) -> None:
    """The same for an incident that a rule opened, and that is about to be reopened."""
    if incident.correlation_wait_ms and not incident.suppressions:
        (
            incident.suppressions[CORRELATION_WAIT],
            incident.reopened_unexplained,
            incident.notifiable_since_ms,
        ) = (
            _waiting_suppression(incident.correlation_wait_ms),
            True,
            turn.now_ms,
        )
        watch_incident_wait(turn, incident)


def _waiting_suppression(wait_ms: int) -> Suppression:
    return Suppression(f"Waits {format_ms(wait_ms)} for correlation")


def watch_alert_wait(turn: Turn, alert: LiveAlert) -> None:
    """Set the timer at which an alert has waited for long enough."""
    if alert.awaits_correlation:
        turn.state.schedule(
            _wait_ends_ms(turn, alert), TimerKind.CORRELATION_WAIT, alert.fingerprint
        )


def watch_incident_wait(turn: Turn, incident: Incident) -> None:
    """The same for an incident that a rule opened."""
    if CORRELATION_WAIT in incident.suppressions:
        turn.state.schedule(
            incident.notifiable_since_ms + incident.correlation_wait_ms,
            TimerKind.CORRELATION_WAIT,
            incident.id,
        )


def _wait_ends_ms(turn: Turn, alert: LiveAlert) -> int:
    return alert.fired_ms + turn.rules.evaluate(alert.labels).correlation_wait_ms


def on_wait_ended(turn: Turn, at_ms: int, subject: str) -> None:
    """No rule has explained an alert, or an incident, in time."""
    incident = turn.state.incidents.get(subject)
    if (
        incident is not None
        and CORRELATION_WAIT in incident.suppressions
        and incident.notifiable_since_ms + incident.correlation_wait_ms == at_ms
    ):
        suppress_incident(turn, incident, CORRELATION_WAIT, None)
    alert = turn.state.alerts.get(subject.encode())
    if alert is not None and alert.awaits_correlation and _wait_ends_ms(turn, alert) == at_ms:
        suppress_alert(turn, alert, CORRELATION_WAIT, None)


def on_policy(turn: Turn) -> None:
    """Under another policy an alert may have waited for long enough."""
    for _, alert in sorted(turn.state.alerts.items()):
        if alert.awaits_correlation and _wait_ends_ms(turn, alert) <= turn.now_ms:
            suppress_alert(turn, alert, CORRELATION_WAIT, None)
    for _, incident in sorted(turn.state.incidents.items()):
        if (
            CORRELATION_WAIT in incident.suppressions
            and incident.notifiable_since_ms + incident.correlation_wait_ms <= turn.now_ms
        ):
            suppress_incident(turn, incident, CORRELATION_WAIT, None)


def _suppression_from(because: Any) -> Suppression | None:
    if because is None:
        return None
    texts = [
        because.get(name, default) if isinstance(because, dict) else None
        for name, default in (("text", None), ("parent", ""), ("source", ""))
    ]
    text, parent, source = texts
    if not (isinstance(text, str) and isinstance(parent, str) and isinstance(source, str)):
        raise BadInput(
            Reason.MALFORMED,
            f"a suppression's because is {because!r:.200}, must have the texts text and parent",
        )
    limit = BECAUSE_CHARACTERS_MAX
    return Suppression(truncate(text, limit), parent[:limit], source[:limit])


def suppress_alert(turn: Turn, alert: LiveAlert, key: str, reason: Suppression | None) -> None:
    """Suppress a firing alert for one more reason, or (None) for one reason less."""
    if (alert.suppressions or {}).get(key) == reason:
        return
    incident = turn.state.incidents[alert.incident]
    if not _has_room(turn, incident, alert.suppressions or {}, key, reason):
        return
    was_suppressed, was_notifiable = incident.suppressed, not alert.suppressions
    turn.state.set_suppression(alert, key, reason)
    if key != CORRELATION_WAIT:
        turn.state.note(alert)
    turn.doubt(alert)
    if not alert.suppressions and not was_notifiable:
        alert.notifiable_since_ms = alert.fired_ms if key == CORRELATION_WAIT else turn.now_ms
        escalation.watch_lasting(turn, alert)
    _note_parent(turn, incident, reason)
    observe_suppression(
        turn,
        incident,
        was_suppressed=was_suppressed,
        reason=reason,
        key=key,
        since_ms=alert.notifiable_since_ms,
    )
    turn.changed(incident)


def _has_room(
    turn: Turn,
    incident: Incident,
    suppressions: Mapping[str, Suppression],
    key: str,
    reason: Suppression | None,
) -> bool:
    """Whether there is room for one more suppression.

    If not, the alert is rather notified than lost.
    """
    if reason is None or key in suppressions or len(suppressions) < SUPPRESSIONS_MAX:
        return True
    turn.refuse(
        "holds",
        f"An alert has {SUPPRESSIONS_MAX} suppressions, the limit. Not recorded: {key}",
        incident,
    )
    return False


def suppress_incident(turn: Turn, incident: Incident, key: str, reason: Suppression | None) -> None:
    """The same for an incident that a rule opened, which has no alerts of its own."""
    if incident.suppressions.get(key) == reason or not _has_room(
        turn, incident, incident.suppressions, key, reason
    ):
        return
    was_suppressed = incident.suppressed
    if reason is None:
        del incident.suppressions[key]
    else:
        incident.suppressions.pop(CORRELATION_WAIT, None)
        incident.suppressions[key] = reason
    _note_parent(turn, incident, reason)
    since_ms = incident.notifiable_since_ms if key == CORRELATION_WAIT else None
    observe_suppression(
        turn, incident, was_suppressed=was_suppressed, reason=reason, key=key, since_ms=since_ms
    )
    turn.changed(incident)


def observe_suppression(
    turn: Turn,
    incident: Incident,
    *,
    was_suppressed: bool,
    reason: Suppression | None = None,
    key: str = "",
    since_ms: int | None = None,
) -> None:
    """Note when all of an incident has become suppressed, or a part of it notifiable. Then what is due counts from `since_ms`.

    That is now, or when what waited for a rule in vain began to fire.
    """
    if incident.ended:
        return
    if incident.suppressed and not incident.awaits_correlation:
        incident.undecided_escalations = {}  # a rule has explained what it was about
    if incident.suppressed:
        if reason is not None if incident.reopened_unexplained else not was_suppressed:
            _on_suppressed(turn, incident, reason, key)
    elif was_suppressed:
        _on_released(turn, incident, key, turn.now_ms if since_ms is None else since_ms)


def _on_suppressed(turn: Turn, incident: Incident, reason: Suppression | None, key: str) -> None:
    incident.reopened_unexplained = False
    text = reason.because if reason else "All firing alerts are suppressed"
    turn.timeline(
        incident,
        "Suppressed",
        text,
        rule=key,
        parent=reason.parent if reason else "",
    )
    # An operator who silences it knows: no message states it, neither now nor at the end.
    incident.suppression_notified = not is_silenced(incident)
    if incident.suppression_notified:
        recipients.on_suppression(turn, incident, NotificationKind.SUPPRESSED, text)


def is_silenced(incident: Incident) -> bool:
    """Whether a silence suppresses it, or a firing alert of it."""
    alerts = [
        alert.suppressions
        for alert in incident.alerts.values()
        if alert.firing and alert.suppressions
    ]
    return any(
        key.startswith(SILENCED)
        for suppressions in (incident.suppressions, *alerts)
        for key in suppressions
    )


def _on_released(turn: Turn, incident: Incident, key: str, since_ms: int) -> None:
    reopened_unexplained, incident.reopened_unexplained = incident.reopened_unexplained, False
    incident.notifiable_since_ms, incident.step_since_ms = since_ms, turn.now_ms
    if incident.parents and not reopened_unexplained:
        incident.clock_ms = turn.now_ms  # it was another incident's to respond to
        begin_clocks(incident, turn.now_ms)
    reminders.on_activity(turn, incident)
    if reopened_unexplained:
        unexplained = ". No rule explains it." if key == CORRELATION_WAIT else ""
        recipients.on_reopened(turn, incident, f"Firing again{unexplained}")
    else:
        text = "No longer suppressed. Still firing."
        turn.timeline(incident, "Released", text, rule="" if key == CORRELATION_WAIT else key)
        incident.notify_anew = bool(incident.notified_ms)
        if incident.suppression_notified:
            recipients.on_suppression(turn, incident, NotificationKind.RELEASED, text)
    incident.suppression_notified = False
    escalation.on_correlation_decided(turn, incident)


def drop_rules(turn: Turn, names: frozenset[str]) -> None:
    """Drop the suppressions of rules that a policy change has removed or changed.

    These rules suppress again what they still mean.
    """
    state = turn.state
    for _, alert in sorted(state.alerts.items()):
        for key in [key for key in alert.suppressions or () if key.split("/")[0] in names]:
            suppress_alert(turn, alert, key, None)
    for _, incident in sorted(state.incidents.items()):
        for key in [key for key in incident.suppressions if key.split("/")[0] in names]:
            suppress_incident(turn, incident, key, None)


def _note_parent(turn: Turn, incident: Incident, reason: Suppression | None) -> None:
    if reason is not None and reason.parent:
        note_parent(turn, incident, reason.parent)


def note_parent(turn: Turn, incident: Incident, parent: str) -> None:
    """Note that an incident is part of another one."""
    if parent in incident.parents:
        return
    if len(incident.parents) < PARENTS_MAX:
        incident.parents.append(parent)
    else:
        turn.refuse(
            "parents",
            f"It was part of {PARENTS_MAX} incidents, the limit. Not recorded: {parent}",
            incident,
        )
