"""What an alert is called in titles and messages: its name, and where it is."""

from app.core.state.live_alert import LiveAlert
from models.place import component_name
from models.place_labels import place_of


def alert_place(alert: LiveAlert) -> str:
    """`shop/cart-7d9f-abc`; empty when the labels say no more than the component."""
    return place_of(alert.labels, "" if _is_own(alert) else component_name(alert.component))


def alert_title(alert: LiveAlert) -> str:
    """`KubePodCrashLooping: shop/cart-7d9f-abc`, `PostgresDown on postgres`, or `TargetDown (job cadvisor)`."""
    place = alert_place(alert)
    if place:
        return f"{alert.name}: {place}"
    if _is_own(alert):
        job = alert.labels.get("job", "")  # an exporter's, if it names no component
        around = ", ".join(text for text in (alert.scope, f"job {job}" if job else "") if text)
        return f"{alert.name} ({around})" if around else alert.name
    return f"{alert.name} on {alert.place.title}"


def _is_own(alert: LiveAlert) -> bool:
    # Where no label says what is broken, the component is made of the alert's own name.
    return alert.component.startswith(f"{alert.name}/")
