"""Applying the journal to an engine for as long as it takes, whatever in it makes the engine raise.

What raises is passed over by another engine, from the last checkpoint on (`app.core.state.poison`).
Who works and who replays do it alike, so that a replay gives the same dead letters.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from app.core.engine import Engine
from app.core.journal_record import JournalRecord
from app.core.state.poison import Poison
from models.effect import Effect

T = TypeVar("T")


class Applier:
    """One partition's engine, which is another one after a fault.

    `restore` makes the engine of the last checkpoint, `read` gives journal records at an offset and
    after, and `on_poison` is told of each fault, from within the exception's handler.
    """

    def __init__(
        self,
        engine: Engine,
        restore: Callable[[], Awaitable[Engine]],
        read: Callable[[int], Awaitable[Sequence[JournalRecord]]],
        on_poison: Callable[[Poison], None],
    ) -> None:
        self.engine = engine
        self._restore = restore
        self._read = read
        self._on_poison = on_poison
        self._poisons: list[Poison] = []

    async def apply(self, records: Sequence[JournalRecord]) -> Sequence[Effect]:
        """Apply records and return their effects.

        What makes the engine raise leaves a dead letter.
        """
        return await self.use(lambda engine: engine.apply(records))

    async def use(self, act: Callable[[Engine], T]) -> T:
        """Do something with the engine that applies what comes next, until it raises no more.

        `act` is called anew, with another engine in the same state, after each fault. Raises Poison
        where what was skipped raises all the same.
        """
        before = self.engine.applied_offset
        while True:
            try:
                return act(self.engine)
            except Poison as poison:
                self._on_poison(poison)
                if any(known.place == poison.place for known in self._poisons):
                    raise  # it was skipped, and the engine raised all the same
                self._poisons.append(poison)
                await self._work_up_to(before)

    async def _work_up_to(self, offset: int) -> None:
        """Make the engine anew, as it was when it had applied the offset.

        The effects until there are known already.
        """
        self.engine = await self._restore()
        self._poisons = [
            poison for poison in self._poisons if poison.offset > self.engine.applied_offset
        ]
        self.engine.skip(self._poisons)
        while self.engine.applied_offset < offset:
            records = await self._read(self.engine.applied_offset + 1)
            assert records, f"the journal ends before offset {offset}, which was applied"
            self.engine.apply([record for record in records if record.offset <= offset])
