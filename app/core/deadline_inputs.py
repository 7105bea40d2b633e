"""Whether an incident's deadlines may be other ones than when they were found last.

Most changes of an incident, such as one more alert, move none of its deadlines. Each source of
deadlines names what it reads beside it, in `DEADLINE_FIELDS` and `deadline_alerts`; equal inputs give
equal deadlines (`tests/unit/core/test_deadline_inputs.py`). A field that is missing there would be a
deadline missed silently.

Time alone moves a deadline only where it is past: one that waits for somebody's hours is the first
instant of them from then on.
"""

from operator import attrgetter

import orjson

from app.core.incidents import ownership, resolution
from app.core.notification import flapping, schedule
from app.core.response import escalation, reminders, service_levels
from app.core.state.state import Incident
from app.core.state.turn import Turn

_FIELDS = sorted(
    {
        *ownership.DEADLINE_FIELDS,
        *schedule.DEADLINE_FIELDS,
        *service_levels.DEADLINE_FIELDS,
        *escalation.DEADLINE_FIELDS,
        *reminders.DEADLINE_FIELDS,
        *flapping.DEADLINE_FIELDS,
        *resolution.DEADLINE_FIELDS,
    }
)
# Only whether there are any counts.
_FLAGS = ("parents", "deferred_escalations", "deferred_notification")
# What changes in its place: a copy of it counts.
_CONTAINERS = ("clock_severity", "clock_since_ms", "clocks", "escalated", "mutes")

_values_of = attrgetter(*(name for name in _FIELDS if name not in (*_FLAGS, *_CONTAINERS)))
_containers_of = attrgetter(*(name for name in _FIELDS if name in _CONTAINERS))
_flags_of = attrgetter(*(name for name in _FIELDS if name in _FLAGS))


def deadline_inputs(turn: Turn, incident: Incident) -> tuple[object, ...]:
    """All that the incident's deadlines depend on besides the time, to be compared."""
    return (
        turn.rules,
        turn.state.clock.listening_ms,
        _values_of(incident),
        orjson.dumps(_containers_of(incident)),
        tuple(map(bool, _flags_of(incident))),
        ownership.deadline_alerts(incident),
        schedule.deadline_alerts(incident),
        escalation.deadline_alerts(incident),
    )
