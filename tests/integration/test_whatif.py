"""What another policy would have made of a journal on a real Kafka."""

from typing import Any

import orjson
import pytest

from app.history.effects import effects_of
from app.whatif.runner import PlayedRuns, play_policies
from models.topics import Topics
from tests.integration.servers import with_log
from tests.support.engines import Tocsin, wait_until
from tests.support.whatif_runs import as_recorded, both, changed_policy, compared, correlations

PARTITIONS = 4
PREFIX = "whatif"
TOPICS = Topics(PREFIX)


@pytest.fixture(scope="module")
def live(broker: str) -> str:
    """A broker with the journal of a Tocsin whose ticks were real seconds, and a word in it."""
    settings = {
        "TOCSIN_BROKER": broker,
        "TOCSIN_PREFIX": PREFIX,
        "TOCSIN_PARTITIONS": str(PARTITIONS),
    }
    bridge, worker = Tocsin("bridge", **settings), Tocsin("worker", **settings)
    agents = [
        {"alertname": "AgentDown", "agent_name": f"agent-{number}", "severity": "warning"}
        for number in range(20)
    ]
    others = [
        {"alertname": "ServiceDown", "component": f"s{number}", "severity": "critical"}
        for number in range(20)
    ]
    alerts = [{"labels": labels} for labels in [*agents, *others]]
    for _ in range(3):
        assert bridge.post("/api/v2/alerts", alerts)[0] == 200
    wait_until(lambda: len(_snapshots(broker)) == 41, "forty incidents, and one of a rule")
    rule = next(one for one in _snapshots(broker).values() if one["rule"])
    bridge.post(f"/api/v1/incidents/{rule['incident']}/acknowledge", {"by": "ann"})
    wait_until(
        lambda: _snapshots(broker)[rule["incident"]]["acknowledged_by"] == "ann",
        "it is acknowledged",
    )
    worker.stop()
    bridge.stop()
    return broker


def _snapshots(broker: str) -> dict[str, dict[str, Any]]:
    found = with_log(broker, lambda log: effects_of(log, TOPICS.incidents, PARTITIONS))
    return {one["incident"]: one for one in found}


def _played(broker: str, **changes: Any) -> PlayedRuns:
    return with_log(
        broker,
        lambda log: play_policies(
            log, TOPICS, PARTITIONS, changed_policy(**changes), None, lambda *_: None
        ),
    )


def test_the_run_of_the_record_is_what_happened(live: str) -> None:
    """Byte for byte but for how large the offsets are; and the same policy changes nothing."""
    found = _played(live)

    sent = with_log(live, lambda log: effects_of(log, TOPICS.notifications, PARTITIONS))
    assert as_recorded(found.before.notifications) == sorted(
        orjson.dumps(one).decode() for one in sent
    )
    assert compared(found).same
    assert (found.before.empty_slots, found.left_out, found.notes) == (0, [], [])


def test_another_threshold(live: str) -> None:
    """Under a threshold that is not reached there is no incident of the rule, and nothing that ann could take."""
    found = _played(live, correlations=correlations(agents_down=50))

    before, after = both(found)
    assert [one.title for one in before.incidents if one.rule] == ["20 AI agents down"]
    assert [one.title for one in after.incidents if one.rule] == []
    assert [(one.command, one.by) for one in found.left_out] == [("acknowledge", "ann")]
