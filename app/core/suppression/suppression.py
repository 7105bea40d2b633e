"""What keeps an alert quiet: a silence, an inhibition, or an incident that it is a member of.

An incident is quiet while all of its firing alerts are. Rules say so through the journal
(`app.core.suppression.inhibition`, `app.core.correlation.windows`). What always escalates is kept
quiet by operators only.

What a rule says comes one or two records later than what it is about. So that nobody is told of an
incident for that moment, an alert that a rule may hold *waits*: if nothing of its incident is loud
when it begins to fire, it is quiet too for as long as the policy lets a first message wait for a
rule (`hold`), or until one holds it.
"""

from collections.abc import Mapping
from typing import Any

from app.core.notification import recipients
from app.core.response import escalation, reminders
from app.core.rules.rule_id import rule_id_from
from app.core.state.incident_now import begin_clocks
from app.core.state.live_alert import WAIT, Hold, LiveAlert
from app.core.state.state import Incident
from app.core.state.turn import Turn
from models.duration import format_ms
from models.events import NotificationKind
from models.reason import BadInput, Reason
from models.truncate import truncate

CORRELATION_TIMER = "wait"
SILENCED = "silence/"  # how the keys of silences begin; no rule's name has a slash
SUPPRESSIONS_MAX = 100  # of an alert, or of an incident that a rule opened
PARENTS_MAX = 100  # incidents that one was a member of
BECAUSE_CHARACTERS_MAX = 500


def on_suppression_message(turn: Turn, document: dict[str, Any]) -> None:
    """A rule says that an alert, or an incident that a rule opened, keeps quiet, or need not any more. Raises BadInput."""
    key, identity, record, because = (
        document.get(name) for name in ("hold", "alert", "record", "because")
    )
    suppression_of, rule_id = _suppression_from(because), rule_id_from(document)
    if not (isinstance(key, str) and isinstance(identity, str) and isinstance(record, str)):
        raise BadInput(
            Reason.MALFORMED, f"a hold is {document!r:.200}: hold, alert and record must be texts"
        )
    if rule_id and not _is_meant(turn, key, rule_id, turn.state.alerts.get(identity.encode())):
        return  # the policy changed while it was under way: nobody would ever say that it is over
    incident = turn.state.incidents.get(identity)
    if incident is not None:
        if incident.firing_since == record and not incident.ended:
            suppress_incident(turn, incident, key, suppression_of)
        return
    alert = turn.state.alerts.get(identity.encode())
    # What has ended, or has fired again since, is another matter: its signal is under way.
    if (
        alert is not None
        and alert.firing
        and alert.incident
        and record == f"{turn.partition}-{alert.fired_offset}"
    ):
        if suppression_of is not None and turn.rules.evaluate(alert.labels).always:
            text = f"{alert.name} always escalates, so {key} does not keep it quiet"
            turn.timeline(turn.state.incidents[alert.incident], "NotSuppressed", text, rule=key)
            return
        suppress_alert(turn, alert, key, suppression_of)


