"""What the embedded journal drops because it is past its time (`retention.ms`).

In small steps, between appends.
"""

import sqlite3
import time
from collections.abc import Callable, Iterator

EVERY_SECONDS = 60.0
STEP_ROWS = 16

# Of the oldest rows those that are too old. The newest row stays: it tells where the partition
# ends.
_DELETE = (
    "DELETE FROM batches WHERE rowid IN (SELECT oldest FROM (SELECT rowid AS oldest, at_ms FROM batches "
    "WHERE topic = :topic AND partition = :partition "
    "AND last < (SELECT max(last) FROM batches WHERE topic = :topic AND partition = :partition) "
    "ORDER BY last LIMIT :rows) WHERE at_ms < :before)"
)


class Expiry:
    """What the writer of a journal does about its topics' retention, on its connection."""

    def __init__(
        self, connection: sqlite3.Connection, kept_ms: dict[str, int], now_ms: Callable[[], int]
    ) -> None:
        """`kept_ms` has the retention of each topic that has one, and may change."""
        self._connection = connection
        self._kept_ms = kept_ms
        self._now_ms = now_ms
        self._due = time.monotonic()
        self._round: Iterator[bool] | None = None

    @property
    def busy(self) -> bool:
        """Whether there is a step to make."""
        return self._round is not None or (bool(self._kept_ms) and time.monotonic() >= self._due)

    def step(self) -> None:
        """Do a little. Raises sqlite3.Error, after which it is for the next time."""
        if self._round is None:
            self._due = time.monotonic() + EVERY_SECONDS
            self._round = self._over_all()
        goes_on = False
        try:
            goes_on = next(self._round, False)
        finally:
            if not goes_on:
                self._round = None

    def _over_all(self) -> Iterator[bool]:
        topics = self._connection.execute("SELECT name, partitions FROM topics").fetchall()
        for topic, partitions in topics:
            for partition in range(partitions) if topic in self._kept_ms else ():
                while self._drop_rows(topic, partition, self._now_ms() - self._kept_ms[topic]):
                    yield True

    def _drop_rows(self, topic: str, partition: int, before_ms: int) -> bool:
        """Drop some rows; whether there may be more."""
        values = {"topic": topic, "partition": partition, "before": before_ms, "rows": STEP_ROWS}
        with self._connection:
            return self._connection.execute(_DELETE, values).rowcount == STEP_ROWS
