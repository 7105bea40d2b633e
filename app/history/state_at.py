"""The state before a record of the journal.

From a checkpoint in the changelog, or from the journal's beginning.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from pydantic import ValidationError

from app.core.engine import Engine
from app.core.rules.compiled_policy import Rulebook
from app.core.state.changelog import META, POLICY
from app.files import policy_file
from app.history.checkpoints import checkpoints, first_policy, whole_checkpoint
from app.history.source import NotKept, Source
from app.history.spans import Span
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
            partition, rulebook(orjson.loads(self.items[POLICY]), "the state"), self.items
        )


async def start_of(source: Source, span: Span) -> Start:
    """From where a span can be replayed.

    Raises NotKept when what came before it is not known any more.
    """
    kept = await source.log.start_offset(source.topics.journal, span.partition)
    if kept > 0 or span.first is not None:
        found = await _checkpoint(source, span.partition, kept, span.first)
        if found is not None:
            return found
    if kept > 0:
        wanted = "" if span.first is None else f" before offset {span.first}"
        raise NotKept(
            f"partition {span.partition}: what was known{wanted} is not kept: {source.what} has the journal from offset "
            f"{kept} on, and {await _known(source, span.partition, kept)}"
        )
    return await _beginning(source, span.partition)


async def _checkpoint(
    source: Source, partition: int, kept: int, before: int | None
) -> Start | None:
    """The newest whole checkpoint before an offset.

    The oldest when the span begins as early as possible.
    """
    items = await whole_checkpoint(source.log, source.topics.state, partition, kept, before)
    return None if items is None else Start(items, int(orjson.loads(items[META])["offset"]))


async def _known(source: Source, partition: int, kept: int) -> str:
    oldest = await _checkpoint(source, partition, kept, None)
    if oldest is None:
        return "no checkpoint fits it"
    return f"the oldest checkpoint that fits is of offset {oldest.offset}: begin later"


async def _beginning(source: Source, partition: int) -> Start:
    """An engine that has seen nothing, under the policy that was there first."""
    engine = Engine(partition, await _first_policy(source, partition))
    return Start({key: value for key, value in engine.checkpoint() if value is not None}, -1)


async def _first_policy(source: Source, partition: int) -> Rulebook:
    """The policy that was in force from the journal's beginning. Raises NotKept."""
    found = await first_policy(source.log, source.topics.journal, partition)
    if found is not None:
        return found
    for record in await source.log.read(source.topics.journal, partition, 0, 1):
        if (record.value or b"").startswith(POLICY_START):
            where = f"the journal's first record, of partition {partition},"
            return rulebook(document_in(record.value).get("document"), where)
    async for records in checkpoints(source.log, source.topics.state, partition):
        for record in records:
            if record.key == POLICY and record.value:
                return rulebook(orjson.loads(record.value), f"the state of partition {partition}")
    return policy_file.load(source.config.policy_file)


def rulebook(document: Any, where: str) -> Rulebook:
    """The policy that stands somewhere, to go on with.

    Raises NotKept when it is none for this Tocsin.
    """
    try:
        return Rulebook(document, kept=True)
    except ValidationError as error:
        first = error.errors()[0]
        key, problem = ".".join(map(str, first["loc"])) or "it", first["msg"]
        raise NotKept(
            f"{where} has a policy that this Tocsin cannot read ({key}: {problem}): was it written by a newer one?"
        ) from None
