"""One alert, many records: what is news in an alert record, and what is a repeat.

An alert is its fingerprint. A record of it is news when it makes the alert fire or ends it;
everything else is a repeat, which is counted and keeps the alert from expiring. The same labels
with a new start and no end between are the same alert. An alert that nobody sends any more ends by
itself after its `ttl_ms`.
"""

import re
from typing import Any

from app.core.alerts import capacity, expectations, grouping, heartbeats, identity, senders
from app.core.correlation import background
from app.core.incidents import resolution, unheard
from app.core.state.annotations import kept_annotations, kept_url
from app.core.state.live_alert import Ending, LiveAlert, bytes_of
from app.core.state.turn import Turn
from models.effect import Stream
from models.events_alert import AlertState, Unnotified
from models.place import Place, place_from
from models.reason import BadInput, Reason
from models.text.duration import format_ms

_FINGERPRINT = re.compile("[0-9a-f]{16}")
_STATUSES = ("firing", "resolved")
_TEXT = {str}
TTL_SLACK_MS = 60_000  # an end that is counted from another instant differs by less


def on_alert(turn: Turn, document: dict[str, Any], key: str) -> None:
    """An alert record that is not recognisably a plain repeat.

    Raises BadInput before anything has changed.
    """
    fingerprint, firing, ttl_ms, starts_ms = _check_record(document)
    place = place_from(key)
    alert = turn.state.alerts.get(fingerprint.encode())
    if alert is None and turn.rules.says_ended(document["labels"]):
        senders.on_over(turn, document, firing=firing)
    elif firing and (alert is None or not alert.firing):
        _began(turn, document, place, alert)
    elif not firing and (alert is None or alert.firing):
        _end_firing(turn, document, place, alert)
    elif alert is not None:
        turn.count("repeats")
        alert.count += 1
        _repeated(turn, document, alert, (ttl_ms, starts_ms) if firing else None)
        turn.state.touch(alert)
    turn.count("alerts")


def _repeated(
    turn: Turn, document: dict[str, Any], alert: LiveAlert, times: tuple[int, int] | None
) -> None:
    """What is known is said again: for how long it fires and since when, or that it has ended."""
    before = alert.ttl_ms, alert.starts_ms, alert.until_resolved
    if alert.own_ended and times is not None:
        senders.on_own_again(turn, alert)
        alert.last_ms = turn.now_ms
        alert.renew(*times)
        unheard.watch_expiry(turn, alert)
    elif times is None or times == (alert.ttl_ms, alert.starts_ms):
        alert.last_ms = turn.now_ms
    elif alert.heartbeat or turn.now_ms + times[0] > turn.state.expires_ms(alert):
        alert.last_ms = turn.now_ms
        alert.renew(*times)
        unheard.watch_expiry(turn, alert)
        _note_source(turn, alert, document)
    # Else two senders say two ends that are ahead: the later one counts.
    _note_times(turn, alert, *before)
    if times is not None and alert.unheard_ms:
        unheard.on_heard(turn, alert)
    if times is None:
        senders.on_end_again(turn, alert)
    if alert.replaced and times is None:
        alert.replaced = False  # its sender says that it is over: what fires next is new
        turn.state.put_alert(alert)


def _note_times(
    turn: Turn, alert: LiveAlert, ttl_ms: int, starts_ms: int, until_resolved: bool
) -> None:
    """Note other times, but not that an end was counted from another instant: each repeat does that."""
    nearly = abs(alert.ttl_ms - ttl_ms) <= TTL_SLACK_MS
    if not nearly or (alert.starts_ms, alert.until_resolved) != (starts_ms, until_resolved):
        turn.state.note(alert)


def _note_source(turn: Turn, alert: LiveAlert, document: dict[str, Any]) -> None:
    """Whether its sender says when it ends; the latest record of it decides."""
    until_resolved = document.get("until_resolved") is True
    if alert.until_resolved != until_resolved:
        alert.until_resolved = until_resolved
        turn.state.put_alert(alert)


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
    if not _is_texts(annotations) or not isinstance(document.get("url", ""), str):
        raise BadInput(
            Reason.MALFORMED,
            "an alert record's annotations have to be texts by name, and its url a text",
        )
    return fingerprint, status == "firing", ttl_ms, starts_ms


def _is_texts(value: Any) -> bool:
    return isinstance(value, dict) and set(map(type, value.values())) <= _TEXT


def _began(turn: Turn, document: dict[str, Any], place: Place, known: LiveAlert | None) -> None:
    """An alert fires, of which nothing was known, or that it had ended."""
    leader = senders.leader_of(turn, document, known)
    if leader is None:
        _begin_firing(turn, document, place, known)
        return
    if known is None:
        annotations = kept_annotations(document.get("annotations") or {})
        size = bytes_of(document["labels"], annotations, kept_url(document.get("url", "")))
        capacity.check_alerts(turn, None, leader.severity, size)
    if not leader.firing:
        of_leader = document | {"alert": leader.fingerprint, "labels": leader.labels}
        leader = _begin_firing(turn, of_leader, leader.place, leader)
        senders.on_own_end(turn, leader)
    unheard.watch_expiry(turn, senders.on_began(turn, document, leader, known))
    if leader.unheard_ms:
        senders.on_own_end(turn, leader)
        unheard.on_heard(turn, leader)


