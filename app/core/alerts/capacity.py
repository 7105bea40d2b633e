"""Room for alerts: what ended makes room first, a reserve is kept for P0 and P1, and a bound that is near is an alert.

The bounds are the policy's: alerts and their bytes of a partition, its incidents, and the alerts of
one incident. What is no P0 or P1 is refused when only the reserve is left. A bound that is near or
reached raises an alert of Tocsin's own, which ends by itself.
"""

from functools import lru_cache

from app.core.alerts import grouping
from app.core.state.live_alert import LiveAlert
from app.core.state.state import Incident
from app.core.state.timer_kind import TimerKind
from app.core.state.turn import Turn
from models.alert import fingerprint
from models.place import Place
from models.reason import BadInput, Reason
from models.severity import Severity
from models.text.plural import plural

RESERVE_PART = 10  # of each bound: a tenth is kept for P0 and P1
NEAR_PERCENT = 80
OWN_COMPONENT = "tocsin"
BOUNDS = ("alerts", "alert_bytes", "incidents", "alerts_in_incident")
NEAR, REACHED = "TocsinBoundNear", "TocsinBoundReached"
OWN_HOLD_MS = 900_000  # for so long an alert of Tocsin's own fires after the last reason for it


def check_room(
    turn: Turn,
    place: Place,
    incident_class: str,
    known: LiveAlert | None,
    severity: Severity,
    size: int,
) -> None:
    """Raise BadInput when one more alert, of so many bytes, would pass a bound.

    Nothing has changed by then, except that alerts which have ended may be dropped, and that the
    incident notes what was refused.
    """
    state = turn.state
    incident = state.current.get((place.key, incident_class))
    if incident is None:
        own = {alert.incident for alert in _own(turn) if alert.incident}
        number = len(state.incidents) - len(own)
        if not _has_room(turn, "incidents", number, 1, severity):
            raise _refusal(turn, "incidents", severity, f"the partition has {number} incidents")
    elif known is None or known.incident != incident.id:
        number = len(incident.alerts)
        if not _has_room(turn, "alerts_in_incident", number, 1, severity):
            message = f"incident {incident.id} has {number} alerts"
            refusal = _refusal(turn, "alerts_in_incident", severity, message)
            _note_refused(turn, incident, refusal)
            raise refusal
    check_alerts(turn, known, severity, size)


def _note_refused(turn: Turn, incident: Incident, refusal: BadInput) -> None:
    """Say in an incident that alerts of it are refused: at the first, the tenth, the hundredth record of one."""
    incident.refused += 1
    turn.state.put_incident(incident)
    if str(incident.refused).strip("0") == "1":
        records = plural(incident.refused, "record")
        text = f"{records} of more alerts refused so far: {refusal.message}"
        turn.refuse("alerts_in_incident", text, incident)


def check_alerts(turn: Turn, known: LiveAlert | None, severity: Severity, size: int) -> None:
    """The same of the bounds of the partition's alerts alone."""
    bounds, state, own = turn.rules.policy.bounds, turn.state, _own(turn)
    if known is None:
        limit = _limit(bounds.alerts, severity) + len(own)
        remaining = own
        while len(state.alerts) >= limit and _forget_ended(turn):
            remaining = _own(turn)  # what ended first may be one of them
        number = len(state.alerts) - len(remaining)
        if not _has_room(turn, "alerts", number, 1, severity):
            raise _refusal(turn, "alerts", severity, f"the partition has {number} alerts")
    more = size - (known.bytes if known else 0)
    if more > 0:
        limit = _limit(bounds.alert_bytes, severity)
        own_bytes = sum(alert.bytes for alert in own)
        while state.alert_bytes - own_bytes + more > limit and _forget_ended(turn, known):
            pass
        used = state.alert_bytes - own_bytes
        if not _has_room(turn, "alert_bytes", used, more, severity):
            message = f"the partition's alerts have {used} bytes, the new alert adds {more}"
            raise _refusal(turn, "alert_bytes", severity, message)


def _own(turn: Turn) -> list[LiveAlert]:
    """The alerts of Tocsin's own, which need no room."""
    alerts, keys = turn.state.alerts, _own_keys(turn.partition)
    if alerts.keys().isdisjoint(keys):  # nearly always
        return []
    return [alerts[key] for key in keys if key in alerts]


@lru_cache(maxsize=1024)
def _own_keys(partition: int) -> list[bytes]:
    return [
        fingerprint(_own_labels(name, bound, partition)).encode()
        for name in (NEAR, REACHED)
        for bound in BOUNDS
    ]


