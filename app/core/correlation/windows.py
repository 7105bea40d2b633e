"""Windowed correlation: so many different alerts, or a sequence of alerts, within T that share the values of some labels.

A rule about one component is worked out where the component's records are. A rule that looks across
components has an actor of its own, keyed by rule and group; components send it a signal through the
journal when one of their alerts begins to fire or ends, never for a repeat. The incident that it
opens has the alerts as members, which from then on page nobody by themselves. Windows are engine
time.
"""

from collections.abc import Iterator
from dataclasses import replace

from app.core.incidents import resolution, runbooks
from app.core.response import escalation
from app.core.rules.compiled_policy import CompiledPolicy, CorrelationRule, PolicyDecision
from app.core.state import signals
from app.core.state.incident_now import begin_clocks
from app.core.state.lifecycle import Cause, advance
from app.core.state.live_alert import LiveAlert
from app.core.state.members import Fired, Member
from app.core.state.signals import Change
from app.core.state.state import Incident
from app.core.state.timer_kind import TimerKind
from app.core.state.turn import Turn
from app.core.suppression import inhibition, members, silences, suppression
from models.incident import State, incident_id
from models.journal import encode_suppression
from models.reason import BadInput, Reason
from models.text.duration import format_ms

CORRELATED = "correlated"  # the class of incidents that a rule opened
WINDOW_MAX = 100  # firings that a rule looks back on; older ones are forgotten first


def on_fired(turn: Turn, alert: LiveAlert, decision: PolicyDecision) -> None:
    """Show an alert that began to fire to every rule that it is for."""
    for rule, steps, group in rules_for(turn, alert, decision):
        if not rule.local:
            _signal_actor(turn, rule, group, steps, alert)
            continue
        member = signals.member_of(turn, alert)
        if not _has_room(turn, rule, group, member):
            continue
        fired = _add_to_window(
            turn, rule, group, Fired(turn.now_ms, alert.fingerprint, member, list(steps))
        )
        correlated = _find_correlated(rule, fired)
        if correlated:
            incident = turn.state.incidents[alert.incident]
            escalation.escalate(
                turn,
                incident,
                rule.policy.name,
                _describe_window(rule, correlated),
                _positions_of(correlated),
            )


def _has_room(turn: Turn, rule: CorrelationRule, group: str, member: Member) -> bool:
    """Whether a rule about one component has room for one more alert."""
    if not signals.fits_signal(group, member):
        signals.refuse_signal(turn, rule.policy.name, member)
        return False
    try:
        _check_window(turn, rule, group)
    except BadInput as why:
        turn.refuse("windows", why.message, turn.state.incidents[member.incident])
        return False
    return True


def _check_window(turn: Turn, rule: CorrelationRule, group: str) -> None:
    """Raise BadInput when a new window would pass a bound."""
    if (rule.policy.name, group) not in turn.state.windows:
        inhibition.check_groups(turn)


def on_ended(turn: Turn, alert: LiveAlert, decision: PolicyDecision) -> None:
    """Tell the actors that an alert ended."""
    for rule, steps, group in rules_for(turn, alert, decision):
        if rule.local:
            _mark_ended(turn, rule.policy.name, group, alert.fingerprint)
        else:
            _signal_actor(turn, rule, group, steps, alert)


def rules_for(
    turn: Turn, alert: LiveAlert, decision: PolicyDecision, rules: CompiledPolicy | None = None
) -> Iterator[tuple[CorrelationRule, tuple[int, ...], str]]:
    """The rules that the alert takes part in, each with the steps that it can be and its group."""
    for name, steps in decision.correlations:
        rule = (rules or turn.rules).correlations[name]
        group = rule.group(alert.severity, alert.place, alert.owner, alert.labels)
        if group is not None:
            yield rule, steps, group


def _signal_actor(
    turn: Turn, rule: CorrelationRule, group: str, steps: tuple[int, ...], alert: LiveAlert
) -> None:
    signals.send_signal(
        turn, _address_of(rule, group, steps), alert.fingerprint, signals.member_of(turn, alert)
    )


def _address_of(rule: CorrelationRule, group: str, steps: tuple[int, ...]) -> signals.ActorAddress:
    return signals.ActorAddress(
        rule.policy.name, rule.rule_id, group, ",".join(str(step) for step in steps)
    )


