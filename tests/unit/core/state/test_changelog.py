"""The changelog knows how many keys it has.

What compaction has thinned, or somebody lost, is never taken for a state.
"""

import asyncio
from pathlib import Path

import orjson
import pytest

from app.core.engine import Engine
from app.core.state.changelog import (
    _LOADERS,
    KINDS,
    META,
    DamagedState,
    is_whole,
    load_state,
    number_of_keys,
)
from app.core.state.near_memory import BEGUN_KEY, GROUP_KEY
from app.core.state.state import FORMER
from app.files.policy_file import load_policy as policy_of
from app.history.checkpoints import apply_changes, read_checkpoints, whole_checkpoint
from app.transport.log import StoredRecord
from tests.support.compaction import cleaned
from tests.support.fake_log import FakeLog
from tests.support.kept_samples import kept_state
from tests.support.scenario import in_one_batch, keep, play, read

POLICY_NOW = policy_of()
TESTS = Path(__file__).parents[3]
TOPIC = "tocsin.state"


@pytest.mark.parametrize("kind", list(KINDS))
def test_every_kind_of_key_is_counted(kind: bytes) -> None:
    """With all of them there are as many as the changelog has; without one kind so many less."""
    items = kept_state()
    state = load_state(items)
    all_of_them = number_of_keys(state)
    getattr(state, KINDS[kind]).clear()
    of_alerts = kind in (b"a/", b"c/")
    gone = sum(key[:2] == kind or (of_alerts and key[:2] in (b"a/", b"c/")) for key in items)

    assert (all_of_them, number_of_keys(state)) == (len(items), len(items) - gone)
    assert gone > 0


def test_the_shapes_that_rules_had_are_one_key_or_none() -> None:
    """They are not kept one by one."""
    state = load_state(kept_state())
    before = number_of_keys(state)
    state.former_rule_ids.clear()

    assert number_of_keys(state) == before - 1


def test_there_is_no_other_kind() -> None:
    """What is read is counted."""
    assert {*KINDS, FORMER, BEGUN_KEY, GROUP_KEY} == {b"a/", b"c/", *_LOADERS}


def test_a_checkpoint_tells_how_many_keys_there_are() -> None:
    """Its meta record has the number, beside the magic and the format."""
    items = kept_state()
    keep(items, Engine.restore(0, POLICY_NOW, items))
    meta = orjson.loads(items[META])

    assert is_whole(items)
    assert (meta["keys"], meta["magic"], meta["format"]) == (len(items), "tocsin state", 1)


@pytest.mark.parametrize("keys", [None, "71", 3])
def test_a_meta_record_without_the_number_is_of_no_whole_state(keys: object) -> None:
    """No other number is taken."""
    items = kept_state()
    meta = orjson.loads(items[META]) | {"keys": keys}

    assert is_whole(items)
    assert not is_whole(items | {META: orjson.dumps(meta)})


@pytest.mark.parametrize("kind", list(KINDS))
def test_a_state_that_lacks_a_key_is_refused(kind: bytes) -> None:
    """Whatever was lost: it does not go on with half a state."""
    items = kept_state()
    there = len(items)
    items.pop(next(key for key in items if key[:2] == kind))

    with pytest.raises(DamagedState) as refused:
        Engine.restore(3, POLICY_NOW, items)
    assert str(refused.value) == (
        f"the state of partition 3 cannot be read: it has {there - 1} keys, and had {there} as of its last checkpoint; "
        "see docs/UPGRADES.md"
    )


def test_a_state_with_keys_of_somebody_else_is_refused() -> None:
    """Also when they stand in the place of what was lost."""
    items = kept_state()
    there = len(items)
    with pytest.raises(
        DamagedState, match=f"it has {there + 1} keys, and had {there} as of its last checkpoint"
    ):
        Engine.restore(0, POLICY_NOW, items | {b"q/1": b"1"})
    items.pop(next(key for key in items if key[:2] == b"w/"))
    with pytest.raises(
        DamagedState, match=f"1 of its {there} keys have no kind that any version wrote"
    ):
        Engine.restore(0, POLICY_NOW, items | {b"q/1": b"1"})


