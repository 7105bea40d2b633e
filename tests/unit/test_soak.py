"""The soak's load and its verdict.

A run takes too long for a test, so what it decides is tested here.
"""

import pytest
from prometheus_client import REGISTRY

from app import metrics
from app.core.engine import Engine
from bench.churn import Churn
from bench.soak import forgetting, verdict
from tests.support.scenario import START_MS, alert_record
from tests.support.shipped_policy import shipped

MB = 1_000_000


@pytest.mark.parametrize(
    ("grows", "expected"),
    [(0, "flat"), (0.02, "flat"), (0.04, "grows"), (-0.5, "flat"), (1.0, "grows")],
)
def test_memory_is_flat_when_its_line_is(grows: float, expected: str) -> None:
    """It is the slope by the hour that counts, whatever the samples jump to in between."""
    samples = [
        {
            "seconds": second,
            "alerts_sent": 0,
            "behind": 0,
            "RssAnon": round(100 * MB * (1 + grows * second / 3600) + (second // 60 % 2) * MB),
        }
        for second in range(0, 3601, 60)
    ]

    assert verdict(samples)["verdict"] == expected


def test_the_load_churns_and_keeps_its_size() -> None:
    """After a while each second has as many alerts, of which some are new, and the same again and again."""
    churn = Churn(200, 4, 30)
    seconds = [churn.next() for _ in range(200)]
    again = Churn(200, 4, 30)

    labels = [one["labels"]["instance"] for second in seconds for one in second]
    assert {len(second) for second in seconds[100:]} == {200}
    assert len(set(labels)) == 800
    assert sum("status" in one for second in seconds for one in second) > 200
    assert [again.next() for _ in range(200)] == seconds


def test_a_soak_forgets_sooner() -> None:
    """The policy of a soak is the shipped one, but for its times."""
    assert "retain_resolved: 2m" in forgetting("2m")


def test_a_partition_s_metrics_count_what_this_process_did() -> None:
    """What was counted before a restart or a rebalance is not counted again, and what is given away is not told of."""
    engine = Engine(0, shipped())
    record = alert_record(START_MS, {"alertname": "ServiceDown", "component": "a"}, "a")
    record.offset = 0
    engine.apply([record])
    before = REGISTRY.get_sample_value("tocsin_events_total", {"what": "fired"}) or 0.0

    partition = metrics.Partition(71)
    partition.restored(engine)
    again = alert_record(START_MS, {"alertname": "ServiceDown", "component": "b"}, "b")
    again.offset = 1
    engine.apply([again])
    partition.applied(engine, 1)

    assert REGISTRY.get_sample_value("tocsin_events_total", {"what": "fired"}) == before + 1
    assert REGISTRY.get_sample_value("tocsin_state", {"kind": "alerts", "partition": "71"}) == 2
    partition.released()
    assert REGISTRY.get_sample_value("tocsin_state", {"kind": "alerts", "partition": "71"}) is None
    assert REGISTRY.get_sample_value("tocsin_applied_offset", {"partition": "71"}) is None