def _begin_firing(
    turn: Turn, document: dict[str, Any], place: Place, known: LiveAlert | None
) -> LiveAlert:
    """An alert begins to fire. It replaces those that differ from it in their severity only."""
    others = senders.replaced_by(turn, document, known)
    alert = _alert_of_record(turn, document, place, known)
    alert.firing, alert.fired_ms, alert.fired_offset, alert.ended_ms = (
        True,
        turn.now_ms,
        turn.offset,
        0,
    )
    alert.retain_until_ms, alert.until_resolved = 0, document.get("until_resolved") is True
    alert.own_ended = alert.replaced = alert.named = False
    alert.renew(document["ttl_ms"], document["starts_ms"])
    turn.state.put_alert(alert)
    identity.index(turn, alert)
    if alert.heartbeat:
        heartbeats.on_heartbeat(turn, alert)
        expectations.on_received(turn, alert)
        turn.state.note(alert)
        return alert
    unheard.watch_expiry(turn, alert)
    turn.count("fired")
    if alert.severity_label:
        turn.count("unknown_severities")
    grouping.on_fired(turn, alert)
    for other in others:
        senders.replace(turn, other, alert)
    return alert


def _end_firing(
    turn: Turn, document: dict[str, Any], place: Place, known: LiveAlert | None
) -> None:
    """An alert ended. One that was never heard to fire is recorded, and nobody is woken."""
    if known is not None and known.heartbeat:
        return  # a heartbeat that ends is not heard of, and will be missing in time
    if senders.on_end(turn, document, known):
        return
    alert = known or _alert_of_record(turn, document, place, None)
    alert.firing, alert.ended_ms, alert.last_ms = False, turn.now_ms, turn.now_ms
    if known is not None:
        alert.count += 1
    turn.state.put_alert(alert)
    identity.index(turn, alert)
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
    text = f"{alert.name} on {place.title} ended before a firing alert was received"
    turn.emit(Stream.TIMELINE, place.key, "EndedUnheard", body | {"text": text})
    resolution.retain_ended(turn, alert)
    turn.state.note(alert, Ending(AlertState.RESOLVED, Unnotified.ENDED_FIRST))


def _alert_of_record(
    turn: Turn, document: dict[str, Any], place: Place, known: LiveAlert | None
) -> LiveAlert:
    """The alert of a record, as the policy of now judges it."""
    labels, annotations = document["labels"], kept_annotations(document.get("annotations") or {})
    url = kept_url(document.get("url", ""))
    decision, size = turn.rules.evaluate(labels), bytes_of(labels, annotations, url)
    incident_class = decision.incident_class
    if document["status"] == "firing" and background.is_background(
        turn, document["alert"], decision
    ):
        incident_class = background.BACKGROUND
    capacity.check_room(turn, place, incident_class, known, decision.severity, size)
    if known is None or known.incident == "":
        known = LiveAlert(
            fingerprint=document["alert"],
            component=place.component,
            scope=place.scope,
            labels=labels,
            annotations=annotations,
            severity=decision.severity,
            severity_label=decision.severity_label,
            owner=decision.owner,
            incident_class=incident_class,
            generator_url=url,
            heartbeat=decision.heartbeat if document["status"] == "firing" else "",
            changes=known.changes
            if known
            else None,  # it is the same alert still, though its incident is another
        )
        turn.state.measure(known, size)
    elif (known.annotations, known.generator_url) != (annotations, url):
        known.annotations, known.generator_url = annotations, url
        turn.state.measure(known, size)
    known.count += 1
    known.last_ms = turn.now_ms
    return known


def on_expire(turn: Turn, at_ms: int, subject: str) -> None:
    """End an alert that nobody has sent for its time to live."""
    alert = turn.state.alerts.get(subject.encode())
    if alert is None or alert.timer_ms != at_ms:
        return
    alert.timer_ms = 0  # also when it has ended: it may fire again, and then needs a new timer
    if not alert.firing or alert.own_ended:
        return
    if unheard.ends_ms(turn, alert) <= at_ms and capacity.lasts(turn, alert):
        alert.last_ms = turn.now_ms
        turn.state.touch(alert)
    if unheard.ends_ms(turn, alert) > at_ms:
        unheard.watch_expiry(turn, alert)  # it was repeated since
        return
    ended = senders.on_silent(turn, alert)
    if ended is None:
        return  # another sender says that it fires
    alert, heard_ms = ended, alert.last_ms
    if not capacity.is_own(alert) and unheard.goes_on(turn, alert):
        unheard.begin(turn, alert, heard_ms)
        return
    resolved = alert.unheard_ms and turn.state.incidents[alert.incident].ended
    alert.firing, alert.own_ended, alert.ended_ms = False, False, turn.now_ms
    turn.state.put_alert(alert)
    silent = f"not received for {format_ms(turn.now_ms - heard_ms)}"
    if alert.until_resolved and not resolved:
        turn.count("lost")
        grouping.on_ended(turn, alert, grouping.LOST, f"lost, {silent}. No resolve was received.")
        return
    turn.count("expired")
    grouping.on_ended(turn, alert, "AlertExpired", silent)
