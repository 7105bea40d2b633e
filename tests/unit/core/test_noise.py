"""What nobody is told: reminders while nobody has taken it, and the like."""

import pytest

from models.effect import Stream
from tests.support.night import Night

P0 = {"alertname": "OllamaDown", "severity": "critical", "component": "ollama"}
P2 = {"alertname": "HighLatency", "severity": "warning", "component": "api"}


def kinds(night: Night) -> list[str]:
    """The kinds of all messages so far."""
    return [body["kind"] for body in night.bodies(Stream.NOTIFICATIONS)]


@pytest.mark.parametrize("labels", [P0, P2])
def test_only_who_acknowledged_it_is_reminded(labels: dict[str, str]) -> None:
    """While nobody has taken an incident, escalation is the reminder."""
    alone = Night().fire(labels).until(59)
    taken = Night().fire(labels).until(1).say("acknowledge").until(59)

    assert "reminder" not in kinds(alone)
    assert kinds(taken).count("reminder") == 2
