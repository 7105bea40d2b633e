"""How messages name alerts."""

from app.core.notification.naming import NAMED_MAX, host_of, name_of, names_of
from app.core.state.live_alert import LiveAlert
from models.severity import Severity


def alert(number: int, **labels: str) -> LiveAlert:
    """An alert of component c0, c1 and so on."""
    component = labels.get("component", f"c{number % 2}")
    return LiveAlert(
        f"{number:016x}", component, {"alertname": "Down", **labels}, {}, Severity.P0, "", "", ""
    )


def test_the_place_is_the_host_unless_it_is_the_component() -> None:
    """The first of instance, host and node is the place; what the component says is not said twice."""
    alerts = [
        alert(0, instance="h1", host="h2"),
        alert(0, node="n"),
        alert(0, instance="c0"),
        alert(0),
    ]

    assert [host_of(one) for one in alerts] == ["h1", "n", "", ""]
    assert name_of(alerts[0]) == "Down: c0 (h1)"
    assert name_of(alert(0, host="own")) == "Down on c0 (own)"  # though `Down` ends so


def test_past_fifty_alerts_components_are_named_with_numbers() -> None:
    """Fifty alerts are named one by one; of one more there are the components with numbers."""
    alerts = [alert(number, instance=f"h{number}") for number in range(NAMED_MAX + 1)]

    assert names_of(alerts[:2]) == "Down: c0 (h0), Down: c1 (h1)"
    assert names_of(alerts[:NAMED_MAX]).count("Down: ") == NAMED_MAX
    assert names_of(alerts) == "26 alerts on c0, 25 alerts on c1"