class Changelog:
    """A changelog of a story, with a checkpoint after every few records, and the state as of each."""

    def __init__(self) -> None:
        records, _ = read(TESTS / "scenarios" / "dependency.txt", POLICY_NOW)
        journal, _ = play(POLICY_NOW, records, in_one_batch)
        engine, items = Engine(0, POLICY_NOW), dict[bytes, bytes]()
        self.records: list[StoredRecord] = []
        self.states: dict[int, dict[bytes, bytes]] = {}  # by offset
        for end in range(1, len(journal), 2):
            engine.apply(journal[:end])
            changes = engine.checkpoint()
            apply_changes(items, changes)
            self.states[engine.applied_offset] = dict(items)
            start = len(self.records)
            self.records += [
                StoredRecord(start + number, 0, *change) for number, change in enumerate(changes)
            ]

    def as_of(self, kept: list[StoredRecord]) -> list[tuple[int, dict[bytes, bytes]]]:
        """The items as of each checkpoint of what is kept, with its offset."""
        found = []

        async def read_all() -> None:
            items: dict[bytes, bytes] = {}
            async for records in read_checkpoints(_log(kept), TOPIC, 0):
                apply_changes(items, [(record.key or b"", record.value) for record in records])
                found.append((orjson.loads(items[META])["offset"], dict(items)))

        asyncio.run(read_all())
        return found


def _log(kept: list[StoredRecord]) -> FakeLog:
    log = FakeLog()
    log.topics[TOPIC, 0] = kept
    return log


def _found(kept: list[StoredRecord], first: int, before: int | None) -> dict[bytes, bytes] | None:
    return asyncio.run(whole_checkpoint(_log(kept), TOPIC, 0, first, before))


def test_the_checkpoint_that_is_taken_is_the_newest_that_compaction_has_not_thinned() -> None:
    """Wherever a pass was stopped: it is byte for byte what was known then, and no newer one is."""
    changelog = Changelog()
    size, last = len(changelog.records), max(changelog.states)
    thinned = 0
    for known in range(0, size + 1, 3):
        for done in range(0, known + 1, 5):
            kept = cleaned(changelog.records, known, done)
            right = [at for at, items in changelog.as_of(kept) if items == changelog.states[at]]
            thinned += len(changelog.as_of(kept)) - len(right)
            for before in (1, last // 2, last, last + 1):
                at = max((one for one in right if one < before), default=None)
                assert _found(kept, 0, before) == changelog.states.get(-1 if at is None else at)
            assert _found(kept, 0, None) == changelog.states[right[0]]
            assert _found(kept, right[0] + 2, last) in (
                *(changelog.states[one] for one in right[1:]),
                None,
            )

    assert thinned > 1000


class Overtaken(FakeLog):
    """A changelog that is read in small pieces, while a pass of compaction that knows all of it comes along."""

    def __init__(self, records: list[StoredRecord], begins: int, pace: int) -> None:
        """The pass begins with the read of that number, and goes over so many records from each to the next."""
        super().__init__()
        self._records, self._begins, self._pace = records, begins, pace

    async def read(
        self, topic: str, partition: int, offset: int, max_records: int = 5000
    ) -> list[StoredRecord]:
        """The next few records, as they are now."""
        done = max(len(self.reads) - self._begins, 0) * self._pace
        kept = cleaned(self._records, len(self._records), min(done, len(self._records)))
        self.topics[topic, partition] = kept
        return await super().read(topic, partition, offset, min(max_records, 4))


def test_a_pass_that_overtakes_a_reader_is_noticed() -> None:
    """Wherever it is when it comes past.

    What is taken is byte for byte what was known then, or nothing.
    """
    changelog = Changelog()
    right, last = [*changelog.states.values(), None], max(changelog.states)
    reads = len(changelog.records) // 4
    for begins in range(reads):
        for pace in (7, 50, len(changelog.records)):
            for before in (last // 2, last):
                log = Overtaken(changelog.records, begins, pace)
                assert asyncio.run(whole_checkpoint(log, TOPIC, 0, 0, before)) in right


def test_a_checkpoint_from_which_the_journal_does_not_go_on_is_not_taken() -> None:
    """Its last record applied is the one before the journal's first, or a later one."""
    changelog = Changelog()
    second = sorted(changelog.states)[1]

    assert _found(changelog.records, second + 1, second + 1) == changelog.states[second]
    assert _found(changelog.records, second + 2, second + 1) is None
