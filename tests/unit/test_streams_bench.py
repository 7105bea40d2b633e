"""What the Kafka Streams job of the bench has to count."""

from bench.streams import counts_of
from bench.workload import Mix, Raw, workload


def test_repeats_and_ends_open_nothing() -> None:
    """An incident a component, an escalation for each three urgent alerts of one."""
    urgent = b'{"labels": {"severity": "critical"}}'
    raws = [Raw("new", b"db", urgent)] * 7 + [Raw("repeat", b"db", b""), Raw("ended", b"db", b"")]

    counts = counts_of(raws)

    assert counts == {"new": 7, "repeats": 1, "ended": 1, "opened": 1, "escalated": 2}


def test_a_workload_has_each_kind() -> None:
    """The counts of a workload add up to its records."""
    counts = counts_of(workload(Mix(5_000, components=10), 1_700_000_000_000))

    assert counts["new"] + counts["repeats"] + counts["ended"] == 5_000
    assert counts["escalated"] > 0
