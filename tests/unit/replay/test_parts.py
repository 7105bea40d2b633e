"""What a replay starts from, what it passes over, what it keeps time by, and what verify takes for no difference."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest

from app.cli.span_options import bound
from app.core.alerts import dedup
from app.core.engine import Engine, NewerFormat
from app.core.state.changelog import META, POLICY
from app.core.state.turn import Turn
from app.history import feeder
from app.history.feeder import Feeding, Pace
from app.history.not_retained import NotRetained
from app.history.source import Source
from app.history.spans import OffsetSpan, choose_spans
from app.history.state_at import start_of
from app.replay.messages import ReplayedPartition, compare_messages
from app.replay.pool import JobResult, ReplayJob, replay_job
from app.replay.verification import VerificationResult
from app.settings import Settings
from app.transport.log import StoredRecord
from models.effect import Effect, Stream
from models.journal import TICK, encode_policy
from tests.support.compaction import cleaned
from tests.support.fake_log import FakeLog
from tests.support.scenario import START_MS, alert_record, in_one_batch, play, read
from tests.support.shipped_policy import shipped

MINUTE = 60_000
POLICY_NOW = shipped()
CONFIG = Settings(partitions=1)
STORY = Path(__file__).parents[2] / "scenarios" / "dependency.txt"


class World:
    """A log of one partition in memory, with the journal of a scenario and what came of it.

    Checkpoints at offsets.
    """

    def __init__(self, checkpoints: Sequence[int] = ()) -> None:
        records, _ = read(STORY, POLICY_NOW)
        policy = StoredRecord(
            -1,
            records[0].timestamp,
            None,
            encode_policy(POLICY_NOW.fingerprint, POLICY_NOW.document),
        )
        self.journal, self.effects = play(POLICY_NOW, [policy, *records], in_one_batch)
        self.log = FakeLog()
        self.source = Source(self.log, CONFIG, "the log")
        self.log.topics["tocsin.journal", 0] = self.journal
        for effect in self.effects:
            if effect.stream is not Stream.JOURNAL:
                self.put(effect)
        engine = Engine(0, POLICY_NOW)
        for end in [*checkpoints, self.journal[-1].offset]:
            engine.apply([record for record in self.journal if record.offset <= end])
            self.checkpoint(engine.checkpoint())

    def put(self, effect: Effect, value: bytes | None = None) -> None:
        """Keep an effect, or something else in its place."""
        topic = self.log.topics.setdefault((self.source.topic(effect.stream), 0), [])
        offset = topic[-1].offset + 1 if topic else 0
        at_ms = self.journal[effect.position.offset].timestamp
        topic.append(
            StoredRecord(
                offset, at_ms, effect.key, value or effect.kept_value, (effect.position.header(),)
            )
        )

    def checkpoint(self, changes: Sequence[tuple[bytes, bytes | None]]) -> None:
        """Keep a checkpoint."""
        topic = self.log.topics.setdefault(("tocsin.state", 0), [])
        start = topic[-1].offset + 1 if topic else 0
        topic += [
            StoredRecord(start + number, 0, key, value)
            for number, (key, value) in enumerate(changes)
        ]

    def replay(
        self, first: int | None = None, *, verify: bool = True, part: Path | None = None
    ) -> tuple[JobResult, str, VerificationResult]:
        """What comes of replaying it, from where it began, and what came of comparing messages too."""

        async def run() -> tuple[JobResult, str, VerificationResult]:
            span = OffsetSpan(0, first, self.journal[-1].offset + 1, to_end=True)
            start, applied = await start_of(self.source, span), await self.source.applied(0)
            begin = start.offset + 1 if first is None else first
            job = ReplayJob("", CONFIG, 0, begin, span.end, start, 3, verify, applied, part, "")
            done = await replay_job(self.source, job, lambda _: None)
            assert done.checked is not None
            assert done.messages is not None
            replayed = ReplayedPartition(begin, span.end, start.offset + 1, applied)
            done.checked.add(await compare_messages(self.source, [done.messages], {0: replayed}))
            return done, start.how, done.checked

        return asyncio.run(run())


def test_an_undisturbed_log_is_identical() -> None:
    """Effects and messages, all of them."""
    world = World()
    done, how, checked = world.replay()

    assert any(effect.stream is Stream.JOURNAL for effect in world.effects)
    assert checked == VerificationResult(identical=len(world.effects))
    assert (sum(done.effects.values()), how) == (len(world.effects), "start of the journal")


@pytest.mark.parametrize(("first", "expected"), [(0, -1), (4, -1), (5, 4), (8, 4), (9, 8), (11, 8)])
def test_the_newest_checkpoint_before_it_is_taken(first: int, expected: int) -> None:
    """From there on the state is what it was; from the beginning where there is none."""
    world = World([4, 8])
    _, how, checked = world.replay(first)

    assert how == ("start of the journal" if expected < 0 else f"checkpoint at offset {expected}")
    assert checked == VerificationResult(
        identical=sum(effect.position.offset >= first for effect in world.effects)
    )


def test_without_the_journals_head_a_checkpoint_is_needed() -> None:
    """As early as possible is behind the oldest one that fits; what is before it is refused."""
    world = World([4, 8])
    del world.journal[:7]
    _, how, checked = world.replay()
    with pytest.raises(NotRetained) as refused:
        world.replay(7)
    world.log.topics["tocsin.state", 0] = []
    with pytest.raises(NotRetained) as lost:
        world.replay()

    assert (how, checked.differences) == ("checkpoint at offset 8", 0)
    assert str(refused.value) == (
        "partition 0: what was known before offset 7 is not kept: the log has the journal from offset 7 on, and the oldest "
        "checkpoint that fits is of offset 8: begin later"
    )
    assert str(lost.value) == (
        "partition 0: what was known is not kept: the log has the journal from offset 7 on, and no checkpoint fits it"
    )


def test_a_checkpoint_that_compaction_has_thinned_is_not_taken() -> None:
    """It may have dropped older values of what the second one changed, when it stopped in the middle of that."""
    world = World([4, 8])
    state = world.log.topics["tocsin.state", 0]
    end = _end(state, 1) - 1
    world.log.topics["tocsin.state", 0] = cleaned(state, end, end)
    whole, how, checked = world.replay(9)
    _, begun, again = world.replay(7)

    assert (how, checked.differences) == ("checkpoint at offset 8", 0)
    assert (begun, again.differences) == ("start of the journal", 0)
    assert whole.applied == len(world.journal) - 9


def test_a_first_checkpoint_that_is_whole_is_taken() -> None:
    """Compaction went as far as there, and no further.

    It tells how many keys there were, and there are so many.
    """
    world = World([2, 4, 8])
    state = world.log.topics["tocsin.state", 0]
    world.log.topics["tocsin.state", 0] = cleaned(state, _end(state, 1), _end(state, 1))
    del world.journal[:3]
    _, how, checked = world.replay()

    assert (how, checked.differences) == ("checkpoint at offset 4", 0)


def test_three_checkpoints_in_the_midst_of_a_pass() -> None:
    """Which of them is whole, their numbers do not tell.

    The newest that is, is taken, and none where none is.
    """
    world = World([2, 4, 6, 8])
    state = world.log.topics["tocsin.state", 0]
    end = _end(state, 3)
    world.log.topics["tocsin.state", 0] = cleaned(state, end, _end(state, 0))
    begun = [world.replay(first) for first in (3, 5, 7, 9)]
    del world.journal[:6]
    with pytest.raises(NotRetained) as refused:
        world.replay(8)

    assert [how for _, how, _ in begun] == [*["start of the journal"] * 3, "checkpoint at offset 8"]
    assert [checked.differences for _, _, checked in begun] == [0, 0, 0, 0]
    assert str(refused.value).endswith(
        "the oldest checkpoint that fits is of offset 8: begin later"
    )


def _end(state: Sequence[StoredRecord], number: int) -> int:
    """Where the checkpoint of a number ends."""
    return [record.offset + 1 for record in state if record.key == META][number]


def test_the_policy_of_a_journal_that_does_not_begin_with_one_is_the_changelogs() -> None:
    """A bridge that was faster than the first worker."""
    world = World()
    other = World()
    other.journal[0].value = TICK
    assert any(record.key == POLICY for record in other.log.topics["tocsin.state", 0])

    assert other.replay()[2].differences == world.replay()[2].differences == 0


def test_what_a_newer_tocsin_wrote_is_refused() -> None:
    """Its state, and a policy with keys that this one does not know."""
    newer, stranger = World([4]), World()
    meta = next(record for record in newer.log.topics["tocsin.state", 0] if record.key == META)
    meta.value = (meta.value or b"").replace(b'"format":1', b'"format":2')
    stranger.journal[0].value = encode_policy("0123456789ab", POLICY_NOW.document | {"version": 2})
    with pytest.raises(
        NewerFormat,
        match="the state of partition 0 has format 2, this Tocsin reads up to 1: run the newer",
    ):
        newer.replay(5)
    with pytest.raises(NotRetained) as refused:
        stranger.replay()

    assert str(refused.value) == (
        "the journal's first record, of partition 0, has a policy that this Tocsin cannot read (version: Input should be 1): "
        "was it written by a newer one?"
    )


def test_what_is_no_difference_is_counted() -> None:
    """Effects that the worker has not come to, that are too old, and snapshots that compaction has dropped."""
    world = World()
    for stream in (Stream.TIMELINE, Stream.NOTIFICATIONS):
        del world.log.topics[f"tocsin.{stream}", 0][0]
    kept = world.log.topics["tocsin.incidents", 0]
    newest = {record.key: record for record in kept}
    compacted = [record for record in kept if newest[record.key] is not record]
    left = [record for record in kept if newest[record.key] is record]
    world.log.topics["tocsin.incidents", 0] = [*left, StoredRecord(999, 0, b"x", b"y")]
    _, _, checked = world.replay()

    assert checked == VerificationResult(
        identical=len(world.effects) - len(compacted) - 2,
        compacted=len(compacted),
        expired=2,
        foreign=1,
    )


def test_what_the_worker_has_not_come_to_is_pending() -> None:
    """Up to the last checkpoint everything has to be there; behind it nothing need be."""
    world = World()
    last = world.effects[-1].position.offset
    world.log.topics["tocsin.state", 0] = []
    engine = Engine(0, POLICY_NOW)
    engine.apply([record for record in world.journal if record.offset < last])
    world.checkpoint(engine.checkpoint())
    gone = [
        effect
        for effect in world.effects
        if effect.position.offset == last and effect.stream is not Stream.JOURNAL
    ]
    for effect in gone:
        del world.log.topics[world.source.topic(effect.stream), 0][-1]
    _, _, checked = world.replay()
    world.log.topics["tocsin.timeline", 0].pop(1)
    _, _, worse = world.replay()

    assert checked == VerificationResult(
        identical=len(world.effects) - len(gone), pending=len(gone)
    )
    assert (worse.differences, worse.pending) == (1, len(gone))


@pytest.mark.parametrize("kind", ["changed", "missing", "extra", "twice"])
def test_messages_are_compared_with_the_journal(kind: str) -> None:
    """What an actor said to another one stands in the journal, once, and as it was said."""
    world = World()
    place = next(record.offset for record in world.journal if record.headers)
    record = world.journal[place]
    message = next(effect for effect in world.effects if effect.stream is Stream.JOURNAL)
    match kind:
        case "changed":
            record.value = (record.value or b"")[:-1] + b',"x":1}'
        case "missing":
            record.headers, record.value = (), TICK
        case "extra":
            record = StoredRecord(0, 0, b"k", TICK, (("source", b"journal:0:0:77"),))
        case _:
            record = StoredRecord(0, 0, b"k", b"{}", record.headers)
    if kind in ("extra", "twice"):
        record.offset, record.timestamp = len(world.journal), world.journal[-1].timestamp
        world.journal.append(record)
    _, _, checked = world.replay()

    assert checked.first is not None
    assert checked.differences >= 1
    journal = [one for one in _differences(world) if one[1] is Stream.JOURNAL]
    assert journal[0][0] == kind
    if kind in ("changed", "missing"):
        assert journal[0][2] == message.position


def _differences(world: World) -> list[tuple[str, Stream, Any]]:
    """All differences, by their kinds."""
    found: list[tuple[str, Stream, Any]] = []
    differs = VerificationResult.differs

    def note(checked: VerificationResult, one: Any) -> None:
        found.append((one.kind, one.stream, one.position))
        differs(checked, one)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(VerificationResult, "differs", note)
        world.replay()
    return found


def test_what_makes_the_engine_raise_is_passed_over_as_a_worker_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A dead letter stands in its place, once for each fault, and the rest is as it was."""
    records = [
        alert_record(
            START_MS + number * MINUTE, {"alertname": name, "severity": "critical"}, component
        )
        for number, (name, component) in enumerate(
            [("A", "a"), ("Poison", "b"), ("C", "c"), ("Poison", "d")] * 3
        )
    ]
    for offset, record in enumerate(records):
        record.offset = offset
    on_alert = dedup.on_alert

    def raising(turn: Turn, document: dict[str, Any], key: str) -> None:
        on_alert(turn, document, key)
        assert document["labels"]["alertname"] != "Poison"

    monkeypatch.setattr(dedup, "on_alert", raising)
    monkeypatch.setattr(feeder, "READ_RECORDS", 5)
    log = FakeLog()
    log.topics["tocsin.journal", 0] = records

    async def run(batch: int) -> tuple[list[Effect], int, dict[bytes, bytes]]:
        source = Source(log, CONFIG, "the log")
        start = await start_of(source, OffsetSpan(0, None, len(records), to_end=True))
        feed, effects = Feeding(source, 0, start), list[Effect]()
        async for _, found in feed.run(len(records), batch):
            effects += found
        return effects, feed.poisons, feed.items()

    one, seven, all_ = (asyncio.run(run(batch)) for batch in (1, 7, 5000))

    assert one == seven == all_
    letters = [
        orjson.loads(effect.value) for effect in one[0] if effect.stream is Stream.DEADLETTER
    ]
    assert [letter["offset"] for letter in letters] == [1, 3, 5, 7, 9, 11]
    assert one[1] == 6


