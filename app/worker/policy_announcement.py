"""A partition's policy is in its journal.

The first is in force from the beginning, the others from their records on.
"""

from app.core.engine import Engine
from app.core.rules.compiled_policy import CompiledPolicy
from app.transport.log import Log, NewRecord
from models.journal import encode_policy


class PolicyAnnouncer:
    """Sees to it that the newest policy in one partition's journal is its owner's.

    Others may append one too: the owner before, a worker that was paused and does not know that it
    was replaced, a request of a dead one that arrives late. So what the engine decides by is looked
    at whenever it has applied all that we know of.
    """

    def __init__(self, log: Log, journal: str, partition: int) -> None:
        self._log, self._journal, self._partition = log, journal, partition
        self._newest = ""  # fingerprint of the newest policy in the journal, as far as we know
        self._known_until = (
            0  # offset; an engine that has not applied what is before it knows less than we do
        )
        self._on_the_way = 0  # appends of ours whose offset is not known yet

    async def begin(self, policy: CompiledPolicy) -> None:
        """Give the journal a policy to begin with, since it has none. Raises LogUnavailable.

        Somebody else may do the same at the same time: the first that can then be read there is in
        force.
        """
        await self._append_policy(policy)

    async def start(self, engine: Engine, policy: CompiledPolicy) -> None:
        """Begin with a partition that was taken over, whose journal has a policy.

        Raises LogUnavailable.
        """
        self._known_until = await self._log.end_offset(self._journal, self._partition)
        self._newest = engine.policy.fingerprint
        await self._append_policy(policy)

    async def keep(self, engine: Engine, policy: CompiledPolicy) -> None:
        """Append the policy if the newest one is another.

        Raises LogUnavailable; then the next call tries again.
        """
        if not self._on_the_way and engine.applied_offset + 1 >= self._known_until:
            self._newest = engine.policy.fingerprint
        await self._append_policy(policy)

    async def _append_policy(self, policy: CompiledPolicy) -> None:
        if policy.fingerprint == self._newest:
            return
        # Noted before it is there, so that nobody else appends it meanwhile.
        before, self._newest = self._newest, policy.fingerprint
        self._on_the_way += 1
        record = NewRecord(None, encode_policy(policy.fingerprint, policy.document))
        try:
            offset = await self._log.append(self._journal, self._partition, [record])
            self._known_until = max(self._known_until, offset + 1)
        except BaseException:
            self._newest = before
            raise
        finally:
            self._on_the_way -= 1