def _own_labels(name: str, bound: str, partition: int) -> dict[str, str]:
    labels = {"alertname": name, "component": OWN_COMPONENT, "bound": bound}
    return labels | {"partition": str(partition)}


def _limit(bound: int, severity: Severity) -> int:
    return bound if severity.is_urgent else bound - bound // RESERVE_PART


def _has_room(turn: Turn, name: str, used: int, more: int, severity: Severity) -> bool:
    """Whether so many more fit within a bound. One that is near or reached is noted."""
    bound: int = getattr(turn.rules.policy.bounds, name)
    if used + more > _limit(bound, severity):
        turn.bounds_met[name] = REACHED
        return False
    if (used + more) * 100 >= bound * NEAR_PERCENT:
        turn.bounds_met.setdefault(name, NEAR)
    return True


def _refusal(turn: Turn, name: str, severity: Severity, message: str) -> BadInput:
    bound: int = getattr(turn.rules.policy.bounds, name)
    limit = _limit(bound, severity)
    kept = f", of which {bound - limit} are reserved for P0 and P1" if limit < bound else ""
    return BadInput(Reason.BOUND_REACHED, f"{message}, and bounds.{name} is {bound}{kept}")


def _forget_ended(turn: Turn, but: LiveAlert | None = None) -> bool:
    """Forget the alert that ended first of those that belong to no incident; whether there was one."""
    alert = turn.state.ended.take_first(turn.state.alerts)
    if alert is None:
        return False
    if alert is not but:
        turn.state.drop_alert(alert)
        turn.count("forgotten_early")
    return True


def report(turn: Turn) -> None:
    """Raise an alert of Tocsin's own for each bound that was near or reached in this turn."""
    if turn.bounds_met:
        met = sorted(turn.bounds_met.items())
        turn.bounds_met.clear()
        for bound, name in met:
            _raise(turn, name, bound)


def is_own(alert: LiveAlert) -> bool:
    """Whether it is an alert of Tocsin's own, which ends when there is no more reason for it."""
    return alert.component == OWN_COMPONENT and alert.labels.get("alertname") in (NEAR, REACHED)


def lasts(turn: Turn, alert: LiveAlert) -> bool:
    """Whether a bound is near still, for which an alert of Tocsin's own fires."""
    if alert.component != OWN_COMPONENT or alert.labels.get("alertname") != NEAR:
        return False
    state, bounds, name = turn.state, turn.rules.policy.bounds, alert.labels.get("bound", "")
    own = _own(turn)
    used = {
        "alerts": len(state.alerts) - len(own),
        "alert_bytes": state.alert_bytes - sum(item.bytes for item in own),
        "incidents": len(state.incidents) - len({item.incident for item in own if item.incident}),
    }
    return name in used and used[name] * 100 >= getattr(bounds, name) * NEAR_PERCENT


def _raise(turn: Turn, name: str, bound: str) -> None:
    labels = _own_labels(name, bound, turn.partition)
    alert = turn.state.alerts.get(fingerprint(labels).encode())
    if alert is not None and alert.firing:
        alert.last_ms = turn.now_ms
        turn.state.touch(alert)
        return
    if alert is None or not alert.incident:
        alert = _own_alert(turn, labels)
    alert.firing, alert.fired_ms, alert.fired_offset, alert.ended_ms = (
        True,
        turn.now_ms,
        turn.offset,
        0,
    )
    alert.retain_until_ms, alert.last_ms, alert.named = 0, turn.now_ms, False
    alert.count += 1
    alert.renew(OWN_HOLD_MS, turn.now_ms)
    turn.state.put_alert(alert)
    alert.timer_ms = turn.state.expires_ms(alert)
    turn.state.schedule(alert.timer_ms, TimerKind.EXPIRY, alert.fingerprint)
    turn.count("fired")
    grouping.on_fired(turn, alert)


def _own_alert(turn: Turn, labels: dict[str, str]) -> LiveAlert:
    name, bound = labels["alertname"], labels["bound"]
    limit = getattr(turn.rules.policy.bounds, bound)
    state = "is reached" if name == REACHED else "is nearly reached"
    effect = ". New alerts are refused." if name == REACHED else ""
    decision = turn.rules.evaluate(labels)
    return LiveAlert(
        fingerprint=fingerprint(labels),
        component=OWN_COMPONENT,
        labels=labels,
        annotations={
            "summary": f"bounds.{bound} ({limit}) {state} in partition {turn.partition}{effect}"
        },
        severity=Severity.P1 if name == REACHED else Severity.P2,
        severity_label="",
        owner=decision.owner,
        incident_class=decision.incident_class,
    )