def _is_meant(turn: Turn, key: str, rule_id: str, alert: LiveAlert | None) -> bool:
    """Whether what a rule says is meant still.

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
    """Let an alert that is about to join an incident of which nothing is loud wait for the rules that may hold it."""
    if wait_ms and not incident.notifiable and not alert.suppressions:
        alert.suppressions = {WAIT: _waiting_suppression(wait_ms)}
        incident.reopened_unexplained = incident.reopened_unexplained or not incident.suppressed
        watch_alert_wait(turn, alert)


def begin_incident_wait(turn: Turn, incident: Incident) -> None:
    """The same for an incident that a rule opened, and that is about to be reopened."""
    if incident.correlation_wait_ms and not incident.suppressions:
        incident.suppressions[WAIT], incident.reopened_unexplained, incident.notifiable_since_ms = (
            _waiting_suppression(incident.correlation_wait_ms),
            True,
            turn.now_ms,
        )
        watch_incident_wait(turn, incident)


def _waiting_suppression(wait_ms: int) -> Hold:
    return Hold(f"waits for {format_ms(wait_ms)} to see whether a rule explains it")


def watch_alert_wait(turn: Turn, alert: LiveAlert) -> None:
    """Set the timer at which an alert has waited for long enough."""
    if alert.awaits_correlation:
        turn.state.schedule(_wait_ends_ms(turn, alert), CORRELATION_TIMER, alert.fingerprint)


def watch_incident_wait(turn: Turn, incident: Incident) -> None:
    """The same for an incident that a rule opened."""
    if WAIT in incident.suppressions:
        turn.state.schedule(
            incident.notifiable_since_ms + incident.correlation_wait_ms,
            CORRELATION_TIMER,
            incident.id,
        )


def _wait_ends_ms(turn: Turn, alert: LiveAlert) -> int:
    return alert.fired_ms + turn.rules.evaluate(alert.labels).correlation_wait_ms


def on_wait_ended(turn: Turn, at_ms: int, subject: str) -> None:
    """No rule has explained an alert, or an incident, in time."""
    incident = turn.state.incidents.get(subject)
    if (
        incident is not None
        and WAIT in incident.suppressions
        and incident.notifiable_since_ms + incident.correlation_wait_ms == at_ms
    ):
        suppress_incident(turn, incident, WAIT, None)
    alert = turn.state.alerts.get(subject.encode())
    if alert is not None and alert.awaits_correlation and _wait_ends_ms(turn, alert) == at_ms:
        suppress_alert(turn, alert, WAIT, None)


def on_policy(turn: Turn) -> None:
    """Under another policy an alert may have waited for long enough."""
    for _, alert in sorted(turn.state.alerts.items()):
        if alert.awaits_correlation and _wait_ends_ms(turn, alert) <= turn.now_ms:
            suppress_alert(turn, alert, WAIT, None)
    for _, incident in sorted(turn.state.incidents.items()):
        if (
            WAIT in incident.suppressions
            and incident.notifiable_since_ms + incident.correlation_wait_ms <= turn.now_ms
        ):
            suppress_incident(turn, incident, WAIT, None)


def _suppression_from(because: Any) -> Hold | None:
    if because is None:
        return None
    text, parent = (
        (because.get("text"), because.get("parent", ""))
        if isinstance(because, dict)
        else (None, None)
    )
    if not isinstance(text, str) or not isinstance(parent, str):
        raise BadInput(
            Reason.MALFORMED,
            f"a hold's because is {because!r:.200}, must have the texts text and parent",
        )
    return Hold(truncate(text, BECAUSE_CHARACTERS_MAX), parent[:BECAUSE_CHARACTERS_MAX])


def suppress_alert(turn: Turn, alert: LiveAlert, key: str, suppression_of: Hold | None) -> None:
    """Keep a firing alert quiet for one more reason, or (None) for one reason less."""
    if (alert.suppressions or {}).get(key) == suppression_of:
        return
    incident = turn.state.incidents[alert.incident]
    if not _has_room(turn, incident, alert.suppressions or {}, key, suppression_of):
        return
    was_held, was_loud = incident.suppressed, not alert.suppressions
    turn.state.set_suppression(alert, key, suppression_of)
    turn.doubt(alert)
    if not alert.suppressions and not was_loud:
        alert.notifiable_since_ms = alert.fired_ms if key == WAIT else turn.now_ms
        escalation.watch_lasting(turn, alert)
    _note_parent(turn, incident, suppression_of)
    observe_suppression(
        turn,
        incident,
        was_held=was_held,
        suppression_of=suppression_of,
        key=key,
        since_ms=alert.notifiable_since_ms,
    )
    turn.changed(incident)


def _has_room(
    turn: Turn,
    incident: Incident,
    suppressions: Mapping[str, Hold],
    key: str,
    suppression_of: Hold | None,
) -> bool:
    """Whether there is room for one more reason to keep quiet.

    If not, it is rather told than forgotten.
    """
    if suppression_of is None or key in suppressions or len(suppressions) < SUPPRESSIONS_MAX:
        return True
    turn.refuse(
        "holds",
        f"there are {SUPPRESSIONS_MAX} reasons to keep an alert of it quiet; not noted: {key}",
        incident,
    )
    return False


def suppress_incident(
    turn: Turn, incident: Incident, key: str, suppression_of: Hold | None
) -> None:
    """The same for an incident that a rule opened, which has no alerts of its own."""
    if incident.suppressions.get(key) == suppression_of or not _has_room(
        turn, incident, incident.suppressions, key, suppression_of
    ):
        return
    was_held = incident.suppressed
    if suppression_of is None:
        del incident.suppressions[key]
    else:
        incident.suppressions.pop(WAIT, None)
        incident.suppressions[key] = suppression_of
    _note_parent(turn, incident, suppression_of)
    since_ms = incident.notifiable_since_ms if key == WAIT else None
    observe_suppression(
        turn, incident, was_held=was_held, suppression_of=suppression_of, key=key, since_ms=since_ms
    )
    turn.changed(incident)


def observe_suppression(
    turn: Turn,
    incident: Incident,
    *,
    was_held: bool,
    suppression_of: Hold | None = None,
    key: str = "",
    since_ms: int | None = None,
) -> None:
    """Take note when all of an incident has become quiet, or something of it loud. Then what is due counts from `since_ms`.

    That is now, or when what waited for a rule in vain began to fire.
    """
    if incident.ended:
        return
    if incident.suppressed and not incident.awaits_correlation:
        incident.undecided_escalations = {}  # a rule has explained what it was about
    if incident.suppressed:
        if suppression_of is not None if incident.reopened_unexplained else not was_held:
            _on_suppressed(turn, incident, suppression_of, key)
    elif was_held:
        _on_released(turn, incident, key, turn.now_ms if since_ms is None else since_ms)


def _on_suppressed(turn: Turn, incident: Incident, suppression_of: Hold | None, key: str) -> None:
    incident.reopened_unexplained = False
    text = suppression_of.because if suppression_of else "what fires still is kept quiet"
    turn.timeline(
        incident,
        "Suppressed",
        text,
        rule=key,
        parent=suppression_of.parent if suppression_of else "",
    )
    # An operator who silences it knows: no message says so, neither now nor at the end.
    incident.suppression_notified = not is_silenced(incident)
    if incident.suppression_notified:
        recipients.on_suppression(turn, incident, NotificationKind.SUPPRESSED, text)


def is_silenced(incident: Incident) -> bool:
    """Whether a silence keeps it, or a firing alert of it, quiet."""
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
        why = ", and no rule explains it" if key == WAIT else ""
        recipients.on_reopened(turn, incident, f"it fires again{why}")
    else:
        text = "nothing keeps it quiet any more, and it fires"
        turn.timeline(incident, "Released", text, rule="" if key == WAIT else key)
        incident.notify_anew = bool(incident.notified_ms)
        if incident.suppression_notified:
            recipients.on_suppression(turn, incident, NotificationKind.RELEASED, text)
    incident.suppression_notified = False
    escalation.on_correlation_decided(turn, incident)


def drop_rules(turn: Turn, names: frozenset[str]) -> None:
    """Forget what rules said that a policy change has removed or changed.

    They say it again if they still mean it.
    """
    state = turn.state
    for _, alert in sorted(state.alerts.items()):
        for key in [key for key in alert.suppressions or () if key.split("/")[0] in names]:
            suppress_alert(turn, alert, key, None)
    for _, incident in sorted(state.incidents.items()):
        for key in [key for key in incident.suppressions if key.split("/")[0] in names]:
            suppress_incident(turn, incident, key, None)


def _note_parent(turn: Turn, incident: Incident, suppression_of: Hold | None) -> None:
    if (
        suppression_of is None
        or not suppression_of.parent
        or suppression_of.parent in incident.parents
    ):
        return
    if len(incident.parents) < PARENTS_MAX:
        incident.parents.append(suppression_of.parent)
    else:
        turn.refuse(
            "parents",
            f"it was part of {PARENTS_MAX} incidents; not noted: {suppression_of.parent}",
            incident,
        )
