"""Which services of an availability target an incident has down: the timeline tells each beginning and end.

Source: PROCEDURES, "Availability Targets". The share of up time is summed over incidents from the
timeline, not here.
"""

from app.core.rules.compiled_policy import PolicyDecision
from app.core.state.state import Incident
from app.core.state.turn import Turn


def on_fired(turn: Turn, incident: Incident, decision: PolicyDecision) -> None:
    """An alert fires: the services that it is about are down."""
    for service in decision.services:
        incident.down[service] = incident.down.get(service, 0) + 1
        if incident.down[service] == 1:
            turn.timeline(incident, "ServiceDown", f"{service} is down", service=service)


def on_ended(turn: Turn, incident: Incident, decision: PolicyDecision) -> None:
    """An alert ended: services that no other alert has down are up."""
    for service in decision.services:
        if service in incident.down:
            incident.down[service] -= 1
            if not incident.down[service]:
                _count_up(turn, incident, service)


def on_policy(turn: Turn, incident: Incident) -> None:
    """The policy may name other services, or other alerts of them."""
    before, now = incident.down, dict[str, int]()
    for alert in incident.alerts.values():
        if alert.firing:
            for service in turn.rules.evaluate(alert.labels).services:
                now[service] = now.get(service, 0) + 1
    # The old order first: it is the one in the changelog, which is written again only if something
    # changed.
    incident.down = {service: now[service] for service in before if service in now} | now
    if incident.down != before:
        turn.changed(incident)
    for service in before:
        if service not in incident.down:
            turn.timeline(incident, "ServiceUp", f"{service} is up again", service=service)
    for service in incident.down:
        if service not in before:
            turn.timeline(incident, "ServiceDown", f"{service} is down", service=service)


def _count_up(turn: Turn, incident: Incident, service: str) -> None:
    del incident.down[service]
    turn.timeline(incident, "ServiceUp", f"{service} is up again", service=service)
