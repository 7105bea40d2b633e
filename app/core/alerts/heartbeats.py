"""Heartbeats: alerts that always fire. A missing one opens an incident, and ends it when it is back.

A heartbeat belongs to no incident itself. That it is missing is an alert of its own, named after
the rule.
"""

from app.core.alerts import grouping, identity
from app.core.state.expected_heartbeats import missing_labels
from app.core.state.live_alert import Ending, LiveAlert
from app.core.state.timer_kind import TimerKind
from app.core.state.turn import Turn
from models.alert import fingerprint
from models.events_alert import AlertState
from models.policy.rules import Heartbeat
from models.text.duration import format_ms

_NEVER_MS = 10 * 365 * 86_400_000  # its end comes from its heartbeat, not from not being sent


def on_heartbeat(turn: Turn, heartbeat: LiveAlert) -> None:
    """A heartbeat is received for the first time, or again."""
    watch_heartbeat(turn, heartbeat)
    _end_missing(turn, heartbeat, f"{heartbeat.name} is received again")


def drop_heartbeat(turn: Turn, heartbeat: LiveAlert) -> None:
    """The policy has no such heartbeat any more.

    The next record of it is an alert like any other.
    """
    _end_missing(turn, heartbeat, "no longer a heartbeat of the policy")
    turn.state.drop_alert(heartbeat)


def _end_missing(turn: Turn, heartbeat: LiveAlert, text: str) -> None:
    end_missing(turn, _identity_of_missing(heartbeat), text)


def end_missing(turn: Turn, identity: str, text: str) -> None:
    """End the alert that says that a heartbeat is missing, if it fires."""
    missing = turn.state.alerts.get(identity.encode())
    if missing is not None and missing.firing:
        missing.firing, missing.ended_ms = False, turn.now_ms
        turn.state.put_alert(missing)
        grouping.on_ended(turn, missing, "AlertEnded", text)


def watch_heartbeat(turn: Turn, heartbeat: LiveAlert) -> None:
    """Set the timer at which the heartbeat is missing, unless one is set.

    That one will look again.
    """
    rule = turn.rules.heartbeat(heartbeat.heartbeat)
    if rule is not None and not heartbeat.timer_ms:
        heartbeat.timer_ms = _missing_ms(turn, heartbeat, rule)
        turn.state.schedule(heartbeat.timer_ms, TimerKind.HEARTBEAT, heartbeat.fingerprint)


def on_timer(turn: Turn, at_ms: int, subject: str) -> None:
    """Check whether the heartbeat was received in the meantime."""
    heartbeat = turn.state.alerts.get(subject.encode())
    if heartbeat is None or heartbeat.timer_ms != at_ms:
        return
    heartbeat.timer_ms = 0
    senders = identity.followers(turn, heartbeat)
    heartbeat.last_ms = max([heartbeat.last_ms, *(sender.last_ms for sender in senders)])
    rule = turn.rules.heartbeat(heartbeat.heartbeat)
    if rule is None:
        return
    if _missing_ms(turn, heartbeat, rule) > at_ms:
        watch_heartbeat(turn, heartbeat)
        return
    for alert in (heartbeat, *senders):
        alert.firing = False  # so that the next one is news
        turn.state.put_alert(alert)
        turn.state.note(alert, Ending(AlertState.EXPIRED, None))
    _raise_missing(turn, rule, heartbeat)


def _missing_ms(turn: Turn, heartbeat: LiveAlert, rule: Heartbeat) -> int:
    """When the heartbeat is missing; while nobody listened it could not be heard."""
    return max(heartbeat.last_ms, turn.state.clock.listening_ms) + rule.missing


def _raise_missing(turn: Turn, rule: Heartbeat, heartbeat: LiveAlert) -> None:
    fingerprint_missing = _identity_of_missing(heartbeat)
    alert = turn.state.alerts.get(fingerprint_missing.encode())
    if alert is not None and alert.firing:
        return
    if alert is None or not alert.incident:
        alert = LiveAlert(
            fingerprint=fingerprint_missing,
            component=heartbeat.component,
            scope=heartbeat.scope,
            labels=_labels_of_missing(heartbeat),
            annotations={
                "summary": f"{heartbeat.name} was not received for {format_ms(rule.missing)}"
            },
            severity=rule.severity,
            severity_label="",
            owner=rule.owner or heartbeat.owner,
            incident_class=heartbeat.incident_class,
            generator_url=heartbeat.generator_url,
            changes=alert.changes if alert else None,
        )
    raise_alert(turn, alert)


def raise_alert(turn: Turn, alert: LiveAlert) -> None:
    """Let the alert fire that says that a heartbeat is missing."""
    alert.firing, alert.fired_ms, alert.fired_offset, alert.ended_ms = (
        True,
        turn.now_ms,
        turn.offset,
        0,
    )
    alert.retain_until_ms, alert.last_ms, alert.named = 0, turn.now_ms, False
    alert.renew(_NEVER_MS, turn.now_ms)
    turn.state.put_alert(alert)
    identity.index(turn, alert)
    grouping.on_fired(turn, alert)


def is_missing(alert: LiveAlert) -> bool:
    """Whether it is the alert that says of a heartbeat that it is missing."""
    return alert.ttl_ms == _NEVER_MS


def _labels_of_missing(heartbeat: LiveAlert) -> dict[str, str]:
    return missing_labels(heartbeat.heartbeat, heartbeat.labels)


def _identity_of_missing(heartbeat: LiveAlert) -> str:
    return fingerprint(_labels_of_missing(heartbeat))
