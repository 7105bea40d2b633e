"""What becomes quiet and loud in the oracle, and what waits for a rule.

What a rule says arrives later than what it is about. Where all else of an incident is quiet, an
alert that a rule may keep quiet is quiet too until the rule has had its time.
"""

from typing import TYPE_CHECKING

from tests.oracle import near, notification, rules
from tests.oracle.facts import Happened, Known, firing_alerts

if TYPE_CHECKING:
    from tests.oracle.oracle import Naive


def let_wait(naive: "Naive", incident: Happened, alert: Known) -> None:
    """Let an alert wait that fires where nothing is loud, if a rule may keep it quiet and nothing does yet."""
    near.hide_with(naive, incident, alert)
    others = [one for one in firing_alerts(naive.alerts, incident) if one is not alert]
    loud = [one for one in others if not naive.is_held(one)]
    if rules.wait_of(naive.policy, alert) and not loud and not naive.is_held(alert):
        naive.reached.add("waits" if others else "reopened quietly")
        alert.waits, incident.reopened_unexplained = (
            True,
            incident.reopened_unexplained or not others,
        )


def waited(naive: "Naive", whose: Known | Happened) -> None:
    """It has waited for long enough.

    Had nobody let it wait, it would have been loud since it fires.
    """
    naive.reached.add("waited in vain")
    whose.waits = False
    if isinstance(whose, Happened):
        naive.look_at(whose, whose.since["open"])
    else:
        assert whose.incident is not None
        whose.quiet = False
        naive.look_at(whose.incident, whose.fired_ms)


def withhold(naive: "Naive", incident: Happened, rule: str, records: list[int]) -> None:
    """Put an escalation off while it is not known whether a rule explains what it is about."""
    if _waits(naive, incident) and rule not in [one for one, _ in incident.undecided_escalations]:
        naive.reached.add("escalation withheld")
        incident.undecided_escalations.append((rule, records))
        incident.touch()


def look_at(naive: "Naive", incident: Happened, since_ms: int | None) -> None:
    """Take note when all of an incident has become quiet, or something of it loud.

    Other silences touch it too.
    """
    why = _silences(naive, incident)
    if why != incident.silenced_by:
        incident.silenced_by = why
        incident.touch()
    for alert in firing_alerts(naive.alerts, incident):
        alert.waits = alert.waits and not naive.is_explained(alert)
        was, alert.quiet = alert.quiet, naive.is_held(alert)
        if was and not alert.quiet:
            alert.notifiable_since_ms = naive.now_ms
    incident.waits = incident.waits and not _is_explained(naive, incident)
    was, incident.quiet = incident.quiet, naive.is_quiet(incident)
    if incident.ended:
        return
    if incident.quiet and not _waits(naive, incident):
        incident.undecided_escalations = []
    if incident.quiet and incident.reopened_unexplained:
        if _is_explained(naive, incident):
            _became_quiet(naive, incident)
    elif was != incident.quiet:
        _became_quiet(naive, incident) if incident.quiet else _became_loud(
            naive, incident, since_ms
        )


def _silences(naive: "Naive", incident: Happened) -> set[tuple[str, str]]:
    if incident.rule and incident.ended:
        return incident.silenced_by
    alerts = [] if incident.rule else firing_alerts(naive.alerts, incident)
    about = [(alert.fingerprint, [alert.labels]) for alert in alerts] or [
        ("", naive.firing_labels(incident))
    ]
    active = [one for one in naive.known_silences().values() if one.is_active(naive.now_ms)]
    return {(whose, one.id) for one in active for whose, labels in about if one.covers(labels)}


def _waits(naive: "Naive", incident: Happened) -> bool:
    return incident.waits or any(alert.waits for alert in firing_alerts(naive.alerts, incident))


def _is_explained(naive: "Naive", incident: Happened) -> bool:
    if incident.rule:
        return bool(incident.suppressed_by) or naive.is_silenced(naive.firing_labels(incident))
    return any(map(naive.is_explained, firing_alerts(naive.alerts, incident)))


def _became_quiet(naive: "Naive", incident: Happened) -> None:
    naive.reached.add("a rule's incident is suppressed" if incident.rule else "suppressed")
    incident.reopened_unexplained = False
    incident.tell("Suppressed", naive.now_ms)
    incident.told_quiet = not _silences(naive, incident)
    if incident.told[0] and incident.told_quiet:
        naive.say(incident, "suppressed")


def _became_loud(naive: "Naive", incident: Happened, since_ms: int | None) -> None:
    kind = "reopened" if incident.reopened_unexplained else "released"
    naive.reached.add(kind)
    incident.reopened_unexplained = False
    incident.since["open"] = naive.now_ms if since_ms is None else since_ms
    incident.since["step"] = naive.now_ms
    if kind == "released" and incident.parents:
        incident.restart_clocks(naive.now_ms)
    notification.word(incident, naive.now_ms)
    if kind == "released":  # else nobody was told that it was quiet
        incident.tell("Released", naive.now_ms)
        incident.anew = bool(incident.told[0])
        if incident.told[0] and incident.told_quiet:
            naive.say(incident, kind)
    else:
        louder = bool(incident.anew_ms and naive.unnamed(incident))  # the same will be said louder
        if incident.told[0] and not (incident.flapping_ms or louder):
            naive.say(incident, kind)
    incident.told_quiet = False
    undecided_escalations, incident.undecided_escalations = incident.undecided_escalations, []
    for name, records in undecided_escalations:
        naive.escalate(incident, name, records)


def escalate(naive: "Naive", incident: Happened, rule: str, records: list[int]) -> None:
    """Climb, once for each rule: not while something keeps it quiet, and in its hours only."""
    if rule in incident.rules:
        return
    if naive.is_quiet(incident):
        withhold(naive, incident, rule, records)
        return
    if naive.next_told(incident, naive.now_ms) == naive.now_ms:
        incident.rules.append(rule)
        naive.climb(incident, rule, records)
    elif not incident.ended and rule not in [one for one, _, _ in incident.deferred_escalations]:
        incident.deferred_escalations = [
            (one, about, naive.now_ms) for one, about, _ in incident.deferred_escalations
        ]
        incident.deferred_escalations.append((rule, records, naive.now_ms))
        incident.touch()
