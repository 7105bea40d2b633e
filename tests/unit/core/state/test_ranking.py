"""The order of an incident's alerts: an index of many is the same as sorting them."""

from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.state.live_alert import LiveAlert
from app.core.state.ranking import AlertRanking, worst_first
from models.severity import Severity
from tests.support.example_counts import examples

_steps = st.lists(
    st.tuples(
        st.integers(0, 11),  # which alert
        st.sampled_from(list(Severity)),
        st.integers(0, 2),  # by how much time goes on
        st.sampled_from(["a", "b"]),
    ),
    min_size=1,
    max_size=60,
)


@given(_steps, st.integers(0, 60))
@settings(max_examples=examples(100))
def test_an_index_is_the_same_as_sorting(
    steps: list[tuple[int, Severity, int, str]], built_after: int
) -> None:
    """Whenever the index is built, it has the order of all alerts."""
    alerts: dict[int, LiveAlert] = {}
    ranking: AlertRanking | None = None
    now_ms = 0
    for offset, (number, severity, later_ms, value) in enumerate(steps):
        now_ms += later_ms
        if number not in alerts:
            labels = {"alertname": f"A{number}", "severity": severity, "x": value, "y": "same"}
            alerts[number] = LiveAlert(f"{number:016x}", "db", labels, {}, severity, "", "ops", "")
        _toggle(alerts[number], now_ms, offset)
        if ranking is not None:
            ranking.put(alerts[number])
        elif offset >= built_after:
            ranking = AlertRanking(alerts.values())

        if ranking is not None:
            assert ranking.first(7) == worst_first(alerts.values())[:7]


def _toggle(alert: LiveAlert, now_ms: int, offset: int) -> None:
    alert.firing = not alert.firing
    if alert.firing:
        alert.fired_ms, alert.fired_offset, alert.ended_ms = now_ms, offset, 0
    else:
        alert.ended_ms = now_ms


def test_the_worst_come_first_and_of_those_the_newest() -> None:
    """Severity decides, then the time; what ended comes last."""
    old = LiveAlert("1", "db", {}, {}, Severity.P0, "", "ops", "", firing=True, fired_ms=1)
    new = LiveAlert("2", "db", {}, {}, Severity.P0, "", "ops", "", firing=True, fired_ms=2)
    mild = LiveAlert("3", "db", {}, {}, Severity.P2, "", "ops", "", firing=True, fired_ms=3)
    over = LiveAlert("4", "db", {}, {}, Severity.P0, "", "ops", "", fired_ms=4, ended_ms=5)

    assert worst_first([over, mild, old, new]) == [new, old, mild, over]
