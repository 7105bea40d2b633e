"""Heartbeats: alerts that always fire. One that is not heard of any more opens an incident, and ends it when it is back.

A heartbeat belongs to no incident itself. That it is missing is an alert of its own, named after
the rule.
"""

from app.core.alerts import grouping, identity
from app.core.state.live_alert import Ending, LiveAlert
from app.core.state.turn import Turn
from models.alert import fingerprint
from models.duration import format_ms
from models.events_alert import AlertState
from models.policy_rules import Absence

ABSENCE = "absence"
_NEVER_MS = 10 * 365 * 86_400_000  # its end comes from its heartbeat, not from not being sent


def on_beat(turn: Turn, beat: LiveAlert) -> None:
    """A heartbeat is heard of for the first time, or again."""
    watch(turn, beat)
    _end(turn, beat, f"{beat.name} is heard of again")


def drop(turn: Turn, beat: LiveAlert) -> None:
    """The policy has no such heartbeat any more.

    The next record of it is an alert like any other.
    """
    _end(turn, beat, "it is a heartbeat no more")
    turn.state.drop_alert(beat)


def _end(turn: Turn, beat: LiveAlert, text: str) -> None:
    missing = turn.state.alerts.get(_identity(beat).encode())
    if missing is not None and missing.firing:
        missing.firing, missing.ended_ms = False, turn.now_ms
        turn.state.put_alert(missing)
        grouping.on_ended(turn, missing, "AlertEnded", text)


def watch(turn: Turn, beat: LiveAlert) -> None:
    """Set the timer at which the heartbeat is missing, unless one is set.

    That one will look again.
    """
    rule = turn.rules.absence(beat.beat)
    if rule is not None and not beat.timer_ms:
        beat.timer_ms = _missing_ms(turn, beat, rule)
        turn.state.schedule(beat.timer_ms, ABSENCE, beat.fingerprint)


def on_timer(turn: Turn, at_ms: int, whose: str) -> None:
    """Look whether the heartbeat was heard of in the meantime."""
    beat = turn.state.alerts.get(whose.encode())
    if beat is None or beat.timer_ms != at_ms:
        return
    beat.timer_ms = 0
    senders = identity.followers(turn, beat)
    beat.last_ms = max([beat.last_ms, *(sender.last_ms for sender in senders)])
    rule = turn.rules.absence(beat.beat)
    if rule is None:
        return
    if _missing_ms(turn, beat, rule) > at_ms:
        watch(turn, beat)
        return
    for alert in (beat, *senders):
        alert.firing = False  # so that the next one is news
        turn.state.put_alert(alert)
        turn.state.note(alert, Ending(AlertState.EXPIRED, None))
    _missing(turn, rule, beat)


def _missing_ms(turn: Turn, beat: LiveAlert, rule: Absence) -> int:
    """When the heartbeat is missing; while nobody listened it could not be heard."""
    return max(beat.last_ms, turn.state.clock.listening_ms) + rule.missing


def _missing(turn: Turn, rule: Absence, beat: LiveAlert) -> None:
    fingerprint_missing = _identity(beat)
    alert = turn.state.alerts.get(fingerprint_missing.encode())
    if alert is not None and alert.firing:
        return
    if alert is None or not alert.incident:
        alert = LiveAlert(
            fingerprint=fingerprint_missing,
            component=beat.component,
            scope=beat.scope,
            labels=_labels(beat),
            annotations={"summary": f"{beat.name} was not heard of for {format_ms(rule.missing)}"},
            severity=rule.severity,
            severity_found="",
            owner=rule.owner or beat.owner,
            incident_class=beat.incident_class,
            generator_url=beat.generator_url,
            changes=alert.changes if alert else None,
        )
    alert.firing, alert.fired_ms, alert.fired_by, alert.ended_ms = True, turn.now_ms, turn.offset, 0
    alert.forget_ms, alert.last_ms, alert.named = 0, turn.now_ms, False
    alert.renew(_NEVER_MS, turn.now_ms)
    turn.state.put_alert(alert)
    identity.index(turn, alert)
    grouping.on_fired(turn, alert)


def is_missing(alert: LiveAlert) -> bool:
    """Whether it is the alert that says of a heartbeat that it is missing."""
    return alert.hold_ms == _NEVER_MS


def _labels(beat: LiveAlert) -> dict[str, str]:
    return {**beat.labels, "alertname": beat.beat}


def _identity(beat: LiveAlert) -> str:
    return fingerprint(_labels(beat))
