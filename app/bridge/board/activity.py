"""What happened of late, from timeline and notifications: what is new is read when somebody asks."""

from collections import Counter
from datetime import tzinfo
from zoneinfo import ZoneInfo

import orjson

from app.history.topic_reader import TopicReader, Turnstile
from app.report.activity import ActivityLedger
from app.transport.log import Readable
from models.policy.policy import Policy
from models.topics import Topics


class ActivityView:
    """A ledger of what happened. Nothing is read before somebody asks."""

    def __init__(self, log: Readable, topics: Topics, partitions: int) -> None:
        self._log, self._partitions = log, partitions
        self._timeline = TopicReader(log, topics.timeline, partitions)
        self._notifications = TopicReader(log, topics.notifications, partitions)
        self._turnstile = Turnstile()
        self._ledger = ActivityLedger()

    async def ledger(self) -> ActivityLedger:
        """What happened, up to now."""
        async with self._turnstile as needed:
            # Notifications are read last, so that each meets the incident that it is of.
            for partition in range(self._partitions) if needed else ():
                while (entries := await self._timeline.next_chunk(partition)) is not None:
                    for entry in entries:
                        self._ledger.feed_entry(orjson.loads(entry.value))
            for partition in range(self._partitions) if needed else ():
                while (sent := await self._notifications.next_chunk(partition)) is not None:
                    for notification in sent:
                        self._ledger.feed_notification(orjson.loads(notification.value))
            self._ledger.forget(self._log.now_ms())
        return self._ledger


def night_zone(policy: Policy) -> tzinfo:
    """Where people sleep: the time zone that most of the policy's time intervals name, else UTC."""
    named = Counter(
        span.location for interval in policy.time_intervals.values() for span in interval
    )
    return ZoneInfo(named.most_common(1)[0][0] if named else "UTC")
