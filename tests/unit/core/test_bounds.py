"""What the engine holds has bounds: below one and at it everything is kept, above it the rest is refused and counted.

`docs/LIMITS.md` has all limits, and `tests/unit/test_limits_doc.py` compares it with the code; the
border's are in `tests/unit/bridge/test_bounds.py`.
"""

from itertools import pairwise

import orjson
import pytest

from app.core.correlation import windows
from app.core.rules.compiled_policy import CompiledPolicy
from app.core.state.members import PARTS_BYTES_MAX
from app.core.state.signals import MEMBER_BYTES_MAX
from app.core.state.state import PartitionState
from app.core.state.turn import COUNTS_MAX, Turn
from app.transport.log import StoredRecord
from models.journal import TICK, Source
from models.matcher import parse_matcher
from models.silence import Silence
from models.topics import MAX_BATCH_BYTES, PARTITIONS_MAX
from tests.support.engine_bounds import (
    ENGINE_LIMITS,
    LARGE,
    MINUTE_MS,
    PAD,
    REFUSED,
    Partition,
    alert,
    large_targets,
    signal,
)
from tests.support.scenario import alert_record
from tests.support.shipped_policy import shipped

# Millions of bytes are put there, four times: the changelog's test below puts them there too.
ROWS = [
    pytest.param(name, marks=pytest.mark.slow if name.startswith("PARTS_BYTES_MAX") else ())
    for name in ENGINE_LIMITS
]


