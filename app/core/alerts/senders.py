"""Several senders of one alert, and several severities of one alert: which of them counts.

A sender is the set of the labels that do not count. The alert that fires first leads: it belongs to
the incident, and fires while any sender says so. An alert of another sender follows it: it has
times of its own, and no incident.
"""

from typing import Any

from app.core.alerts import grouping, identity
from app.core.state.annotations import kept_annotations
from app.core.state.live_alert import Ending, LiveAlert
from app.core.state.turn import Turn
from models.alert import Labels
from models.events_alert import AlertState


def leader_of(turn: Turn, document: dict[str, Any], known: LiveAlert | None) -> LiveAlert | None:
    """The alert that a record's alert follows; None when it leads."""
    if known is None:
        return identity.leader_of(turn, document["alert"], *_texts(document))
    return turn.state.alerts[known.follows.encode()] if known.follows else None


def on_began(
    turn: Turn, document: dict[str, Any], leader: LiveAlert, known: LiveAlert | None
) -> LiveAlert:
    """Another sender says that an alert fires, which fires already."""
    labels, annotations = _texts(document)
    sender = known or LiveAlert(
        fingerprint=document["alert"],
        component=leader.component,
        scope=leader.scope,
        labels=labels,
        annotations=annotations,
        severity=leader.severity,
        severity_label="",
        owner=leader.owner,
        incident_class=leader.incident_class,
        follows=leader.fingerprint,
    )
    sender.firing, sender.fired_ms, sender.fired_offset = True, turn.now_ms, turn.offset
    sender.ended_ms, sender.last_ms = 0, turn.now_ms
    sender.until_resolved = document.get("until_resolved") is True
    sender.count += 1
    sender.renew(document["ttl_ms"], document["starts_ms"])
    turn.state.put_alert(sender)
    identity.index(turn, sender)
    turn.state.note(sender)
    turn.count("other_senders")
    return sender


def on_own_end(turn: Turn, leader: LiveAlert) -> None:
    """The sender of the alert that leads says nothing more of it, or that it ended. Another goes on."""
    if leader.heartbeat:
        return  # whoever is heard of, is
    leader.own_ended = True
    leader.renew(leader.ttl_ms, leader.starts_ms)
    turn.state.put_alert(leader)


def on_own_again(turn: Turn, leader: LiveAlert) -> None:
    """The sender of the alert that leads says again that it fires."""
    leader.own_ended = False
    turn.state.put_alert(leader)


def on_end(turn: Turn, document: dict[str, Any], known: LiveAlert | None) -> bool:
    """A sender says that an alert ended. Returns whether that ends nothing else."""
    if known is None:
        heard = identity.leader_of(turn, document["alert"], *_texts(document)) is not None
        if heard:
            turn.count("repeats")  # this sender never said that it fires
        return heard
    if known.follows:
        ended = _end_sender(turn, known)
        if ended is not None:
            _end(turn, ended, "AlertEnded", "ended")
        return True
    if known.own_ended:
        turn.count("repeats")
        return True
    if identity.others_fire(turn, known):
        on_own_end(turn, known)
        return True
    return False


def on_end_again(turn: Turn, sender: LiveAlert) -> None:
    """A sender that fell silent says that an alert ended, which fires on unheard: it has ended."""
    leader = turn.state.alerts.get(sender.follows.encode()) if sender.follows else None
    if leader is not None and leader.firing and leader.unheard_ms:
        _end(turn, leader, "AlertEnded", "ended")


def on_silent(turn: Turn, alert: LiveAlert) -> LiveAlert | None:
    """A sender was not heard of for too long. Returns the alert that has ended by that, if any."""
    if alert.follows:
        return _end_sender(turn, alert, AlertState.EXPIRED)
    if identity.others_fire(turn, alert):
        on_own_end(turn, alert)
        return None
    return alert


def _end_sender(
    turn: Turn, sender: LiveAlert, state: AlertState = AlertState.RESOLVED
) -> LiveAlert | None:
    """A sender that follows has ended. Returns the alert that leads if it was the last one."""
    sender.firing, sender.ended_ms = False, turn.now_ms
    turn.state.put_alert(sender)
    turn.state.note(sender, Ending(state, None))
    leader = turn.state.alerts[sender.follows.encode()]
    last = leader.firing and leader.own_ended and not identity.others_fire(turn, leader)
    return leader if last else None


def replaced_by(turn: Turn, document: dict[str, Any], known: LiveAlert | None) -> list[LiveAlert]:
    """The alerts that a record's alert replaces: those that differ in their severity only.

    None, when it was replaced itself and is only said again: then there are two alerts, as of two
    rules for two thresholds.
    """
    if known is not None and known.replaced:
        again = document["starts_ms"] == known.starts_ms or turn.now_ms < turn.state.expires_ms(
            known
        )
        if again:
            return []
    return identity.of_other_severity(turn, document["alert"], *_texts(document))


def replace(turn: Turn, other: LiveAlert, alert: LiveAlert) -> None:
    """End an alert without a word of its end: it has another severity now."""
    other.replaced = True
    _end(turn, other, "AlertReplaced", f"severity is now {_severity(turn, alert.labels)}")


def on_over(turn: Turn, document: dict[str, Any], *, firing: bool) -> None:
    """A severity such as `ok` says that alerts are over which have the same labels but for it."""
    labels, annotations = _texts(document)
    others = identity.of_other_severity(turn, document["alert"], labels, annotations)
    for other in others if firing else []:
        _end(turn, other, "AlertEnded", f"ended, severity is now {_severity(turn, labels)}")
    if not others or not firing:
        turn.count("repeats")


def _end(turn: Turn, alert: LiveAlert, kind: str, text: str) -> None:
    """End an alert, whoever says that it fires."""
    for sender in identity.followers(turn, alert):
        if sender.firing:
            sender.firing, sender.ended_ms = False, turn.now_ms
            turn.state.put_alert(sender)
            turn.state.note(sender, Ending(AlertState.RESOLVED, None))
    alert.firing, alert.own_ended, alert.ended_ms = False, False, turn.now_ms
    turn.state.put_alert(alert)
    turn.count("replaced" if alert.replaced else "ended")
    grouping.on_ended(turn, alert, kind, text)


def _severity(turn: Turn, labels: Labels) -> str:
    names = turn.rules.policy.severities.labels
    return next((labels[name] for name in names if labels.get(name)), "gone")


def _texts(document: dict[str, Any]) -> tuple[Labels, Labels]:
    return document["labels"], kept_annotations(document.get("annotations") or {})
