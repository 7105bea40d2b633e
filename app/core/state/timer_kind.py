"""The kinds of timers. Their numbers are the order in which timers of one millisecond are handled."""

from enum import IntEnum


class TimerKind(IntEnum):
    """What a timer is for (docs/ARCHITECTURE.md, "One millisecond"). The numbers stand in the changelog."""

    SILENCE = (
        0  # silences begin and end, before all else: what is silenced from then on notifies nobody
    )
    HEARTBEAT = 1  # a heartbeat is missing
    DIGEST = 2  # a digest goes out
    DEFERRED_SIGNAL = 3  # a signal was deferred for too long
    EXPIRY = 4  # an alert was not heard of for its time to live
    RETENTION = 5  # an ended alert has been retained for long enough
    INCIDENT = 6  # something is due for an incident (`app.core.incident_timers`)
    LASTING = 7  # an alert has been firing for as long as an escalation asks for
    GRACE = 8  # the grace of a dependency is over
    SILENCE_RETENTION = 9  # an ended silence has been retained for long enough
    QUARANTINE = 10  # a quarantined timer is tried again
    TASK = 11  # a follow-up task needs a reminder
    CORRELATION_WAIT = 12  # an alert has waited long enough for a rule to explain it
    WINDOW = 13  # a correlation window is empty
    SNAPSHOT = 14  # an incident has grown, and its last snapshot is a second old

    @property
    def label(self) -> str:
        """The kind in words, for dead letters and explanations."""
        return self.name.lower().replace("_", " ")
