"""A few seeds in every test run; `make simulate` runs many."""

import pytest

from app.core.state.changelog import META, is_whole
from app.history.checkpoints import apply_changes
from app.transport.log import StoredRecord
from tests.simulation.__main__ import failure, part, shrink
from tests.simulation.plan import draw
from tests.simulation.run import TOPICS, run
from tests.support.example_counts import examples


@pytest.mark.sampled
@pytest.mark.parametrize("chunk", range(5))
def test_whatever_breaks_nothing_is_lost_and_nothing_is_told_twice(chunk: int) -> None:
    """A few seeds each; `make simulate` runs thousands."""
    broken = {
        seed: why
        for seed in range(chunk * examples(8), (chunk + 1) * examples(8))
        if (why := failure(draw(seed))) is not None
    }

    assert broken == {}


def test_the_same_seed_gives_the_same_run() -> None:
    """Byte for byte, with kills, pauses and failed appends.

    Otherwise no seed could be looked at twice.
    """
    for seed in (3, 7, 149):
        one, other = run(draw(seed)).cluster, run(draw(seed)).cluster
        assert one.kept == other.kept


@pytest.mark.slow
def test_the_seeds_reach_what_can_break() -> None:
    """Deaths, zombies, landings after death, poison, more than one worker and thinned checkpoints all come up."""
    plans = [draw(seed) for seed in range(130)]
    outcomes = [run(plan) for plan in plans]

    assert sum(outcome.deaths for outcome in outcomes) > 100
    assert sum(outcome.zombies for outcome in outcomes) > 3
    assert sum(outcome.cluster.late_landings for outcome in outcomes) > 3
    assert any(plan.world.poison for plan in plans)
    assert {plan.world.workers for plan in plans} == {1, 2, 3}
    changelogs = [
        kept
        for outcome in outcomes
        for (topic, _), kept in outcome.cluster.kept.items()
        if topic == TOPICS.state
    ]
    thinned = [_thinned(kept) for kept in changelogs]
    assert sum(True in one and False in one for one in thinned) > 3
    assert any(one.count(True) > 1 for one in thinned)  # where its number does not tell


def _thinned(kept: list[StoredRecord]) -> list[bool]:
    """Of each checkpoint whether it lacks keys."""
    items: dict[bytes, bytes] = {}
    found = []
    for record in kept:
        apply_changes(items, [(record.key or b"", record.value)])
        if record.key == META:
            found.append(not is_whole(items))
    return found


def test_a_failing_seed_is_shrunk_to_the_steps_that_matter() -> None:
    """Of a plan that fails because of two steps, these two are left."""
    plan = next(plan for plan in map(draw, range(100)) if len(plan.steps) >= 8)
    needed = (plan.steps[1], plan.steps[4])
    kept = shrink(
        plan, list(range(len(plan.steps))), lambda some: all(one in some.steps for one in needed)
    )

    assert part(plan, kept).steps == needed
