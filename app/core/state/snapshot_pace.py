"""When a snapshot of an incident goes out: at once, or at most once a second while it only grows.

What people act on (state, severity, owner, acknowledgement, targets, suppression and such) is shown
with the record that changes it. That one more alert joins or ends, with the counts, the alerts shown
and their labels, may wait: a storm would write the same incident for each of its alerts.
"""

from operator import attrgetter
from zlib import crc32

import orjson

from app.core.state.snapshot import suppressed_by
from app.core.state.state import Incident

SNAPSHOT_MS = 1000  # of engine time between two snapshots of an incident that only grows
NO_SUM = -1  # no incident's checksum: the next snapshot waits for nothing

# What of an incident people act on: all that its snapshot shows, but for its alerts and members.
_values_acted_on = attrgetter(
    *("state", "severity", "peak_severity", "incident_class", "owner", "title", "episode"),
    *("next_step", "runbook", "rule", "first_notified_ms", "acknowledged_ms", "acknowledged_by"),
    *("assignee", "mitigated_ms", "mitigated_by", "root_cause", "root_cause_by", "assessment"),
    *("eta_ms", "complaints", "resolved_ms", "resolved_by", "closed_ms", "reopened", "step"),
    *("escalated", "clocks", "clock_since_ms", "clock_severity", "parents", "down"),
)


def checksum(incident: Incident) -> int:
    """A number of what people act on: another one means that a snapshot is due at once.

    The changelog keeps that of the last snapshot, so that a restart changes no byte of what follows.
    """
    is_flapping = incident.flapping_ms > 0
    values = (*_values_acted_on(incident), is_flapping, suppressed_by(incident))
    return crc32(orjson.dumps(values))


def next_snapshot_ms(incident: Incident) -> int:
    """From when on a snapshot may tell what only grew."""
    return incident.snapshot_ms + SNAPSHOT_MS
