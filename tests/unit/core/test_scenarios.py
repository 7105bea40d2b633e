"""Every scenario file, fed in each way."""

from functools import cache
from pathlib import Path

import pytest

from models.effect import Effect
from tests.support.scenario import FEEDINGS, Feeding, in_order, play, read, tell
from tests.support.shipped_policy import shipped

SCENARIOS = sorted((Path(__file__).parents[2] / "scenarios").glob("*.txt"))


@cache
def effects_of(path: Path, feeding: Feeding) -> list[Effect]:
    """What a scenario's records cause, fed in this way."""
    policy = shipped()
    return play(policy, read(path, policy)[0], feeding)[1]


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
@pytest.mark.parametrize("feeding", FEEDINGS, ids=lambda feeding: feeding.__name__)
def test_scenario(path: Path, feeding: Feeding) -> None:
    """The effects are those that the file expects, however the records are cut."""
    _, expected = read(path, shipped())

    effects = effects_of(path, feeding)

    assert tell(effects) == expected
    assert in_order(effects)


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_same_bytes(path: Path) -> None:
    """One by one, in one batch and across restarts give the same bytes."""
    one, batch, restarts = (effects_of(path, feeding) for feeding in FEEDINGS)

    assert one == batch == restarts
