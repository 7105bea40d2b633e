"""Reports of incidents, from what the engine says of a scenario."""

from pathlib import Path
from typing import Any

import orjson

from app.report.build import build_report
from models.effect import Effect, Stream
from tests.support.scenario import one_by_one, play, read
from tests.support.shipped_policy import shipped

SCENARIOS = Path(__file__).parents[1] / "scenarios"


def report_of(
    scenario: str, incident: str = "INC-20250615T150640Z-000", **said: str
) -> dict[str, Any]:
    """The report of an incident of a scenario.

    Texts of the scenario are replaced as `said` says.
    """
    policy = shipped()
    records, _ = read(SCENARIOS / f"{scenario}.txt", policy)
    for record in records:
        for before, after in said.items():
            record.value = (record.value or b"").replace(before.encode(), orjson.dumps(after)[1:-1])
    _, effects = play(policy, records, one_by_one)
    return report_from(effects, incident)


_OF_NO_REPORT = (Stream.JOURNAL, Stream.DEADLETTER, Stream.SILENCES, Stream.ALERTS)


def report_from(effects: list[Effect], incident: str) -> dict[str, Any]:
    """The report of an incident that effects tell of."""
    found: dict[Stream, list[dict[str, Any]]] = {stream: [] for stream in Stream}
    for effect in effects:
        if effect.stream not in _OF_NO_REPORT:
            body = orjson.loads(effect.value)
            if body["incident"] == incident:
                found[effect.stream].append(body)
    tasks = {task["task"]: task for task in found[Stream.FOLLOWUPS]}
    timeline, notifications = found[Stream.TIMELINE], found[Stream.NOTIFICATIONS]
    return build_report(
        found[Stream.INCIDENTS][-1],
        timeline,
        notifications,
        found[Stream.ESCALATIONS],
        tasks.values(),
    )
