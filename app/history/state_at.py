"""The state before a record of the journal.

From a checkpoint in the changelog, or from the journal's beginning.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import orjson

from app.core.engine import Engine
from app.core.rules.compiled_policy import CompiledPolicy
from app.core.state.changelog import META, POLICY
from app.files import policy_file
from app.history.checkpoints import whole_checkpoint
from app.history.not_retained import NotRetained
from app.history.policies import compile_recorded, first_policy, policy_in_state
from app.history.source import Source
from app.history.spans import OffsetSpan
from models.document import document_in
from models.journal import POLICY_START


@dataclass(frozen=True, slots=True)
class Start:
    """The changelog's items as of the record at `offset`, which is the last one applied.

    -1 before the first.
    """

    items: Mapping[bytes, bytes]
    offset: int

    @property
    def how(self) -> str:
        """Where the replay begins, in words."""
        return "start of the journal" if self.offset < 0 else f"checkpoint at offset {self.offset}"

    def engine(self, partition: int) -> Engine:
        """The engine with that state, under the policy that it has.

        Raises DamagedState and NewerFormat.
        """
        return Engine.restore(
            partition,
            compile_recorded(orjson.loads(self.items[POLICY]), "the state"),
            self.items,
        )


async def start_of(source: Source, span: OffsetSpan) -> Start:
    """From where a span can be replayed.

    Raises NotRetained when what came before it is not known any more.
    """
    kept = await source.log.start_offset(source.topics.journal, span.partition)
    if kept > 0 or span.first is not None:
        checkpoint = await checkpoint_before(source, span.partition, kept, span.first)
        if checkpoint is not None:
            return checkpoint
    if kept > 0:
        wanted = "" if span.first is None else f" before offset {span.first}"
        raise NotRetained(
            f"partition {span.partition}: what was known{wanted} is not kept: {source.description} has the journal from offset "
            f"{kept} on, and {await _retained_text(source, span.partition, kept)}"
        )
    return await beginning(source, span.partition)


async def checkpoint_before(
    source: Source, partition: int, kept: int, before: int | None
) -> Start | None:
    """The newest whole checkpoint before an offset.

    The oldest when the span begins as early as possible.
    """
    items = await whole_checkpoint(source.log, source.topics.state, partition, kept, before)
    return None if items is None else Start(items, int(orjson.loads(items[META])["offset"]))


async def _retained_text(source: Source, partition: int, kept: int) -> str:
    oldest = await checkpoint_before(source, partition, kept, None)
    if oldest is None:
        return "no checkpoint fits it"
    return f"the oldest checkpoint that fits is of offset {oldest.offset}: begin later"


async def beginning(
    source: Source, partition: int, otherwise: Callable[[], CompiledPolicy] | None = None
) -> Start:
    """The state of an engine that has seen nothing, under the policy that was there first.

    Where the log has none, `otherwise` says which; the policy file does if it is not given.
    """
    policy = await _first_policy(source, partition)
    if policy is None:
        policy = otherwise() if otherwise else policy_file.load_policy(source.config.policy_file)
    return unknown_before(partition, 0, policy)


def unknown_before(partition: int, offset: int, policy: CompiledPolicy) -> Start:
    """The state of an engine that knows nothing of what was before an offset."""
    engine = Engine(partition, policy)
    engine.applied_offset = offset - 1
    items = {key: value for key, value in engine.checkpoint() if value is not None}
    return Start(items, offset - 1)


async def _first_policy(source: Source, partition: int) -> CompiledPolicy | None:
    """The policy that was in force from the journal's beginning, if known. Raises NotRetained."""
    policy = await first_policy(source.log, source.topics.journal, partition)
    if policy is not None:
        return policy
    for record in await source.log.read(source.topics.journal, partition, 0, 1):
        if (record.value or b"").startswith(POLICY_START):
            where = f"the journal's first record, of partition {partition},"
            return compile_recorded(document_in(record.value).get("document"), where)
    return await policy_in_state(source.log, source.topics.state, partition)
