"""Every scenario file, fed in each way."""

from pathlib import Path

import pytest

from tests.scenario import FEEDINGS, Feeding, in_order, play, read, tell
from tests.shipped import shipped

SCENARIOS = sorted((Path(__file__).parent / "scenarios").glob("*.txt"))


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
@pytest.mark.parametrize("feeding", FEEDINGS, ids=lambda feeding: feeding.__name__)
def test_scenario(path: Path, feeding: Feeding) -> None:
    """The effects are those that the file expects, however the records are cut."""
    policy = shipped()
    records, expected = read(path, policy)

    _, effects = play(policy, records, feeding)

    assert tell(effects) == expected
    assert in_order(effects)


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_same_bytes(path: Path) -> None:
    """One by one, in one batch and across restarts give the same bytes."""
    policy = shipped()

    one, batch, restarts = (play(policy, read(path, policy)[0], feeding)[1] for feeding in FEEDINGS)

    assert one == batch == restarts
