"""The policies that a log holds: the first one of a partition, and a recorded one compiled again."""

from collections.abc import Iterable
from contextlib import aclosing
from typing import Any

import orjson
from pydantic import ValidationError

from app.core.rules.compiled_policy import CompiledPolicy, compile_policy
from app.core.state.changelog import POLICY
from app.history.checkpoints import load_state
from app.history.not_kept import NotRetained
from app.history.records import batches_from
from app.transport.log import Readable, StoredRecord
from models.journal import POLICY_START


class UnreadablePolicy(NotRetained):
    """A recorded policy that this Tocsin does not read: its key, and what is wrong with it."""

    def __init__(self, where: str, key: str, problem: str) -> None:
        super().__init__(
            f"{where} has a policy that this Tocsin cannot read ({key}: {problem}): "
            "was it written by a newer one?"
        )
        self.key = key
        self.problem = problem


def compile_recorded(document: Any, where: str) -> CompiledPolicy:
    """The policy of a recorded document, to go on with. `where` names its place in messages.

    Raises UnreadablePolicy.
    """
    try:
        return compile_policy(orjson.dumps(document), kept=True)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise UnreadablePolicy(where, key or "it", first["msg"]) from None


async def first_policy(log: Readable, journal: str, partition: int) -> CompiledPolicy | None:
    """The first policy of a journal partition, in force from its beginning; None if it has none.

    It is the first record, unless the bridge was faster than the first worker.
    """
    async with aclosing(batches_from(log, journal, partition)) as batches:
        async for records in batches:
            policy = policy_in(records)
            if policy is not None:
                return policy
    return None


def policy_in(records: Iterable[StoredRecord]) -> CompiledPolicy | None:
    """The first policy among journal records that can be used, if there is one."""
    for record in records:
        if record.value is not None and record.value.startswith(POLICY_START):
            try:
                return compile_recorded(orjson.loads(record.value)["document"], "the journal")
            except (NotRetained, ValueError, KeyError, TypeError):
                continue  # it is a dead letter
    return None


async def policy_in_state(log: Readable, changelog: str, partition: int) -> CompiledPolicy | None:
    """The policy of a partition's last checkpoint, if it has one. Raises UnreadablePolicy."""
    items = await load_state(log, changelog, partition)
    if POLICY not in items:
        return None
    return compile_recorded(orjson.loads(items[POLICY]), f"the state of partition {partition}")
