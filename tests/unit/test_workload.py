"""The workload of `bench/raw.py`: what it says of itself is so."""

from collections import Counter
from itertools import islice

from app.intake.normalise import alerts_from
from bench.samples import PARTS, table
from bench.workload import ENDS_AHEAD_MS, Mix, workload
from tests.support.shipped_policy import shipped

NOW_MS = 1_780_000_000_000


def test_a_seed_gives_the_same_bytes() -> None:
    """The same mix and seed are the same records, and another seed is others."""
    mix = Mix(2_000)
    first, again, other = (list(workload(mix, NOW_MS, seed)) for seed in (1, 1, 2))

    assert again == first
    assert other != first


def test_kinds_are_what_they_say() -> None:
    """What is new was never said before, a repeat is of what fires, and only what fires ends."""
    firing: set[str] = set()
    known: set[str] = set()
    for raw in workload(Mix(5_000, ended=0.05), NOW_MS):
        (alert,), refused = alerts_from(raw.value, NOW_MS)
        expected = "new" if alert.fingerprint not in known else "repeat"
        assert (refused, raw.kind) == ([], expected if alert.firing else "ended")
        assert alert.firing == (raw.kind == "new") or alert.fingerprint in firing
        known.add(alert.fingerprint)
        (firing.add if alert.firing else firing.discard)(alert.fingerprint)


def test_severities_are_those_of_the_shipped_policy() -> None:
    """Of 100 alerts one is a P0 and four are P1; the others are P2 and P3."""
    policy = shipped()
    new = (raw for raw in workload(Mix(10_000, new=1.0), NOW_MS) if raw.kind == "new")
    alerts = [alerts_from(raw.value, NOW_MS)[0][0] for raw in islice(new, 1_000)]

    assert Counter(str(policy.evaluate(alert.labels).severity) for alert in alerts) == {
        "P0": 10,
        "P1": 40,
        "P2": 500,
        "P3": 450,
    }


def test_ends_move_on() -> None:
    """A repeat later in the workload says a later end, so its bytes are others."""
    mix = Mix(1_001, new=0.0, ended=0.0)
    values = [raw.value for raw in workload(mix, NOW_MS)]
    times_to_live = {alerts_from(value, NOW_MS)[0][0].ttl_ms for value in values}

    assert len({values[0], values[499], values[500], values[1000]}) == 3
    assert times_to_live == {7 * 86_400_000} < {ENDS_AHEAD_MS, 7 * 86_400_000}


def test_shares_add_up() -> None:
    """The table of a profile divides all of an alert's time among the parts."""
    shares = table({"deadlines": 3, "faust": 1}, 40.0)

    assert shares == [("deadlines", 30.0), ("faust", 10.0)]
    assert {part for part, _ in shares} <= set(PARTS)