def retract_signals(turn: Turn, before: CompiledPolicy) -> None:
    """Tell the groups of rules in which an alert that fires has no part any more, since the policy has changed."""
    for _, alert in sorted(turn.state.alerts.items()):
        if not alert.firing or not alert.incident:
            continue
        now = {
            (rule.policy.name, group)
            for rule, _, group in rules_for(turn, alert, turn.rules.evaluate(alert.labels))
        }
        for rule, steps, group in rules_for(turn, alert, before.evaluate(alert.labels), before):
            if not rule.local and (rule.policy.name, group) not in now:
                suppression.suppress_alert(turn, alert, f"{rule.policy.name}/{group}", None)
                member = signals.member_of(turn, alert, before)
                signals.send_signal(
                    turn, _address_of(rule, group, steps), alert.fingerprint, member, left=True
                )


def steps_from(role: str) -> list[int]:
    """The steps that a signal's role names. Raises BadInput."""
    if not all(step.isdecimal() for step in role.split(",")):
        raise BadInput(
            Reason.MALFORMED, f"the role is {role!r:.40}, must be numbers of steps such as 0 or 0,2"
        )
    return [int(step) for step in role.split(",")]


def on_signal(turn: Turn, name: str, group: str, steps: list[int], change: Change) -> None:
    """A signal arrived at the rule's actor.

    Raises BadInput when there is no room for what it says.
    """
    fingerprint, member, left = change
    rule = turn.rules.correlation(name)
    incident = turn.state.current.get((f"{name}/{group}", CORRELATED))
    if not member.firing:
        _mark_ended(turn, name, group, fingerprint)
        text = signals.LEFT_TEXT if left else "ended"
        ended = incident is not None and members.on_member_ended(turn, incident, fingerprint, text)
        if incident is not None and ended and not incident.still_firing:
            incident.state = advance(incident.state, Cause.ENDED)
            resolution.note_resolved(turn, incident, incident.resolved_by, "All alerts ended")
    elif (
        rule is not None and rule.policy.open is not None
    ):  # else the policy changed while the signal was under way
        _check_window(turn, rule, group)
        if incident is not None:
            members.check_room(turn, incident, fingerprint, member)
        window = _add_to_window(
            turn, rule, group, Fired(turn.now_ms, fingerprint, replace(member), steps)
        )
        if incident is not None:
            _member_fired(turn, rule, group, incident, fingerprint, member)
        elif correlated := _find_correlated(rule, window):
            _open_incident(turn, rule, group, correlated, window)


def _mark_ended(turn: Turn, name: str, group: str, fingerprint: str) -> None:
    """An alert that ended counts no more, but as a step of a sequence.

    An incident that opens later must not wait for its end.
    """
    window = turn.state.windows.get((name, group), [])
    for fired in window:
        if fired.fingerprint == fingerprint and fired.member.firing:
            fired.member.firing = False
            turn.state.put_window(name, group, window)


def on_window(turn: Turn, at_ms: int, subject: str) -> None:
    """Forget what has left a window."""
    name, group = subject.split("\n", 1)
    rule, window = turn.rules.correlation(name), turn.state.windows.get((name, group))
    if window is None:
        return
    if rule is None or window[-1].at_ms + rule.policy.within <= at_ms:
        turn.state.put_window(name, group, [])


def watch_window(turn: Turn, name: str, group: str, window: list[Fired]) -> None:
    """Set the timer that forgets a window when nothing more comes."""
    rule = turn.rules.correlation(name)
    turn.state.schedule(
        window[-1].at_ms + (rule.policy.within if rule else 0), TimerKind.WINDOW, f"{name}\n{group}"
    )


def _add_to_window(turn: Turn, rule: CorrelationRule, group: str, fired: Fired) -> list[Fired]:
    """Add to the window what fired, and drop what is older than the window.

    To count, only the newest firing of each alert that fires still matters. A sequence looks at all.
    """
    name = rule.policy.name
    window = _window_with(rule, turn.state.windows.get((name, group), []), fired)
    turn.state.put_window(name, group, window)
    watch_window(turn, name, group, window)
    return window


def _window_with(rule: CorrelationRule, window: list[Fired], fired: Fired) -> list[Fired]:
    counts = rule.policy.sequence is None
    window = [
        member_firing
        for member_firing in window
        if fired.at_ms - member_firing.at_ms < rule.policy.within
        and not (
            counts
            and (member_firing.fingerprint == fired.fingerprint or not member_firing.member.firing)
        )
    ]
    kept = max(rule.count, WINDOW_MAX) - 1
    return [*window[-kept:], fired]


