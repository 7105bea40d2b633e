"""Whether there is room for one more alert, and the alerts of Tocsin's own where there is little.

A tenth of each bound is kept for P0 and P1.
"""

from typing import TYPE_CHECKING

from models.alert import fingerprint
from tests.oracle.facts import Happened, Known, bounds_of, current_incident, evaluated_alert, urgent

if TYPE_CHECKING:
    from tests.oracle.oracle import Naive

HOLD_MS = 900_000


def no_room(naive: "Naive", alert: Known, known: Known | None) -> str:
    """The reason for which one more alert is refused, or nothing. What has ended makes room."""
    bounds = bounds_of(naive.policy)
    incident = current_incident(naive.incidents, alert.component, alert.kind)
    if incident is None:
        number = len(_open(naive))
        if _is_full(naive, "incidents", number, alert.severity):
            return "bound_reached"
    elif alert.fingerprint not in incident.alerts and _is_full(
        naive, "alerts_in_incident", len(incident.alerts), alert.severity
    ):
        incident.refused += 1
        if incident.refused in (1, 10, 100, 1000):
            naive.reached.add("refused in an incident")
            incident.tell("Refused", naive.now_ms)
        return "bound_reached"
    if known is not None:
        return ""
    kept = 0 if urgent(alert.severity) else bounds["alerts"] // 10
    while len(_alerts(naive)) >= bounds["alerts"] - kept:
        ended = [one for one in naive.alerts if not one.firing and one.incident is None]
        if not ended:
            break
        naive.reached.add("made room")
        naive.alerts.remove(min(ended, key=lambda one: (one.retain_until_ms, one.fingerprint)))
    return "bound_reached" if _is_full(naive, "alerts", len(_alerts(naive)), alert.severity) else ""


def _alerts(naive: "Naive") -> list[Known]:
    """All but Tocsin's own."""
    return [one for one in naive.alerts if one.component != "tocsin"]


def _open(naive: "Naive") -> list[Happened]:
    return [one for one in naive.incidents if one.state != "closed" and one.component != "tocsin"]


def _is_full(naive: "Naive", name: str, number: int, severity: str) -> bool:
    bound = bounds_of(naive.policy)[name]
    kept = 0 if urgent(severity) else bound // 10
    if number + 1 > bound - kept:
        naive.met[name] = "TocsinBoundReached"
        return True
    if is_near(naive, name, number + 1):
        naive.met.setdefault(name, "TocsinBoundNear")
    return False


def is_near(naive: "Naive", name: str, number: int) -> bool:
    """Whether four fifths of a bound are taken."""
    return number * 5 >= bounds_of(naive.policy)[name] * 4


def lasts(naive: "Naive", alert: Known) -> bool:
    """Whether the bound is near still of which an alert of Tocsin's own tells."""
    if alert.labels["alertname"] != "TocsinBoundNear":
        return False
    numbers = {
        "alerts": len(_alerts(naive)),
        "incidents": len(_open(naive)),
    }
    name = alert.labels["bound"]
    return name in numbers and is_near(naive, name, numbers[name])


def tell(naive: "Naive") -> None:
    """Raise the alerts of Tocsin's own, or renew them."""
    met, naive.met = sorted(naive.met.items()), {}
    for bound, name in met:
        naive.reached.add("a bound is near" if name == "TocsinBoundNear" else "a bound is reached")
        labels = {"alertname": name, "component": "tocsin", "bound": bound, "partition": "0"}
        identity = fingerprint(labels)
        known = next((one for one in naive.alerts if one.fingerprint == identity), None)
        if known is not None and known.firing:
            known.last_ms = naive.now_ms
            continue
        if known is None or known.incident is None:
            fresh = evaluated_alert(naive.policy, {"alert": identity, "labels": labels}, "tocsin")
            fresh.severity = "P1" if name == "TocsinBoundReached" else "P2"
            naive.alerts = [one for one in naive.alerts if one is not known] + [fresh]
            known = fresh
        known.firing, known.last_ms, known.ttl_ms = True, naive.now_ms, HOLD_MS
        known.count += 1
        naive.fired(known)
