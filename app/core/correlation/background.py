"""Background: an event that comes all day and that nobody ever resolves.

It is decided where the alert's own records are, before anything else, so that background has
incidents of its own and holds no other incident open. What is urgent is never background.
"""

from app.core.rules.compiled_policy import OPERATIONS, PolicyDecision
from app.core.rules.near_tuning import HOUR_MS, Tuning
from app.core.state.near_memory import NearMemory
from app.core.state.turn import Turn

BACKGROUND = "background"  # the class of its incidents


def is_background(turn: Turn, fingerprint: str, decision: PolicyDecision) -> bool:
    """An alert begins to fire: whether it is background, so that its incident is of that class."""
    rule = turn.rules.nearness.get(decision.nearness)
    if rule is None or not rule.background or decision.severity.is_urgent:
        return False
    if decision.incident_class != OPERATIONS:
        return False
    return background_hours(turn.state.near, rule.tuning, fingerprint, turn.now_ms) > 0


def background_hours(memory: NearMemory, tuning: Tuning, fingerprint: str, now_ms: int) -> int:
    """An alert begins to fire: in how many of the last 24 hours it did before; 0 if it is no background."""
    hours, resolves = memory.begin(fingerprint, now_ms // HOUR_MS)
    return hours if hours >= tuning.background_hours and not resolves else 0
