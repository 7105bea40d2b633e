"""Journals as workers write them.

Messages between actors come late, after whatever was appended in the meantime.
"""

import random

from app.core.engine import Engine
from app.core.rules.compiled_policy import CompiledPolicy
from app.transport.log import NewRecord
from models.effect import Effect, Stream
from models.journal import Source, encode_policy
from models.topics import Topics, partition_of
from tests.support.fake_log import FakeLog

TOPICS = Topics()
CHUNK_MAX = 4  # records that a worker applies before others come to something


class Recorder:
    """A Tocsin on a log in memory. `effects` has what each partition's engine said, which is what happened.

    Its workers are as late as the seed has it; without one they are prompt.
    """

    def __init__(
        self, policy: CompiledPolicy, partitions: int, seed: int | None = None, now_ms: int = 0
    ) -> None:
        self.log = FakeLog(now_ms)
        self.partitions = partitions
        self.engines = [Engine(partition, policy) for partition in range(partitions)]
        self.effects: list[list[Effect]] = [[] for _ in range(partitions)]
        self._dice = random.Random(seed)
        self._prompt = seed is None
        self.broadcast(encode_policy(policy.fingerprint, policy.document))

    def append(
        self,
        key: bytes | None,
        value: bytes,
        partition: int | None = None,
        headers: tuple[tuple[str, bytes], ...] = (),
    ) -> None:
        """Append a record, and let the workers do some of what they have to do."""
        target = partition_of(key or b"", self.partitions) if partition is None else partition
        self._put(target, NewRecord(key, value, headers))
        if self._prompt:
            self.settle()
        while not self._prompt and self._dice.random() < 0.7:
            self._work(self._dice.randrange(self.partitions))

    def broadcast(self, value: bytes) -> None:
        """Append a record to every partition, at the time of the last."""
        for partition in range(self.partitions):
            self._put(partition, NewRecord(None, value))
        if self._prompt:
            self.settle()

    def settle(self) -> None:
        """Have the workers do all that they have to do."""
        while any(self._work(partition) for partition in range(self.partitions)):
            pass

    def _put(self, partition: int, record: NewRecord) -> None:
        self.log.put(TOPICS.journal, partition, [record])

    def _work(self, partition: int) -> bool:
        """Apply the next records of a partition; False when there are none."""
        engine, journal = self.engines[partition], self.log.topics[TOPICS.journal, partition]
        start = engine.applied_offset + 1
        chunk = journal[start : start + self._dice.randint(1, CHUNK_MAX)]
        effects = engine.apply(chunk)
        self.effects[partition] += effects
        for effect in effects:
            if effect.stream is Stream.JOURNAL:
                source = Source(
                    "journal", partition, effect.position.offset, effect.position.number
                )
                target = partition_of(effect.key or b"", self.partitions)
                self._put(target, NewRecord(effect.key, effect.value, (source.header(),)))
        return bool(chunk)
