"""What a worker does when the engine raises: another engine, from the last checkpoint, that passes it over."""

from collections.abc import Sequence

from app.core.engine import Engine
from app.core.rules.compiled_policy import CompiledPolicy
from app.core.state.poison import Poison
from app.transport.log import StoredRecord
from models.effect import Effect
from tests.support.scenario import keep


def survive(
    policy: CompiledPolicy, journal: Sequence[StoredRecord], cut: int
) -> tuple[list[Effect], dict[bytes, bytes]]:
    """Apply batches of `cut`, a checkpoint after each; the effects and what is kept at the end.

    Raises the Poison that was passed over and raised all the same.
    """
    items: dict[bytes, bytes] = {}
    effects: list[Effect] = []
    for start in range(0, len(journal), cut):
        poisons: list[Poison] = []
        while True:
            engine = Engine.restore(0, policy, items)
            engine.skip(poisons)
            try:
                effects += engine.apply(journal[start : start + cut])
                break
            except Poison as poison:
                if poison.place in [known.place for known in poisons]:
                    raise
                poisons.append(poison)
        keep(items, engine)
    return effects, items
