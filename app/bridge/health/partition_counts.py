"""Whether a topic has more partitions than Tocsin reads: what producers write there, nobody hears of."""

from app.bridge.health.problems import Problem, partitions_added
from app.clock import Stopwatch
from app.transport.log import LogUnavailable, Readable
from models.topics import Topics

LOOK_MS = 60_000  # between two looks: it takes a connection of its own


class PartitionCounts:
    """Counts the partitions of the topics once a minute."""

    def __init__(
        self, log: Readable, topics: Topics, partitions: int, stopwatch: Stopwatch
    ) -> None:
        self._log, self._partitions, self._stopwatch = log, partitions, stopwatch
        self._names = frozenset(spec.name for spec in topics.specs(partitions))
        self._looked_ms = -LOOK_MS
        self._problems: list[Problem] = []

    async def problems(self) -> list[Problem]:
        """What was wrong at the last look. What the log does not say now is as it was."""
        if self._stopwatch.elapsed_ms() - self._looked_ms < LOOK_MS:
            return self._problems
        self._looked_ms = self._stopwatch.elapsed_ms()
        try:
            counts = await self._log.list_topics()
        except LogUnavailable:
            return self._problems
        ours = {name: counts[name] for name in sorted(self._names & counts.keys())}
        self._problems = partitions_added(ours, self._partitions)
        return self._problems
