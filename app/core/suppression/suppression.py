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
from app.core.rules.rule_id import shape_from
from app.core.state.incident_now import begin_clocks
from app.core.state.live_alert import WAIT, Hold, LiveAlert
from app.core.state.state import Incident
from app.core.state.turn import Turn
from models.duration import format_ms
from models.events import NotificationKind
from models.reason import BadInput, Reason
from models.truncate import cut

WAITING = "wait"
SILENCED = "silence/"  # how the keys of silences begin; no rule's name has a slash
HOLDS_MAX = 100  # of an alert, or of an incident that a rule opened
PARENTS_MAX = 100  # incidents that one was a member of
BECAUSE_CHARACTERS_MAX = 500


def on_message(turn: Turn, document: dict[str, Any]) -> None:
    """A rule says that an alert, or an incident that a rule opened, keeps quiet, or need not any more. Raises BadInput."""
    key, identity, record, because = (
        document.get(name) for name in ("hold", "alert", "record", "because")
    )
    hold, shape = _hold(because), shape_from(document)
    if not (isinstance(key, str) and isinstance(identity, str) and isinstance(record, str)):
        raise BadInput(
            Reason.MALFORMED, f"a hold is {document!r:.200}: hold, alert and record must be texts"
        )
    if shape and not _meant(turn, key, shape, turn.state.alerts.get(identity.encode())):
        return  # the policy changed while it was under way: nobody would ever say that it is over
    incident = turn.state.incidents.get(identity)
    if incident is not None:
        if incident.firing_since == record and not incident.ended:
            hold_incident(turn, incident, key, hold)
        return
    alert = turn.state.alerts.get(identity.encode())
    # What has ended, or has fired again since, is another matter: its signal is under way.
    if (
        alert is not None
        and alert.firing
        and alert.incident
        and record == f"{turn.partition}-{alert.fired_by}"
    ):
        if hold is not None and turn.rules.judge(alert.labels).always:
            text = f"{alert.name} always escalates, so {key} does not keep it quiet"
            turn.tell(turn.state.incidents[alert.incident], "NotHeld", text, rule=key)
            return
        hold_alert(turn, alert, key, hold)


def _meant(turn: Turn, key: str, shape: str, alert: LiveAlert | None) -> bool:
    """Whether what a rule says is meant still.

    The alert takes part in it. A correlation that changed goes on.
    """
    name, _, group = key.partition("/")
    link, rule = turn.rules.link(name), turn.rules.correlation(name)
    if link is not None or rule is None:
        return link is not None and link.shape == shape
    return alert is None or (
        bool(rule.steps(alert.labels))
        and rule.group(alert.severity, alert.place, alert.owner, alert.labels) == group
    )


def wait(turn: Turn, incident: Incident, alert: LiveAlert, hold_ms: int) -> None:
    """Let an alert that is about to join an incident of which nothing is loud wait for the rules that may hold it."""
    if hold_ms and not incident.loud and not alert.holds:
        alert.holds = {WAIT: _waiting(hold_ms)}
        incident.unexplained = incident.unexplained or not incident.held
        watch(turn, alert)


def wait_incident(turn: Turn, incident: Incident) -> None:
    """The same for an incident that a rule opened, and that is about to be reopened."""
    if incident.hold_ms and not incident.holds:
        incident.holds[WAIT], incident.unexplained, incident.loud_ms = (
            _waiting(incident.hold_ms),
            True,
            turn.now_ms,
        )
        watch_incident(turn, incident)


def _waiting(hold_ms: int) -> Hold:
    return Hold(f"waits for {format_ms(hold_ms)} to see whether a rule explains it")


def watch(turn: Turn, alert: LiveAlert) -> None:
    """Set the timer at which an alert has waited for long enough."""
    if alert.waits:
        turn.state.schedule(_waited_ms(turn, alert), WAITING, alert.fingerprint)


def watch_incident(turn: Turn, incident: Incident) -> None:
    """The same for an incident that a rule opened."""
    if WAIT in incident.holds:
        turn.state.schedule(incident.loud_ms + incident.hold_ms, WAITING, incident.id)


def _waited_ms(turn: Turn, alert: LiveAlert) -> int:
    return alert.fired_ms + turn.rules.judge(alert.labels).hold_ms


def on_waited(turn: Turn, at_ms: int, whose: str) -> None:
    """No rule has explained an alert, or an incident, in time."""
    incident = turn.state.incidents.get(whose)
    if (
        incident is not None
        and WAIT in incident.holds
        and incident.loud_ms + incident.hold_ms == at_ms
    ):
        hold_incident(turn, incident, WAIT, None)
    alert = turn.state.alerts.get(whose.encode())
    if alert is not None and alert.waits and _waited_ms(turn, alert) == at_ms:
        hold_alert(turn, alert, WAIT, None)


def on_policy(turn: Turn) -> None:
    """Under another policy an alert may have waited for long enough."""
    for _, alert in sorted(turn.state.alerts.items()):
        if alert.waits and _waited_ms(turn, alert) <= turn.now_ms:
            hold_alert(turn, alert, WAIT, None)
    for _, incident in sorted(turn.state.incidents.items()):
        if WAIT in incident.holds and incident.loud_ms + incident.hold_ms <= turn.now_ms:
            hold_incident(turn, incident, WAIT, None)


def _hold(because: Any) -> Hold | None:
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
            f"a hold's because is {because!r:.200}, must have the texts text and parent",
        )
    limit = BECAUSE_CHARACTERS_MAX
    return Hold(cut(text, limit), parent[:limit], source[:limit])


