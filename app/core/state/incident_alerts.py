"""The alerts of an incident: their order, and which of them have to be named."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from app.core.state.ranking import labels_in_both

if TYPE_CHECKING:
    from app.core.state.live_alert import LiveAlert
    from app.core.state.state import Incident


def add_alert(incident: "Incident", alert: "LiveAlert") -> None:
    """Add the alert that joined last to what is known of all."""
    incident.alerts[alert.fingerprint] = alert
    incident.names[alert.name] = incident.names.get(alert.name, 0) + 1
    incident.common_labels = labels_in_both(incident.common_labels, alert.labels)


def note_unnamed(incident: "Incident", alert: "LiveAlert") -> None:
    """Note whether an alert of an incident has to be named in its next message."""
    if alert.must_be_named:
        incident.unnamed[alert.fingerprint] = True
    else:
        incident.unnamed.pop(alert.fingerprint, None)


def in_order(alerts: "Iterable[LiveAlert]") -> "list[LiveAlert]":
    """Alerts in the order in which they joined.

    Of those that one record brought, deadlines before it among them, by name.
    """
    return sorted(alerts, key=lambda alert: (alert.joined, alert.fingerprint))


def put_in_order(incident: "Incident") -> None:
    """Give an incident's alerts the order that they have after a restart."""
    alerts = in_order(incident.alerts.values())
    incident.alerts.clear()
    incident.names.clear()
    incident.common_labels = None
    for alert in alerts:
        add_alert(incident, alert)
