"""Windowed correlation: N different alerts that fire within T and share the values of some labels.

A rule about one component is worked out where the component's records are. A rule that looks across components has an
actor of its own, keyed by rule and group; components send it a signal through the journal when one of their alerts
begins to fire or ends, never for a repeat. Windows are engine time.
"""

from dataclasses import replace
from typing import Any

from app.core import escalating, notifying
from app.core.lifecycle import Cause, advance
from app.core.rulebook import CorrelationRule
from app.core.state import Fired, Incident, LiveAlert, Member
from app.core.turn import Turn
from models.duration import format_ms
from models.incident import State, incident_id
from models.journal import encode_signal
from models.reason import BadInput, Reason
from models.severity import Severity

WINDOW = "window"
CORRELATED = "correlated"  # the class of incidents that a rule opened


def on_fired(turn: Turn, alert: LiveAlert) -> None:
    """Show an alert that began to fire to every rule that it is for."""
    for rule in turn.rules.correlations:
        group = rule.group(alert.severity, alert.component, alert.owner, alert.labels)
        if group is None:
            continue
        if rule.local:
            fired = _add_to_window(turn, rule, group, alert.fingerprint, _member(turn, alert))
            if len(fired) >= rule.policy.count:
                incident = turn.state.incidents[alert.incident]
                escalating.escalate(turn, incident, rule.policy.name, _because(rule, fired), _records(fired))
        else:
            _signal(turn, rule, group, alert)


def on_ended(turn: Turn, alert: LiveAlert) -> None:
    """Tell the actors that an alert ended."""
    for rule in turn.rules.correlations:
        if not rule.local:
            group = rule.group(alert.severity, alert.component, alert.owner, alert.labels)
            if group is not None:
                _signal(turn, rule, group, alert)


def _signal(turn: Turn, rule: CorrelationRule, group: str, alert: LiveAlert) -> None:
    member = _member(turn, alert)
    body = {slot: getattr(member, slot) for slot in ("name", "component", "incident", "severity", "firing", "record")}
    key = f"rule/{rule.policy.name}/{group}"
    turn.send(key, encode_signal(rule.policy.name, group, {"alert": alert.fingerprint, **body}))


def on_signal(turn: Turn, name: str, group: str, document: Any) -> None:
    """A signal arrived at the rule's actor. Raises BadInput when it is not one."""
    fingerprint, member = _member_from(document)
    rule = turn.rules.correlation(name)
    incident = turn.state.current.get((f"{name}/{group}", CORRELATED))
    if not member.firing:
        _ended_in_window(turn, name, group, fingerprint)
        if incident is not None and fingerprint in incident.members:
            _member_ended(turn, incident, fingerprint)
    elif rule is not None and rule.policy.open is not None:  # else the policy changed while the signal was under way
        fired = _add_to_window(turn, rule, group, fingerprint, replace(member))
        if incident is not None:
            _member_fired(turn, rule, group, incident, fingerprint, member)
        elif len(fired) >= rule.policy.count:
            _open(turn, rule, group, fired)


def _ended_in_window(turn: Turn, name: str, group: str, fingerprint: str) -> None:
    """An alert counts in the window although it ended, but an incident that opens later must not wait for its end."""
    window = turn.state.windows.get((name, group), [])
    for fired in window:
        if fired.fingerprint == fingerprint and fired.member.firing:
            fired.member.firing = False
            turn.state.put_window(name, group, window)


def on_window(turn: Turn, at_ms: int, whose: str) -> None:
    """Forget what has left a window."""
    name, group = whose.split("\n", 1)
    rule, window = turn.rules.correlation(name), turn.state.windows.get((name, group))
    if window is None:
        return
    if rule is None or window[-1].at_ms + rule.policy.within <= at_ms:
        turn.state.put_window(name, group, [])


def watch_window(turn: Turn, name: str, group: str, window: list[Fired]) -> None:
    """Set the timer that forgets a window when nothing more comes."""
    rule = turn.rules.correlation(name)
    turn.state.schedule(window[-1].at_ms + (rule.policy.within if rule else 0), WINDOW, f"{name}\n{group}")


def _add_to_window(turn: Turn, rule: CorrelationRule, group: str, fingerprint: str, member: Member) -> list[Fired]:
    """Add to the window what fired, drop what is older than the window, and return the different alerts in it."""
    within_ms = rule.policy.within
    window = [
        fired
        for fired in turn.state.windows.get((rule.policy.name, group), [])
        if turn.now_ms - fired.at_ms < within_ms and fired.fingerprint != fingerprint
    ]
    # The threshold is reached with `count` alerts; more than that many need not be remembered.
    window = [*window[-(rule.policy.count - 1) :], Fired(turn.now_ms, fingerprint, member)]
    turn.state.put_window(rule.policy.name, group, window)
    watch_window(turn, rule.policy.name, group, window)
    return window