def replay_deferred(turn: Turn, rule: CorrelationRule, group: str, early: list[Fired]) -> None:
    """Let what fired for the rule, or the one that it follows, before it was in force here count.

    Each at its own time.
    """
    name = rule.policy.name
    incident = turn.state.current.get((f"{name}/{group}", CORRELATED))
    window: list[Fired] = []
    for fired in sorted(
        [*turn.state.windows.get((name, group), []), *early],
        key=lambda member_firing: member_firing.at_ms,
    ):
        window = _window_with(rule, window, fired)
        if incident is not None:
            _join_deferred(turn, rule, group, incident, fired)
            continue
        correlated = _find_correlated(rule, window)
        if any(
            member_firing.member.firing for member_firing in correlated
        ):  # else it is over already, and would never end
            incident = _open_incident(turn, rule, group, correlated, window)
    over = turn.now_ms - window[-1].at_ms >= rule.policy.within
    turn.state.put_window(name, group, [] if over else window)
    if not over:
        watch_window(turn, name, group, window)


def _join_deferred(
    turn: Turn, rule: CorrelationRule, group: str, incident: Incident, fired: Fired
) -> None:
    known = incident.members.get(fired.fingerprint)
    if not fired.member.firing or (known is not None and known.firing):
        return
    try:
        members.check_room(turn, incident, fired.fingerprint, fired.member)
    except BadInput as why:
        turn.refuse("members", why.message, incident)
    else:
        _member_fired(turn, rule, group, incident, fired.fingerprint, replace(fired.member))


def _find_correlated(rule: CorrelationRule, window: list[Fired]) -> list[Fired]:
    """The firings that make the rule true now that the window's last has fired, oldest first; empty when it is not.

    A sequence is completed by its last step. Each step before is taken by the first other alert
    after the step before it.
    """
    if rule.policy.sequence is None:
        firing = [member_firing for member_firing in window if member_firing.member.firing]
        return firing[-rule.count :] if len(firing) >= rule.count else []
    *before, newest = window
    if rule.count - 1 not in newest.steps:
        return []
    taken = _alerts_taken(rule, before, newest.fingerprint)
    return [*taken, newest] if len(taken) == rule.count - 1 else []


def _alerts_taken(rule: CorrelationRule, window: list[Fired], without: str = "") -> list[Fired]:
    """The firings that take the steps of a sequence but its last, as far as they go.

    Not by the alert `without`.
    """
    chosen: list[Fired] = []
    taken = {without}
    for fired in window:
        if (
            len(chosen) < rule.count - 1
            and len(chosen) in fired.steps
            and fired.fingerprint not in taken
        ):
            chosen.append(fired)
            taken.add(fired.fingerprint)
    return chosen


def alerts_counted(rule: CorrelationRule, window: list[Fired]) -> list[Fired]:
    """The firings of a window that count towards the rule, oldest first, whether or not they are enough."""
    if rule.policy.sequence is None or not window:
        return [member_firing for member_firing in window if member_firing.member.firing][
            -rule.count :
        ]
    return _find_correlated(rule, window) or _alerts_taken(rule, window)


