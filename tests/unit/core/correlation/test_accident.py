"""How near by accident, and what is allowed because of it."""

from decimal import Decimal
from random import Random

import pytest

from app.core.correlation.accident import hazard_ppm
from app.core.state.near_evidence import EVIDENCE_MAX, Evidence

CHANCE, FALSE_SHARE = 200_000, 100_000


def test_the_hazard_is_the_logarithm() -> None:
    """The integer series gives what decimal's logarithm does, rounded down, from no share to nearly all."""
    shares = [*range(2000), *range(2000, 1_000_000, 997), 999_999]

    expected = [int(-(1 - Decimal(share) / 1_000_000).ln() * 1_000_000) for share in shares]
    assert expected == [hazard_ppm(share) for share in shares]


@pytest.mark.parametrize(("far", "near", "limit"), [(0, 0, 65_536), (9, 0, 8192), (99, 0, 512)])
def test_what_was_far_makes_strict(far: int, near: int, limit: int) -> None:
    """With more alerts that are near nothing, only what is nearer still may be joined."""
    evidence = Evidence()
    for _ in range(far):
        evidence.add(900_000, CHANCE)
    for _ in range(near):
        evidence.add(1, CHANCE)

    assert limit == evidence.limit_ppm(CHANCE, FALSE_SHARE)


def test_what_was_near_makes_generous() -> None:
    """Where most alerts are near others, all up to the chance are joined."""
    evidence = Evidence()
    for _ in range(40):
        evidence.add(1000, CHANCE)
    for _ in range(10):
        evidence.add(900_000, CHANCE)

    assert evidence.limit_ppm(CHANCE, FALSE_SHARE) == CHANCE


@pytest.mark.parametrize("seed", range(5))
def test_independent_alerts_are_hardly_ever_joined(seed: int) -> None:
    """Of 20,000 times between independent alerts, fewer than one in a hundred passes the limit of its moment."""
    random, evidence, joined = Random(seed), Evidence(), 0
    for _ in range(20_000):
        accident = int(random.expovariate(1) * 1_000_000)
        joined += accident <= evidence.limit_ppm(CHANCE, FALSE_SHARE)
        evidence.add(accident, CHANCE)

    assert joined < 200


def test_evidence_has_a_bound() -> None:
    """At the bound all counts are halved, so that what is new weighs more."""
    evidence = Evidence()
    for _ in range(EVIDENCE_MAX):
        evidence.add(900_000, CHANCE)

    assert (evidence.far, evidence.number) == (EVIDENCE_MAX // 2, EVIDENCE_MAX // 2)
