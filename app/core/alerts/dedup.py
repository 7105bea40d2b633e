"""One alert, many records: what is news in an alert record, and what is a repeat.

An alert is its fingerprint. A record of it is news when it makes the alert fire or ends it;
everything else is a repeat, which is counted and keeps the alert from expiring. The same labels
with a new start and no end between are the same alert. An alert that nobody sends any more ends by
itself after its `hold_ms`.
"""

import re
from typing import Any

from app.core.alerts import grouping, heartbeats
from app.core.incidents import resolution, unheard
from app.core.state.state import LiveAlert, bytes_of
from app.core.state.turn import Turn
from models.duration import format_ms
from models.effect import Stream
from models.place import Place, place_from
from models.reason import BadInput, Reason

_FINGERPRINT = re.compile("[0-9a-f]{16}")
_STATUSES = ("firing", "resolved")


def on_alert(turn: Turn, document: dict[str, Any], key: str) -> None:
    """An alert record that is not recognisably a plain repeat.

    Raises BadInput before anything has changed.
    """
    fingerprint, firing, hold_ms, starts_ms = _checked(document)
    place = place_from(key)
    alert = turn.state.alerts.get(fingerprint.encode())
    if firing and (alert is None or not alert.firing):
        _fired(turn, document, place, alert)
    elif not firing and (alert is None or alert.firing):
        _ended(turn, document, place, alert)
    elif alert is not None:
        turn.count("repeats")
        alert.count += 1
        alert.last_ms = turn.now_ms
        if firing and (hold_ms, starts_ms) != (alert.hold_ms, alert.starts_ms):
            alert.renew(hold_ms, starts_ms)
            unheard.watch_expiry(turn, alert)
        if firing and alert.unheard_ms:
            unheard.on_heard(turn, alert)
        turn.state.touch(alert)
    turn.count("alerts")


def _checked(document: dict[str, Any]) -> tuple[str, bool, int, int]:
    fingerprint, status = document["alert"], document.get("status")
    hold_ms, starts_ms = document.get("hold_ms"), document.get("starts_ms")
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
        type(hold_ms) is not int
        or hold_ms < 0
        or type(starts_ms) is not int
        or not _texts(labels)
        or not labels
    ):
        raise BadInput(
            Reason.MALFORMED,
            "an alert record has to have hold_ms of 0 or more, starts_ms and labels of text",
        )
    if not _texts(annotations):
        raise BadInput(Reason.MALFORMED, "an alert record's annotations have to be texts by name")
    return fingerprint, status == "firing", hold_ms, starts_ms


def _texts(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(text, str) for text in value.values())


def _fired(turn: Turn, document: dict[str, Any], place: Place, known: LiveAlert | None) -> None:
    alert = _alert(turn, document, place, known)
    alert.firing, alert.fired_ms, alert.fired_by, alert.ended_ms = True, turn.now_ms, turn.offset, 0
    alert.forget_ms = 0
    alert.renew(document["hold_ms"], document["starts_ms"])
    turn.state.put_alert(alert)
    if alert.beat:
        heartbeats.on_beat(turn, alert)
        return
    unheard.watch_expiry(turn, alert)
    turn.count("fired")
    if alert.severity_found:
        turn.count("unknown_severities")
    grouping.on_fired(turn, alert)


def _ended(turn: Turn, document: dict[str, Any], place: Place, known: LiveAlert | None) -> None:
    """An alert ended. One that was never heard to fire is recorded, and nobody is woken."""
    if known is not None and known.beat:
        return  # a heartbeat that ends is not heard of, and will be missing in time
    alert = known or _alert(turn, document, place, None)
    alert.firing, alert.ended_ms, alert.last_ms = False, turn.now_ms, turn.now_ms
    if known is not None:
        alert.count += 1
    turn.state.put_alert(alert)
    turn.count("ended")
    if alert.incident:
        grouping.on_ended(turn, alert, "AlertEnded", "ended")
        return
    body = {
        "incident": None,
        "component": place.component,
        "scope": place.scope,
        "alert": alert.fingerprint,
    }
    text = f"{alert.name} on {place.title} ended before it was heard to fire"
    turn.emit(Stream.TIMELINE, place.key, "EndedUnheard", body | {"text": text})
    resolution.remember(turn, alert)


def _alert(
    turn: Turn, document: dict[str, Any], place: Place, known: LiveAlert | None
) -> LiveAlert:
    """The alert of a record, as the policy of now judges it."""
    labels, annotations = document["labels"], document.get("annotations") or {}
    verdict = turn.rules.judge(labels)
    grouping.check_room(turn, place, verdict.incident_class, known, bytes_of(labels, annotations))
    if known is None or known.incident == "":
        known = LiveAlert(
            fingerprint=document["alert"],
            component=place.component,
            scope=place.scope,
            labels=labels,
            annotations=annotations,
            severity=verdict.severity,
            severity_found=verdict.severity_found,
            owner=verdict.owner,
            incident_class=verdict.incident_class,
            beat=verdict.absence if document["status"] == "firing" else "",
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


def on_expire(turn: Turn, at_ms: int, whose: str) -> None:
    """End an alert that nobody has sent for its hold time."""
    alert = turn.state.alerts.get(whose.encode())
    if alert is None or alert.timer_ms != at_ms:
        return
    alert.timer_ms = 0  # also when it has ended: it may fire again, and then needs a new timer
    if not alert.firing:
        return
    if unheard.ends_ms(turn, alert) > at_ms:
        unheard.watch_expiry(turn, alert)  # it was repeated since
        return
    if unheard.goes_on(turn, alert):
        unheard.begin(turn, alert)
        return
    alert.firing, alert.ended_ms = False, turn.now_ms
    turn.state.put_alert(alert)
    turn.count("expired")
    text = f"not heard of for {format_ms(turn.now_ms - alert.last_ms)}"
    grouping.on_ended(turn, alert, "AlertExpired", text)