def _open(turn: Turn, rule: CorrelationRule, group: str, fired: list[Fired]) -> None:
    opening = rule.policy.open
    assert opening is not None
    firing = [one for one in fired if one.member.firing]
    incident = Incident(
        id=incident_id("INC", turn.now_ms, turn.partition, turn.offset, turn.opened()),
        component=f"{rule.policy.name}/{group}",
        incident_class=CORRELATED,
        state=State.OPEN,
        severity=opening.severity,
        owner=opening.owner,
        title=_title(rule, group, len(firing)),
        next_step="Look for what they have in common: " + ", ".join(one.member.component for one in firing[:5]),
        opened_ms=turn.now_ms,
        opened_by=turn.record,
        rule=rule.policy.name,
        members={one.fingerprint: replace(one.member) for one in firing},  # the window keeps its own
    )
    turn.state.put_incident(incident)
    turn.count("incidents")
    text = _because(rule, fired)
    turn.tell(incident, "Opened", text, severity=incident.severity)
    notifying.on_opened(turn, incident, text)
    if rule.policy.escalate:
        escalating.escalate(turn, incident, rule.policy.name, text, _records(fired))
    turn.changed(incident)


def _member_fired(
    turn: Turn, rule: CorrelationRule, group: str, incident: Incident, fingerprint: str, member: Member
) -> None:
    if fingerprint not in incident.members and len(incident.members) >= turn.rules.policy.bounds.alerts_in_incident:
        turn.count("refused.members")
        return
    was = incident.state
    incident.state = advance(was, Cause.FIRED)
    incident.members[fingerprint] = member
    incident.title = _title(rule, group, len(incident.members))
    turn.tell(incident, "MemberFired", f"{member.name} on {member.component} belongs to it", member=member.incident)
    if was is State.RESOLVED:
        incident.reopened += 1
        incident.resolved_ms, incident.resolved_by = 0, ""
        turn.tell(incident, "Reopened", f"{member.name} on {member.component} fires again")
        notifying.on_reopened(turn, incident, f"{member.name} on {member.component} fires again")
    turn.changed(incident)


def _member_ended(turn: Turn, incident: Incident, fingerprint: str) -> None:
    member = incident.members[fingerprint]
    if not member.firing:
        return
    member.firing = False
    turn.tell(incident, "MemberEnded", f"{member.name} on {member.component} ended", member=member.incident)
    if not incident.still_firing:
        incident.state = advance(incident.state, Cause.ENDED)
        incident.resolved_ms = turn.now_ms
        turn.tell(incident, "Resolved", "all its alerts ended")
        turn.state.schedule(turn.now_ms + turn.rules.policy.incidents.settle, "settle", incident.id)
    turn.changed(incident)


def _member(turn: Turn, alert: LiveAlert) -> Member:
    record = f"{turn.partition}-{alert.fired_by}"
    return Member(alert.name, alert.component, alert.incident, alert.severity, alert.firing, record)


def _member_from(document: Any) -> tuple[str, Member]:
    try:
        fields = dict(document)
        fingerprint = fields.pop("alert")
        member = Member(**fields | {"severity": Severity(fields["severity"])})
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput(Reason.MALFORMED, f"a signal's member is {document!r:.200}: {error!r}") from None
    texts = (fingerprint, member.name, member.component, member.incident, member.record)
    if not all(isinstance(text, str) for text in texts) or not isinstance(member.firing, bool):
        raise BadInput(
            Reason.MALFORMED, f"a signal's member is {document!r:.200}: firing must be true or false, else texts"
        )
    return fingerprint, member


def _title(rule: CorrelationRule, group: str, count: int) -> str:
    assert rule.policy.open is not None
    title = rule.policy.open.title.replace("{count}", str(count)).replace("{group}", group)
    return title.replace("{within}", format_ms(rule.policy.within))


def _because(rule: CorrelationRule, fired: list[Fired]) -> str:
    names = ", ".join(f"{one.member.name} on {one.member.component}" for one in fired[:5])
    more = f" and {len(fired) - 5} more" if len(fired) > 5 else ""
    return f"{len(fired)} alerts within {format_ms(rule.policy.within)} ({rule.policy.name}): {names}{more}"


def _records(fired: list[Fired]) -> list[str]:
    return [one.member.record for one in fired]