def _open_incident(
    turn: Turn, rule: CorrelationRule, group: str, fired: list[Fired], window: list[Fired]
) -> Incident:
    opening = rule.policy.open
    assert opening is not None
    newest = {
        taken.fingerprint: taken for taken in window
    }  # an alert that took its step may have ended, and fire again
    firing = [
        newest[taken.fingerprint] for taken in fired if newest[taken.fingerprint].member.firing
    ]
    text = _describe_window(rule, fired)
    incident = Incident(
        id=incident_id("INC", turn.now_ms, turn.partition, turn.offset, turn.opened()),
        component=f"{rule.policy.name}/{group}",
        scope="",
        incident_class=CORRELATED,
        state=State.OPEN,
        severity=opening.severity,
        owner=opening.owner,
        title=_fill_title(rule, group, len(firing)),
        peak_title=_fill_title(rule, group, len(firing)),
        peak_severity=opening.severity,
        owner_severity=opening.severity,
        summary=text,
        next_step="Look for what they have in common: "
        + ", ".join(taken.member.place.title for taken in firing[:5]),
        opened_ms=turn.now_ms,
        opened_by=turn.position,
        severity_ms=turn.now_ms,
        notifiable_since_ms=turn.now_ms,
        rule=rule.policy.name,
        members={
            taken.fingerprint: replace(taken.member) for taken in firing
        },  # the window keeps its own
        bytes=sum(taken.member.size for taken in firing),
    )
    begin_clocks(incident, turn.now_ms)
    labels = inhibition.labels_of(incident)
    decision = turn.rules.evaluate(labels)
    incident.correlation_wait_ms, incident.mutes = (
        decision.correlation_wait_ms,
        list(decision.mutes),
    )
    turn.state.put_incident(incident)
    turn.count("incidents")
    turn.timeline(incident, "Opened", text, severity=incident.severity, owner=incident.owner)
    silences.review_incident(turn, incident)
    runbooks.choose_runbook(turn, incident, decision.runbook, labels)
    for member_firing in firing:
        _suppress_member(
            turn, rule, group, incident, member_firing.fingerprint, member_firing.member
        )
    inhibition.on_incident(turn, incident, firing=True)
    if rule.policy.escalate:
        escalation.escalate(turn, incident, rule.policy.name, text, _positions_of(fired))
    turn.changed(incident)
    return incident


def _suppress_member(
    turn: Turn,
    rule: CorrelationRule,
    group: str,
    incident: Incident,
    fingerprint: str,
    member: Member,
) -> None:
    """The alert pages nobody by itself any more, if the incident may explain it."""
    if not inhibition.incident_may_hide(turn, incident, fingerprint, member):
        return
    text = f"Part of {incident.title} ({rule.policy.name})"
    because = {"text": text, "parent": incident.id, "source": incident.id}
    key = f"{rule.policy.name}/{group}"
    turn.send(
        member.place.key, encode_suppression(key, fingerprint, member.record, because, rule.rule_id)
    )


def on_awareness(turn: Turn, incident: Incident) -> None:
    """The incident is known to somebody now, or no longer: its urgent members are explained, or are not."""
    rule = turn.rules.correlation(incident.rule)
    if rule is None:
        return
    group = incident.component.removeprefix(f"{incident.rule}/")
    for fingerprint, member in incident.members.items():
        if not (member.own and member.firing and member.severity.is_urgent):
            continue
        if incident.known_of:
            _suppress_member(turn, rule, group, incident, fingerprint, member)
        else:
            key = f"{incident.rule}/{group}"
            message = encode_suppression(key, fingerprint, member.record, None, rule.rule_id)
            turn.send(member.component, message)


def _member_fired(
    turn: Turn,
    rule: CorrelationRule,
    group: str,
    incident: Incident,
    fingerprint: str,
    member: Member,
) -> None:
    was = incident.state
    members.on_member_fired(turn, incident, fingerprint, member)
    incident.state = advance(was, Cause.FIRED)
    firing = sum(other.firing and other.own for other in incident.members.values())
    if firing >= rule.count:  # else the title goes on to say what opened it
        incident.title = incident.peak_title = _fill_title(rule, group, firing)
    _suppress_member(turn, rule, group, incident, fingerprint, member)
    if was is State.RESOLVED:
        incident.fires_anew_ms = turn.now_ms if incident.severity.is_urgent else 0
        suppression.begin_incident_wait(turn, incident)
        resolution.note_reopened(
            turn, incident, f"{member.name} on {member.place.title} is firing again"
        )


def _fill_title(rule: CorrelationRule, group: str, count: int) -> str:
    assert rule.policy.open is not None
    title = rule.policy.open.title.replace("{count}", str(count)).replace("{group}", group)
    return title.replace("{within}", format_ms(rule.policy.within))


def _describe_window(rule: CorrelationRule, fired: list[Fired]) -> str:
    names = [
        f"{member_firing.member.name} on {member_firing.member.place.title}"
        for member_firing in fired
    ]
    within, name = format_ms(rule.policy.within), rule.policy.name
    if rule.policy.sequence is not None:
        return f"Sequence within {within} ({name}): {', then '.join(names)}"
    more = f" and {len(fired) - 5} more" if len(fired) > 5 else ""
    return f"{len(fired)} alerts within {within} ({name}): {', '.join(names[:5])}{more}"


def _positions_of(fired: list[Fired]) -> list[str]:
    return [member_firing.member.record for member_firing in fired]