def hold_alert(turn: Turn, alert: LiveAlert, key: str, hold: Hold | None) -> None:
    """Keep a firing alert quiet for one more reason, or (None) for one reason less."""
    if (alert.holds or {}).get(key) == hold:
        return
    incident = turn.state.incidents[alert.incident]
    if not _has_room(turn, incident, alert.holds or {}, key, hold):
        return
    was_held, was_loud = incident.held, not alert.holds
    turn.state.hold(alert, key, hold)
    if key != WAIT:
        turn.state.note(alert)
    turn.doubt(alert)
    if not alert.holds and not was_loud:
        alert.loud_ms = alert.fired_ms if key == WAIT else turn.now_ms
        escalation.watch_lasting(turn, alert)
    _note_parent(turn, incident, hold)
    observe(turn, incident, was_held=was_held, hold=hold, key=key, since_ms=alert.loud_ms)
    turn.changed(incident)


def _has_room(
    turn: Turn, incident: Incident, holds: Mapping[str, Hold], key: str, hold: Hold | None
) -> bool:
    """Whether there is room for one more reason to keep quiet.

    If not, it is rather told than forgotten.
    """
    if hold is None or key in holds or len(holds) < HOLDS_MAX:
        return True
    turn.refuse(
        "holds",
        f"there are {HOLDS_MAX} reasons to keep an alert of it quiet; not noted: {key}",
        incident,
    )
    return False


def hold_incident(turn: Turn, incident: Incident, key: str, hold: Hold | None) -> None:
    """The same for an incident that a rule opened, which has no alerts of its own."""
    if incident.holds.get(key) == hold or not _has_room(turn, incident, incident.holds, key, hold):
        return
    was_held = incident.held
    if hold is None:
        del incident.holds[key]
    else:
        incident.holds.pop(WAIT, None)
        incident.holds[key] = hold
    _note_parent(turn, incident, hold)
    since_ms = incident.loud_ms if key == WAIT else None
    observe(turn, incident, was_held=was_held, hold=hold, key=key, since_ms=since_ms)
    turn.changed(incident)


def observe(
    turn: Turn,
    incident: Incident,
    *,
    was_held: bool,
    hold: Hold | None = None,
    key: str = "",
    since_ms: int | None = None,
) -> None:
    """Take note when all of an incident has become quiet, or something of it loud. Then what is due counts from `since_ms`.

    That is now, or when what waited for a rule in vain began to fire.
    """
    if incident.ended:
        return
    if incident.held and not incident.waits:
        incident.withheld = {}  # a rule has explained what it was about
    if incident.held:
        if hold is not None if incident.unexplained else not was_held:
            _became_quiet(turn, incident, hold, key)
    elif was_held:
        _became_loud(turn, incident, key, turn.now_ms if since_ms is None else since_ms)


def _became_quiet(turn: Turn, incident: Incident, hold: Hold | None, key: str) -> None:
    incident.unexplained = False
    text = hold.because if hold else "what fires still is kept quiet"
    turn.tell(incident, "Held", text, rule=key, parent=hold.parent if hold else "")
    # An operator who silences it knows: no message says so, neither now nor at the end.
    incident.suppression_notified = not is_silenced(incident)
    if incident.suppression_notified:
        recipients.on_held(turn, incident, NotificationKind.SUPPRESSED, text)


def is_silenced(incident: Incident) -> bool:
    """Whether a silence keeps it, or a firing alert of it, quiet."""
    alerts = [alert.holds for alert in incident.alerts.values() if alert.firing and alert.holds]
    return any(key.startswith(SILENCED) for holds in (incident.holds, *alerts) for key in holds)


def _became_loud(turn: Turn, incident: Incident, key: str, since_ms: int) -> None:
    unexplained, incident.unexplained = incident.unexplained, False
    incident.loud_ms, incident.climb_ms = since_ms, turn.now_ms
    if incident.parents and not unexplained:
        incident.clock_ms = turn.now_ms  # it was another incident's to respond to
        begin_clocks(incident, turn.now_ms)
    reminders.on_word(turn, incident)
    if unexplained:
        why = ", and no rule explains it" if key == WAIT else ""
        recipients.on_reopened(turn, incident, f"it fires again{why}")
    else:
        text = "nothing keeps it quiet any more, and it fires"
        turn.tell(incident, "Released", text, rule="" if key == WAIT else key)
        incident.notify_anew = bool(incident.told_ms)
        if incident.suppression_notified:
            recipients.on_held(turn, incident, NotificationKind.RELEASED, text)
    incident.suppression_notified = False
    escalation.on_waited(turn, incident)


def drop_rules(turn: Turn, names: frozenset[str]) -> None:
    """Forget what rules said that a policy change has removed or changed.

    They say it again if they still mean it.
    """
    state = turn.state
    for _, alert in sorted(state.alerts.items()):
        for key in [key for key in alert.holds or () if key.split("/")[0] in names]:
            hold_alert(turn, alert, key, None)
    for _, incident in sorted(state.incidents.items()):
        for key in [key for key in incident.holds if key.split("/")[0] in names]:
            hold_incident(turn, incident, key, None)


def _note_parent(turn: Turn, incident: Incident, hold: Hold | None) -> None:
    if hold is None or not hold.parent or hold.parent in incident.parents:
        return
    if len(incident.parents) < PARENTS_MAX:
        incident.parents.append(hold.parent)
    else:
        turn.refuse(
            "parents", f"it was part of {PARENTS_MAX} incidents; not noted: {hold.parent}", incident
        )
