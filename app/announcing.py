"""A partition's policy is in its journal: the first is in force from the beginning, the others from their records on."""

from app.core.engine import Engine
from app.core.rulebook import Rulebook
from app.transport.log import Log, NewRecord
from models.journal import encode_policy


class Announcer:
    """Sees to it that the newest policy in one partition's journal is its owner's.

    What the owner before has left in the journal, past the checkpoint, may have policies too, so it is looked at once more
    when that is applied.
    """

    def __init__(self, log: Log, journal: str, partition: int) -> None:
        self._log, self._journal, self._partition = log, journal, partition
        self._newest = ""  # fingerprint of the newest policy in the journal, as far as we know
        self._unread_until = 0  # offset; before it are records that our engine has not applied yet

    async def begin(self, policy: Rulebook) -> None:
        """Give the journal a policy to begin with, since it has none. Raises LogUnavailable.

        Somebody else may do the same at the same time: the first that can then be read there is in force.
        """
        await self._append(policy)

    async def start(self, engine: Engine, policy: Rulebook) -> None:
        """Begin with a partition that was taken over, whose journal has a policy. Raises LogUnavailable."""
        self._unread_until = await self._log.end_offset(self._journal, self._partition)
        self._newest = engine.policy.fingerprint
        await self._append(policy)

    async def keep(self, engine: Engine, policy: Rulebook) -> None:
        """Append the policy if the newest one is another. Raises LogUnavailable; then the next call tries again."""
        if self._unread_until and engine.applied_offset + 1 >= self._unread_until:
            self._newest, self._unread_until = engine.policy.fingerprint, 0
        await self._append(policy)

    async def _append(self, policy: Rulebook) -> None:
        if policy.fingerprint == self._newest:
            return
        # Noted before it is there, so that nobody else appends it meanwhile.
        before, self._newest = self._newest, policy.fingerprint
        self._unread_until = 0
        record = NewRecord(None, encode_policy(policy.fingerprint, policy.document))
        try:
            await self._log.append(self._journal, self._partition, [record])
        except BaseException:
            self._newest = before
            raise
