"""One alert, many records: what is news in an alert record, and what is a repeat.

An alert is its fingerprint. A record of it is news when it makes the alert fire or ends it;
everything else is a repeat, which is counted and keeps the alert from expiring. The same labels
with a new start and no end between are the same alert. An alert that nobody sends any more ends by
itself after its `ttl_ms`.
"""

import re
from typing import Any

from app.core.alerts import grouping, heartbeats
from app.core.incidents import resolution
from app.core.state.state import LiveAlert, bytes_of
from app.core.state.turn import Turn
from models.duration import format_ms
from models.effect import Stream
from models.reason import BadInput, Reason

EXPIRE = "expire"

_FINGERPRINT = re.compile("[0-9a-f]{16}")
_STATUSES = ("firing", "resolved")


def on_alert(turn: Turn, document: dict[str, Any], component: str) -> None:
    """An alert record that is not recognisably a plain repeat.

    Raises BadInput before anything has changed.
    """
    fingerprint, firing, ttl_ms, starts_ms = _check_record(document)
    alert = turn.state.alerts.get(fingerprint.encode())
    if firing and (alert is None or not alert.firing):
        _begin_firing(turn, document, component, alert)
    elif not firing and (alert is None or alert.firing):
        _end_firing(turn, document, component, alert)
    elif alert is not None:
        turn.count("repeats")
        alert.count += 1
        alert.last_ms = turn.now_ms
        if firing and (ttl_ms, starts_ms) != (alert.ttl_ms, alert.starts_ms):
            alert.renew(ttl_ms, starts_ms)
            watch_expiry(turn, alert)
        turn.state.touch(alert)
    turn.count("alerts")


def _check_record(document: dict[str, Any]) -> tuple[str, bool, int, int]:
    fingerprint, status = document["alert"], document.get("status")
    ttl_ms, starts_ms = document.get("ttl_ms"), document.get("starts_ms")
    labels, annotations = document.get("labels"), document.get("annotations", {})
    if (
        not isinstance(fingerprint, str)
        or not _FINGERPRINT.fullmatch(fingerprint)
        or status not in _STATUSES
    ):
        raise BadInput(
            Reason.MALFORMED,
            f"alert is {fingerprint!r:.60} and status {status!r:.60}: not an alert record",
        )
    if (
        type(ttl_ms) is not int
        or ttl_ms < 0
        or type(starts_ms) is not int
        or not _is_texts(labels)
        or not labels
    ):
        raise BadInput(
            Reason.MALFORMED,
            "an alert record has to have ttl_ms of 0 or more, starts_ms and labels of text",
        )
    if not _is_texts(annotations):
        raise BadInput(Reason.MALFORMED, "an alert record's annotations have to be texts by name")
    return fingerprint, status == "firing", ttl_ms, starts_ms


def _is_texts(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(text, str) for text in value.values())


def _begin_firing(
    turn: Turn, document: dict[str, Any], component: str, known: LiveAlert | None
) -> None:
    alert = _alert_of_record(turn, document, component, known)
    alert.firing, alert.fired_ms, alert.fired_offset, alert.ended_ms = (
        True,
        turn.now_ms,
        turn.offset,
        0,
    )
    alert.retain_until_ms = 0
    alert.renew(document["ttl_ms"], document["starts_ms"])
    turn.state.put_alert(alert)
    if alert.heartbeat:
        heartbeats.on_heartbeat(turn, alert)
        return
    watch_expiry(turn, alert)
    turn.count("fired")
    if alert.severity_label:
        turn.count("unknown_severities")
    grouping.on_fired(turn, alert)


def _end_firing(
    turn: Turn, document: dict[str, Any], component: str, known: LiveAlert | None
) -> None:
    """An alert ended. One that was never heard to fire is recorded, and nobody is woken."""
    if known is not None and known.heartbeat:
        return  # a heartbeat that ends is not heard of, and will be missing in time
    alert = known or _alert_of_record(turn, document, component, None)
    alert.firing, alert.ended_ms, alert.last_ms = False, turn.now_ms, turn.now_ms
    if known is not None:
        alert.count += 1
    turn.state.put_alert(alert)
    turn.count("ended")
    if alert.incident:
        grouping.on_ended(turn, alert, "AlertEnded", "ended")
        return
    body = {"incident": None, "component": component, "alert": alert.fingerprint}
    text = f"{alert.name} on {component} ended before it was heard to fire"
    turn.emit(Stream.TIMELINE, component, "EndedUnheard", body | {"text": text})
    resolution.retain_ended(turn, alert)


def _alert_of_record(
    turn: Turn, document: dict[str, Any], component: str, known: LiveAlert | None
) -> LiveAlert:
    """The alert of a record, as the policy of now judges it."""
    labels, annotations = document["labels"], document.get("annotations") or {}
    decision = turn.rules.evaluate(labels)
    grouping.check_room(
        turn, component, decision.incident_class, known, bytes_of(labels, annotations)
    )
    if known is None or known.incident == "":
        known = LiveAlert(
            fingerprint=document["alert"],
            component=component,
            labels=labels,
            annotations=annotations,
            severity=decision.severity,
            severity_label=decision.severity_label,
            owner=decision.owner,
            incident_class=decision.incident_class,
            heartbeat=decision.heartbeat if document["status"] == "firing" else "",
            changes=known.changes
            if known
            else None,  # it is the same alert still, though its incident is another
        )
    elif known.annotations != annotations:
        known.annotations = annotations
        turn.state.measure(known)
    known.count += 1
    known.last_ms = turn.now_ms
    return known


def watch_expiry(turn: Turn, alert: LiveAlert) -> None:
    """Set the timer that ends the alert, unless one is set that comes before.

    That one will look again.
    """
    if alert.heartbeat:
        return  # it has a timer of its own (app.core.alerts.heartbeats)
    if not alert.timer_ms or alert.expires_ms < alert.timer_ms:
        alert.timer_ms = alert.expires_ms
        turn.state.schedule(alert.expires_ms, EXPIRE, alert.fingerprint)


def on_expire(turn: Turn, at_ms: int, subject: str) -> None:
    """End an alert that nobody has sent for its hold time."""
    alert = turn.state.alerts.get(subject.encode())
    if alert is None or alert.timer_ms != at_ms:
        return
    alert.timer_ms = 0  # also when it has ended: it may fire again, and then needs a new timer
    if not alert.firing:
        return
    if alert.expires_ms > at_ms:
        watch_expiry(turn, alert)  # it was repeated since
        return
    alert.firing, alert.ended_ms = False, turn.now_ms
    turn.state.put_alert(alert)
    turn.count("expired")
    grouping.on_ended(turn, alert, "AlertExpired", f"not heard of for {format_ms(alert.ttl_ms)}")
