"""When an incident may be told: business hours of the owning team, and mute time intervals.

Source: PROCEDURES, P3 "during business hours"; Alertmanager's `mute_time_intervals`. What always
escalates never waits, nor what people say: somebody is there.
"""

from functools import lru_cache

from app.core.rules.compiled_policy import CompiledPolicy
from app.core.state.state import Incident
from app.core.state.turn import Turn
from models.policy.time_interval import NEVER_MS, inside, next_ms
from models.severity import Severity

HOURS = "hours"
# What `next_notifiable_ms` reads of an incident. `turn.now_ms` only moves what is past.
DEADLINE_FIELDS = ("owner", "ended", "severity", "peak_severity", "always", "mutes")
ROUNDS_MAX = 10  # a few intervals are settled after as many; if not, they leave no time together


def next_notifiable_ms(turn: Turn, incident: Incident, at_ms: int) -> int:
    """The first instant from `at_ms` on at which the incident may be told.

    NEVER_MS when there is none.
    """
    rules = turn.rules
    hours = rules.hours(rules.owner_known(incident.owner), _severity(incident))
    if incident.always or (hours is None and not incident.mutes):
        return at_ms
    at_ms = max(at_ms, turn.now_ms)
    mutes = [spans for _, spans in rules.mutes(incident.mutes, _severity(incident))]
    for _ in range(ROUNDS_MAX):
        before_ms = at_ms
        if hours is not None:
            at_ms = next_ms(hours, at_ms, to=True)
        for interval in mutes:
            at_ms = next_ms(interval, at_ms, to=False)
        if at_ms in (before_ms, NEVER_MS):
            return at_ms
    return NEVER_MS


def _severity(incident: Incident) -> Severity:
    """The end of an incident is told as what it was at its worst."""
    return incident.peak_severity if incident.ended else incident.severity


def reasons_to_wait(turn: Turn, incident: Incident, at_ms: int) -> list[str]:
    """What of the policy lets nobody be told of the incident at that instant.

    `hours` and the names of mute rules.
    """
    if incident.always:
        return []
    owner, mutes = turn.rules.owner_known(incident.owner), tuple(incident.mutes)
    return list(_reasons_in(turn.rules, owner, _severity(incident), mutes, at_ms // 1000))


@lru_cache(maxsize=1024)  # asked for each incident that changes; many of a second are alike
def _reasons_in(
    rules: CompiledPolicy, owner: str, severity: Severity, muted_by: tuple[str, ...], second: int
) -> tuple[str, ...]:
    """What lets nobody be told in a second, by which intervals begin and end at the most often."""
    hours, at_ms = rules.hours(owner, severity), second * 1000
    outside = (HOURS,) if hours is not None and not inside(hours, at_ms) else ()
    mutes = rules.mutes(muted_by, severity)
    return (*outside, *(name for name, spans in mutes if inside(spans, at_ms)))


def may_notify(turn: Turn, incident: Incident) -> bool:
    """Whether now is a time at which the incident may be told. In a gap nobody is."""
    return (
        not turn.state.clock.gap_ms
        and next_notifiable_ms(turn, incident, turn.now_ms) == turn.now_ms
    )