def test_a_pace_lets_out_what_is_due(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten times as fast.

    A minute takes six seconds, and sleeps are short, so that it can be ended.
    """
    clock, slept = [100.0], list[float]()

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        clock[0] += seconds

    monkeypatch.setattr("app.history.feeder.time.monotonic", lambda: clock[0])
    monkeypatch.setattr("app.history.feeder.asyncio.sleep", sleep)
    pace = Pace(10, START_MS)
    records = [StoredRecord(number, START_MS + number * MINUTE, None, TICK) for number in range(3)]

    async def run() -> list[int]:
        first = await pace.due(records)
        second = await pace.due(records[1:])
        clock[0] += 60
        return [first, second, await pace.due(records[2:])]

    assert asyncio.run(run()) == [1, 1, 1]
    assert sum(slept) == pytest.approx(6)
    assert max(slept) <= 0.5


def test_times_find_offsets() -> None:
    """The first record that is not older.

    A range may be empty in some partitions, but not in all.
    """
    world = World()
    times = [record.timestamp for record in world.journal]

    async def spans(first: str, end: str) -> list[OffsetSpan]:
        return await choose_spans(world.source, None, bound(first), bound(end))

    found = asyncio.run(spans("2025-06-15T15:06:40Z", "2025-06-15T15:11:40.001Z"))
    with pytest.raises(
        NotRetained,
        match="there is no record in that range; the log has partition 0: offsets 0 to ",
    ):
        asyncio.run(spans("2025-06-15T14:06:40Z", "2025-06-15T14:11:40Z"))

    assert found == [
        OffsetSpan(0, 0, sum(one <= START_MS + 5 * MINUTE for one in times), to_end=False)
    ]