@pytest.mark.parametrize("more", [-1, 0, 1, 2], ids=["below", "at", "above", "well above"])
@pytest.mark.parametrize("name", ROWS)
def test_what_is_held_has_a_bound(name: str, more: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Up to the limit everything is kept and nothing counted.

    What comes above it is refused, one count for each.
    """
    row = ENGINE_LIMITS[name]
    if row.patch:
        monkeypatch.setattr(row.patch, row.limit)
    partition = row.put(row.limit + more)

    state, counts = partition.engine.state, partition.engine.counts
    assert row.kept(state) == row.limit + min(more, 0)
    assert counts.get(row.counter, 0) == max(more, 0)
    assert len(partition.letters) == (max(more, 0) if row.counter == REFUSED else 0)
    assert row.kept(partition.restored()) == row.kept(state)
    assert partition.restored().alert_bytes == state.alert_bytes


@pytest.mark.parametrize("name", ENGINE_LIMITS)
def test_no_record_of_the_changelog_is_larger_than_a_batch(name: str) -> None:
    """Whatever is at its bound, each record of a checkpoint fits."""
    row = ENGINE_LIMITS[name]
    partition = row.put(row.limit)

    assert (
        max(len(value or b"") for _, value in partition.engine.checkpoint())
        < MAX_BATCH_BYTES * 3 // 4
    )


def test_a_window_at_its_bounds_fits_a_record() -> None:
    """The largest count that a policy may ask for, of alerts as large as may be."""
    rule = {"name": "many", "count": 1000, "by": ["owner"], "within": "5m"}
    rule["open"] = {"severity": "P1", "owner": "ai", "title": "many"}
    partition = Partition(correlations=[rule], inhibit_rules=[], dependencies=[])
    partition.feed(*(signal("many", "ai", "0", one, PAD) for one in range(10_000, 11_000)))

    (window,) = partition.engine.state.windows.values()
    assert len(window) == 1000
    assert (
        max(len(value or b"") for _, value in partition.engine.checkpoint())
        < MAX_BATCH_BYTES * 3 // 4
    )


def test_a_sequence_looks_back_on_so_many_firings() -> None:
    """Older ones are forgotten first: a bound of what a rule sees, and no refusal."""
    partition = Partition()
    for one in range(windows.WINDOW_MAX + 1):
        partition.feed(signal("intrusion-then-data-loss", "all", "0", one))

    (window,) = partition.engine.state.windows.values()
    assert [int(fired.fingerprint, 16) for fired in window] == list(
        range(1, windows.WINDOW_MAX + 1)
    )


def test_targets_for_whose_root_there_is_no_room_are_told_on_their_own() -> None:
    """A root is noted with each of its dependants.

    Those for which that is too much are not kept quiet, and counted.
    """
    partition = large_targets(PARTS_BYTES_MAX // LARGE - 1)
    partition.feed(signal("needs-ollama", "[]", "source", 1))

    (link,) = partition.engine.state.inhibition_groups.values()
    with_root = sum(target.root is not None for target in link.targets.values())
    assert link.bytes <= PARTS_BYTES_MAX
    assert partition.engine.counts["refused.members"] == len(link.targets) - with_root > 0
    assert link.bytes == partition.restored().inhibition_groups["needs-ollama", "[]"].bytes


def test_the_bytes_of_a_link_follow_what_comes_and_goes() -> None:
    """Sources and targets that come, change, get roots and go leave the sum that a restart finds."""
    partition = Partition()
    partition.feed(*(signal("needs-ollama", "[]", "target", one, "x" * one) for one in range(5)))
    partition.feed(
        signal("needs-ollama", "[]", "source", 7), signal("needs-ollama", "[]", "target", 3)
    )
    ended = signal("needs-ollama", "[]", "target", 2)
    ended.value = (ended.value or b"").replace(b'"firing":true', b'"firing":false')
    partition.feed(ended)

    (link,) = partition.engine.state.inhibition_groups.values()
    assert len(link.targets) == 4
    assert link.bytes == sum(one.size for one in link.sources.values()) + sum(
        one.size for one in link.targets.values()
    )
    assert link.bytes == partition.restored().inhibition_groups["needs-ollama", "[]"].bytes


def test_an_alert_s_bytes_follow_its_annotations() -> None:
    """An alert that comes back with other annotations, while its incident lives and after it, is counted as it is."""
    partition = Partition()
    one = {"alertname": "A", "component": "c"}
    partition.feed(
        alert_record(0, one, "c", summary="short"), alert_record(0, one, "c", firing=False)
    )
    partition.feed(alert_record(0, one, "c", summary="longer than before"))
    first = partition.engine.state.alert_bytes
    partition.feed(alert_record(0, one, "c", firing=False))
    partition.wait(10 * MINUTE_MS)
    partition.feed(alert_record(0, one, "c", summary="after its incident"))
    second = partition.engine.state.alert_bytes
    partition.feed(alert_record(0, one, "c", firing=False))
    for _ in range(3):
        partition.wait(60 * MINUTE_MS)

    texts = [{"summary": "longer than before"}, {"summary": "after its incident"}]
    assert [first, second] == [len(orjson.dumps(one) + orjson.dumps(text)) for text in texts]
    assert partition.engine.state.alert_bytes == len(partition.engine.state.alerts) == 0


@pytest.mark.parametrize("more", [-1, 0, 1], ids=["below", "at", "above"])
@pytest.mark.parametrize("name", ["AgentDown", "HighErrorRate"])
def test_what_rules_know_of_an_alert_has_a_bound(name: str, more: int) -> None:
    """An alert whose labels are longer takes no part in rules.

    It is told on its own, and its timeline says why.
    """
    asked = "severity"  # a label that the rules ask for
    group = {"AgentDown": "ai", "HighErrorRate": "c"}[name]
    fixed = len(
        orjson.dumps([group, name, "c", "", {"alertname": name, asked: "", "component": "c"}])
    )
    partition = Partition(inhibit_rules=[], dependencies=[])
    partition.feed(alert(name, "c", **{asked: "x" * (MEMBER_BYTES_MAX - fixed + more)}))

    assert partition.engine.counts.get("refused.signals", 0) == (more > 0)
    assert partition.told.count("Refused") == (more > 0)


def test_a_signal_that_is_too_large_is_no_signal() -> None:
    """Nobody but Tocsin writes signals, and one that is larger than it writes is refused."""
    partition = Partition()
    partition.feed(signal("agents-down", "ai", "0", 1, "x" * 2 * MEMBER_BYTES_MAX))

    assert partition.engine.counts["deadletters.too_large"] == 1
    assert partition.engine.state.windows == {}


@pytest.mark.parametrize("more", [-1, 0, 1], ids=["below", "at", "above"])
def test_names_of_counts_have_a_bound(more: int) -> None:
    """What is above the bound is counted together."""
    turn = Turn(0, PartitionState(), shipped())
    for one in range(COUNTS_MAX + more):
        turn.count(f"escalations.rule-{one}")

    assert len(turn.counts) == COUNTS_MAX + more
    assert turn.counts.get("other", 0) == max(more, 0)


@pytest.mark.parametrize("more", [-1, 0, 1], ids=["below", "at", "above"])
def test_sources_have_a_bound(more: int) -> None:
    """A source is a partition, and there are no more than the settings allow."""
    partition = Partition()
    record = StoredRecord(
        -1, 0, None, TICK, (Source("raw", PARTITIONS_MAX - 1 + more, 0, 0).header(),)
    )
    partition.feed(record)

    assert len(partition.engine.state.sources) == (more <= 0)
    assert partition.engine.counts.get("deadletters.malformed", 0) == (more > 0)


def test_timers_have_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """Timers that have lost their reason are dropped when there are twice as many as are needed and some more."""
    monkeypatch.setattr("app.core.engine.SPARE_TIMERS", 50)
    partition, sizes = Partition(), list[int]()
    for number in range(1000):
        partition.now_ms += 1000
        labels = {"alertname": "A", "component": "c"}
        partition.feed(
            alert_record(
                0, labels, "c", firing=number % 2 == 0, ttl_ms=MINUTE_MS * (1 + number % 7)
            )
        )
        sizes.append(len(partition.engine.state.timers))

    assert max(sizes) <= 50 + 2 * 5 + 3  # 5 that are needed, 3 that one record may add
    assert sum(after < before for before, after in pairwise(sizes)) > 5


def test_verdicts_have_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is remembered of label values is bounded in number and in length, and changes no verdict."""
    monkeypatch.setattr("app.core.rules.compiled_policy.DECISIONS_MAX", 10)
    monkeypatch.setattr("app.core.rules.compiled_policy.SEEN_CHARACTERS_MAX", 100)
    monkeypatch.setattr("app.core.rules.label_classes.VALUES_MAX", 10)
    monkeypatch.setattr("app.core.rules.label_classes.VALUE_CHARACTERS_MAX", 100)
    book = CompiledPolicy(shipped().document)
    for one in range(35):
        word = f"AgentDown{one}" * (1 + one % 2 * 10)
        labels = {"alertname": word, "severity": word}
        assert book.evaluate(labels) == book._evaluate(labels)
        assert len(book._decisions) <= 10
        texts = [[text for text in seen if isinstance(text, str)] for seen in book._decisions]
        assert all(sum(map(len, known)) <= 100 for known in texts)
        for classes in book._label_classes:
            assert len(classes._classes) <= 10
            assert all(len(value) <= 100 for value in classes._classes)


def test_silences_that_have_ended_cost_new_alerts_nothing() -> None:
    """Only silences that have not ended are asked about a new alert, and one that begins later is among them in time."""
    state = PartitionState()
    matchers = (parse_matcher("alertname=A"),)
    for number in range(10):
        state.put_silence(
            Silence(f"s{number}", matchers, number * 100, number * 100 + 250, "ann", "")
        )

    assert list(state.silences_ahead(0)) == [f"s{number}" for number in range(10)]
    assert list(state.silences_ahead(251)) == [f"s{number}" for number in range(1, 10)]
    state.put_silence(Silence("s9", matchers, 900, 300, "ann", ""))
    assert "s9" not in state.silences_ahead(300)
    state.drop_silence(state.silences["s8"])
    assert list(state.silences_ahead(750)) == ["s6", "s7"]
