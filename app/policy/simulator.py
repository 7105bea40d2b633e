"""A journal on virtual time.

Records go in, and what actors tell each other comes back in, as the real one brings it.
"""

from app.core.engine import Engine
from app.core.rules.compiled_policy import CompiledPolicy
from app.transport.log import StoredRecord
from models.effect import Effect, Stream
from models.journal import TICK, Source


class Stage:
    """One engine and its journal.

    Each record's messages to actors follow it, oldest first, at the same time.
    """

    def __init__(self, policy: CompiledPolicy) -> None:
        self.engine = Engine(0, policy)
        self.journal: list[StoredRecord] = []
        self.effects: list[Effect] = []

    def append(self, outside: StoredRecord) -> None:
        """A record from outside; its offset becomes the next one."""
        waiting = [outside]
        while waiting:
            record = waiting.pop(0)
            record.offset = len(self.journal)
            self.journal.append(record)
            effects = self.engine.apply([record])
            self.effects += effects
            waiting += [
                signal_record(effect, record.timestamp)
                for effect in effects
                if effect.stream is Stream.JOURNAL
            ]

    def wait_until(self, at_ms: int) -> None:
        """Let time pass, with a tick at each deadline on the way, as if the worker's ticks came at these very moments."""
        timers = self.engine.state.timers
        while timers and timers[0][0] < at_ms:
            self.append(StoredRecord(-1, max(timers[0][0], self.engine.state.now_ms), None, TICK))
            timers = self.engine.state.timers
        self.append(StoredRecord(-1, at_ms, None, TICK))


def signal_record(effect: Effect, at_ms: int) -> StoredRecord:
    """The journal record of an actor's message."""
    source = Source("journal", 0, effect.position.offset, effect.position.number)
    return StoredRecord(-1, at_ms, effect.key, effect.value, (source.header(),))
