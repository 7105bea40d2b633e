"""However much comes or changes at once, brokers with stock settings take what is sent to them."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.ingest import copy_records
from app.core.engine import Engine
from app.core.state.annotations import ANNOTATION_CHARACTERS_MAX
from app.core.state.deadletter import VALUE_BYTES_MAX, letter_of
from app.history.checkpoints import load_state
from app.intake.normalise import from_list
from app.intake.raw_values import RawValues
from app.intake.records import Intake
from app.settings import Settings
from app.transport.log import NewRecord, StoredRecord, in_batches, size_of
from app.worker.worker import Worker
from models.effect import EFFECT_BYTES_MAX, LETTER_BYTES_MAX, Stream, encode_effect
from models.journal import TICK, encode_alert
from models.reason import BadInput, Reason
from models.text.truncate import truncate
from models.topics import Topics
from models.wire import ANNOTATIONS_BYTES_MAX
from tests.support.example_counts import examples
from tests.support.fake_log import FakeLog
from tests.support.large_alerts import WORST, largest
from tests.support.scenario import START_MS, keep
from tests.support.shipped_policy import shipped

HOLD_MS = 60_000
TOPICS = Topics()


@dataclass
class Message:
    """A batch, as Faust hands it over."""

    value: Any
    partition: int = 0
    generation_id: int = 1
    acknowledged: list[int] = field(default_factory=list)

    def ack(self, _: Any) -> None:
        """Faust would commit it."""
        self.acknowledged.append(self.partition)


@dataclass
class Event:
    """What an agent gets."""

    message: Message


def records_of(alerts: Sequence[dict[str, Any]]) -> list[StoredRecord]:
    """The journal records of alerts, as the bridge writes them, but that they fire for HOLD_MS."""
    taken, refused = from_list(list(alerts), START_MS)
    assert refused == []
    lasting = [replace(one, ttl_ms=HOLD_MS) for one in taken]
    return [
        StoredRecord(-1, START_MS, one.labels["component"].encode(), encode_alert(one))
        for one in lasting
    ]


def renumbered(records: Sequence[StoredRecord]) -> list[StoredRecord]:
    """The records with the offsets of a journal that has them only."""
    for offset, record in enumerate(records):
        record.offset = offset
    return list(records)


async def _worked(batches: Sequence[list[StoredRecord]]) -> FakeLog:
    """What a worker leaves in the topics that is handed these batches, one after the other."""
    log = FakeLog()
    log.put(
        TOPICS.journal, 0, [NewRecord(None, TICK)]
    )  # so that the worker does not write its policy first
    worker = Worker(Settings(partitions=1, checkpoint_ms=60_000), shipped(), log, TOPICS)
    assert await worker.take_over(0, 1) == 0
    for batch in batches:
        await worker.accept(Event(Message(list(batch))))
    await worker.settle()
    worker.release()
    return log


@pytest.mark.slow
def test_a_flood_at_the_border_s_bounds_and_its_end_go_through() -> None:
    """Alerts as large as they may be, thousands of new ones, and all of it expiring in one tick.

    Every byte arrives.
    """
    alerts = [largest(number) for number in range(100)]
    alerts += [
        {"labels": {"alertname": "Down", "component": f"s{number}"}} for number in range(1500)
    ]
    flood, end = records_of(alerts), [StoredRecord(-1, START_MS + HOLD_MS, None, TICK)]
    journal = renumbered([*flood, *end])
    log = asyncio.run(_worked([journal[:-1], journal[-1:]]))

    engine, items = Engine(0, shipped()), dict[bytes, bytes]()
    effects = engine.apply(journal)
    keep(items, engine)
    assert asyncio.run(load_state(log, TOPICS.state, 0)) == items
    for stream in Stream:
        if stream is not Stream.JOURNAL:
            sent = [record.value for record in log.topics.get((getattr(TOPICS, stream), 0), [])]
            assert sent == [effect.kept_value for effect in effects if effect.stream is stream], (
                stream
            )
    # The hundred large ones are P0: nobody took them, so they go on for `lost_after`.
    assert engine.counts["expired"] == 1500
    assert (
        max(sum(size_of(one) for one in records) for _, records in log.batches) > 40_000_000
    )  # a checkpoint


def test_an_effect_that_would_be_too_large_says_what_is_missing() -> None:
    """The longest texts are cut, and the rest of the effect stays as it is."""
    engine = Engine(0, shipped())
    effects = engine.apply(renumbered(records_of([largest(0)])))
    opened = next(orjson.loads(one.value) for one in effects if one.stream is Stream.TIMELINE)

    assert max(len(effect.value) for effect in effects) <= EFFECT_BYTES_MAX
    summary = truncate(WORST * (ANNOTATIONS_BYTES_MAX - 7), ANNOTATION_CHARACTERS_MAX)
    assert opened["text"] == f"Large on c0: {summary}"
    assert (opened["kind"], opened["component"], opened["severity"]) == ("Opened", "c0", "P0")


@pytest.mark.parametrize("more", [-1, 0, 1])
def test_effects_are_cut_above_their_bound_only(more: int) -> None:
    """At the bound and below it an effect is as it was."""
    document = {
        "id": "0-0-0",
        "text": "x" * (EFFECT_BYTES_MAX - len(orjson.dumps({"id": "0-0-0", "text": ""})) + more),
    }

    encoded = encode_effect(Stream.TIMELINE, document)

    assert (orjson.loads(encoded) == document) is (more <= 0)


@pytest.mark.parametrize("more", [-1, 0, 1])
@pytest.mark.parametrize("sign", [b"\x01", b"\xff", "ä".encode()])
def test_dead_letters_have_a_bound(more: int, sign: bytes) -> None:
    """Of what is refused a dead letter has as much as fits a record, and says how much there was."""
    value = (sign * (VALUE_BYTES_MAX + 1))[: VALUE_BYTES_MAX + more]
    body = letter_of(BadInput(Reason.MALFORMED, "no"), "raw", 0, 7, value)

    assert len(orjson.dumps(body)) <= LETTER_BYTES_MAX
    assert body.get("bytes", len(value)) == len(value)
    assert ("bytes" in body) is (more > 0)


def test_a_raw_record_full_of_refusals_is_not_written_once_for_each() -> None:
    """Each dead letter has the alert that is refused, and not its neighbours."""
    value = orjson.dumps([{"labels": {"a": number}} for number in range(2000)])
    log = FakeLog()
    worker_settings = Settings(partitions=1)

    async def ingest() -> None:
        worker = Worker(worker_settings, shipped(), log, TOPICS)
        await copy_records(
            0, [StoredRecord(0, START_MS, None, value)], worker, Intake(), RawValues()
        )

    asyncio.run(ingest())

    letters = [orjson.loads(one)["letter"] for one in log.values()]
    assert [one["value"] for one in letters] == [
        f'{{"labels":{{"a":{number}}}}}' for number in range(2000)
    ]
    assert letters[7]["message"] == "[7].labels.a: is 7, must be a text"


@settings(max_examples=examples(40))
@given(st.lists(st.integers(0, 300)), st.integers(100, 500))
def test_batches_are_all_records_in_order(sizes: list[int], bytes_max: int) -> None:
    """No record is left out, and a batch that is too large has one record only."""
    records = [NewRecord(None, b"x" * size) for size in sizes]
    batches = in_batches(records, bytes_max)

    assert [one for batch in batches for one in batch] == records
    assert all(len(batch) == 1 or sum(map(size_of, batch)) <= bytes_max for batch in batches)
    assert all(batches)
