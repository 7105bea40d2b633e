"""Whose an incident of the oracle is and how bad it is now, and what is not heard of any more."""

from typing import TYPE_CHECKING

from models.text.duration import parse_ms
from tests.oracle import notification
from tests.oracle.facts import Happened, Known, firing_alerts
from tests.oracle.policy import by, matches

if TYPE_CHECKING:
    from tests.oracle.oracle import Naive


def strengthen(naive: "Naive", incident: Happened, alert: Known) -> None:
    """An alert has joined, which may be worse than all before."""
    worse = alert.severity < incident.severity
    if worse:
        incident.severity = alert.severity
        incident.peak = min(incident.peak, alert.severity)
        incident.since["severity"] = naive.now_ms
        _set_clocks(naive, incident)
        incident.tell("SeverityRaised", naive.now_ms)
    if alert.severity < incident.given_by:
        _decides(naive, incident, alert)
    if worse:
        naive.grew(incident)


def _set_clocks(naive: "Naive", incident: Happened) -> None:
    if not incident.told[0]:
        incident.restart_clocks(naive.now_ms)
        return
    for clock, (since_ms, severity) in list(incident.targets.items()):
        before = by(naive.policy["targets"], clock, severity)
        after = by(naive.policy["targets"], clock, incident.severity)
        if after is not None and (before is None or naive.now_ms + after < since_ms + before):
            incident.targets[clock] = (naive.now_ms, incident.severity)
            if incident.clocks.get(clock) == "warned":
                del incident.clocks[clock]
        elif after is not None:
            naive.reached.add("an earlier target")


def weaken(naive: "Naive", incident: Happened) -> None:
    """What fires may be less severe than what did."""
    firing = [alert.severity for alert in firing_alerts(naive.alerts, incident)]
    if not incident.taken_over and firing and min(firing) > incident.severity:
        naive.reached.add("weaker")
        incident.severity = min(firing)
        incident.since["severity"] = naive.now_ms
        when, number, told = incident.told
        incident.told = (when, number, max(told, incident.severity))
        incident.tell("SeverityLowered", naive.now_ms)


def _decides(naive: "Naive", incident: Happened, alert: Known) -> None:
    incident.decides, incident.given_by = alert, alert.severity
    give(naive, incident, alert.owner)


def give(naive: "Naive", incident: Happened, owner: str) -> None:
    """It is another team's, which knows nothing of it yet."""
    if owner == incident.owner:
        return
    incident.owner, incident.given_ms = owner, naive.now_ms
    incident.step, incident.since["step"] = 1, naive.now_ms
    incident.tell("OwnerChanged", naive.now_ms)
    if not incident.ended:
        incident.state, incident.acknowledged = "open", (0, "")
    notification.word(incident, naive.now_ms)


def stable(naive: "Naive", incident: Happened) -> None:
    """What decided has stayed away: the worst of what fires decides, what fires longest first."""
    firing = firing_alerts(naive.alerts, incident)
    if not firing:
        incident.decides = None
        return
    before = incident.owner
    worst = min(firing, key=lambda one: (one.severity, one.fired_ms, one.fingerprint))
    _decides(naive, incident, worst)
    naive.reached.add("the owner stays" if before == incident.owner else "the owner moves down")
    incident.touch()


def changed_policy(naive: "Naive", before: list[dict[str, object]], incident: Happened) -> None:
    """Another policy may say that what decides is another team's."""
    for alert in naive.alerts:
        was = next((str(one["team"]) for one in before if _is_for(one, alert)), "")
        now = next(
            (str(one["team"]) for one in naive.policy["ownership"] if _is_for(one, alert)), ""
        )
        if alert.incident is incident and was != now and alert.owner == was:
            alert.owner = now
    if incident.decides is not None:
        give(naive, incident, incident.decides.owner)


def _is_for(entry: dict[str, object], alert: Known) -> bool:
    return matches(entry["match"], alert.labels)  # type: ignore[arg-type]  # as in the file


def expires_ms(naive: "Naive", alert: Known) -> int:
    """When an alert that fires ends by itself."""
    if not alert.unheard_ms or alert.incident is None:
        return alert.last_ms + alert.ttl_ms
    if alert.incident.ended:
        return alert.incident.resolved[0]
    return alert.unheard_ms + parse_ms(naive.policy["incidents"].get("lost_after", "1h"))


def expired(naive: "Naive", alert: Known) -> None:
    """Nobody has said for long enough that it fires. That is no end, where nobody has taken it."""
    incident = alert.incident
    assert incident is not None
    untaken = incident.state == "open" or (
        incident.state == "acknowledged" and alert.fingerprint in incident.not_meant
    )
    urgent = alert.severity in ("P0", "P1") and incident.told[0] and untaken
    own = alert.component == "tocsin" and alert.labels["alertname"].startswith("TocsinBound")
    if urgent and not own and not alert.unheard_ms and not naive.is_held(alert):
        naive.reached.add("unheard")
        alert.unheard_ms = naive.now_ms
        incident.tell("Unheard", naive.now_ms)
        return
    lost = alert.says_its_end and not (alert.unheard_ms and incident.ended)
    naive.reached.add("unheard for too long" if alert.unheard_ms else "expired")
    if lost:
        naive.reached.add("lost")
    alert.firing = False
    naive.alert_ended(alert, "AlertLost" if lost else "AlertExpired")
