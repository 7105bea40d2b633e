"""What an older Tocsin wrote is read on; what a newer one wrote is refused, and says so."""

import asyncio
import re
from collections import Counter
from typing import Any, NoReturn

import orjson
import pytest

from app.core.engine import FORMAT, Engine, NewerFormat
from app.core.state.changelog import KINDS, META, POLICY, DamagedState
from app.core.state.changelog_fields import FIELDS
from app.core.state.live_alert import LiveAlert
from app.core.state.near_memory import BEGUN_KEY, GROUP_KEY
from app.core.state.receivers import Receiver
from app.core.state.state import FORMER, Incident
from app.core.state.tasks import Task
from app.settings import Settings
from app.transport.log import Headers, NewRecord, StoredRecord
from app.worker.worker import Worker
from models import journal
from models.effect import Stream
from models.journal import TICK, encode_policy
from models.silence import Silence
from models.topics import Topics
from tests.support.fake_log import FakeLog
from tests.support.kept_samples import (
    NOW_MS,
    journal_sample,
    kept_journal,
    kept_state,
    state_sample,
)
from tests.support.scenario import keep
from tests.support.shipped_policy import shipped

# The fields for which no incident of the sample has a value.
SELDOM = {
    *("Incident.act_keys", "Incident.closed_ms", "Incident.deferred_escalations"),
    *("Incident.deferred_notification", "Incident.joined", "Incident.lost", "Incident.notify_anew"),
    *("Incident.owner_ms", "Incident.reopened_unexplained", "Incident.unacknowledged"),
    *("Incident.unacknowledged_since_ms", "Incident.undecided_escalations"),
    *("LiveAlert.follows", "LiveAlert.generator_url", "LiveAlert.own_ended", "LiveAlert.replaced"),
    *("LiveAlert.unheard_ms", "LiveAlert.until_resolved"),
    *("Receiver.ended", "Receiver.ended_omitted", "Receiver.tasks"),
}

NEAR = (BEGUN_KEY, GROUP_KEY)


def test_a_state_of_format_1_goes_on() -> None:
    """Everything in it is there, and nothing is notified a second time."""
    engine = Engine.restore(0, shipped(), kept_state())
    offset, now_ms = engine.applied_offset + 1, engine.state.now_ms
    before = {one.id: one.severity for one in engine.state.incidents.values()}

    effects = engine.apply([StoredRecord(offset, now_ms, None, TICK)])

    assert effects == []
    assert Counter(map(str, before.values())) == {
        "P0": 3,
        "P1": 4,
        "P2": 17,
        "P3": 1,
    }
    again = kept_state()
    keep(again, engine)
    assert orjson.loads(again[META])["format"] == FORMAT == 1
    assert Engine.restore(0, shipped(), again).state.incidents.keys() == before.keys()


def test_the_sample_has_something_of_every_kind() -> None:
    """Each kind of key, each field of what has fields, and a value other than the default in most."""
    items = kept_state()
    unset = {
        f"{kind.__name__}.{name}"
        for kind, documents in _documents_by_class(items).items()
        for name in FIELDS[kind]
        if not any(document[name] for document in documents)
    }

    assert {key[:2] for key in items} == {*KINDS, FORMER, META, POLICY, *NEAR}
    assert unset <= SELDOM


def _documents_by_class(items: dict[bytes, bytes]) -> dict[type, list[dict[str, Any]]]:
    """What the sample has of each class that is a record of its own."""
    of_key = {b"a/": LiveAlert, b"i/": Incident, b"r/": Receiver, b"t/": Task, b"z/": Silence}
    found: dict[type, list[dict[str, Any]]] = {kind: [] for kind in of_key.values()}
    for key, value in items.items():
        if key[:2] in of_key:
            found[of_key[key[:2]]].append(orjson.loads(value))
    return found


def test_the_state_is_written_as_it_was() -> None:
    """What is read of each kind, and written again, has the very bytes that it had."""
    items = kept_state()
    engine = Engine.restore(0, shipped(), items)
    state = engine.state
    for alert in state.alerts.values():
        state.touch(alert)
    state.dirty |= dict.fromkeys(key for key in items if key[:2] in (*KINDS, FORMER))
    state.dirty = {key: None for key in state.dirty if key[:2] != b"c/"}

    again = {key: value for key, value in engine.checkpoint() if key != POLICY}
    # What nearness remembers is read and written in test_near_engine.py.
    kept = {key: value for key, value in items.items() if key[:2] not in (POLICY[:2], *NEAR)}

    assert again == kept


def test_the_sample_can_be_made_again() -> None:
    """The script still gives something of every kind."""
    assert {key[:2] for key in state_sample()} == {*KINDS, FORMER, META, *NEAR}


@pytest.mark.parametrize(
    "meta",
    [
        {"format": 1, "offset": 3, "time_ms": 0, "counts": {}},
        {"format": 2, "offset": 3, "time_ms": 0, "counts": {}, "keys": 2},
        {"magic": "other", "format": 1, "offset": 3, "time_ms": 0, "counts": {}, "keys": 2},
    ],
)
def test_a_state_from_before_is_refused(meta: dict[str, object]) -> None:
    """Its number may be the one of today: it lacks the magic."""
    with pytest.raises(DamagedState) as refused:
        Engine.restore(3, shipped(), kept_state() | {META: orjson.dumps(meta)})

    assert str(refused.value) == (
        f"the state of partition 3 cannot be read: its meta record has the magic {meta.get('magic')!r}, must be "
        "'tocsin state': it was not written by Tocsin, or by one from before the first release; see docs/UPGRADES.md"
    )


def test_a_newer_format_is_refused() -> None:
    """State of a version to come is left alone, and the message says what to run."""
    items = kept_state()
    items[META] = orjson.dumps(orjson.loads(items[META]) | {"format": FORMAT + 1})

    with pytest.raises(
        NewerFormat, match=f"has format {FORMAT + 1}, this Tocsin reads up to {FORMAT}"
    ):
        Engine.restore(0, shipped(), items)


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        (META, b"{", "JSONDecodeError"),
        (
            META,
            b'{"magic":"tocsin state","format":1,"offset":"3","time_ms":0,"counts":{},"keys":4}',
            "its meta record is",
        ),
        (
            META,
            b'{"magic":"tocsin state","format":1,"offset":3,"time_ms":0,"counts":{"ticks":18446744073709551615},"keys":4}',
            "its meta record is",
        ),
        (
            META,
            b'{"magic":"tocsin state","format":1,"offset":3,"time_ms":0,"counts":{},"keys":"4"}',
            "its meta record is",
        ),
        (
            META,
            b'{"magic":"tocsin state","format":1,"offset":3,"time_ms":0,"counts":{},"keys":1000}',
            "and had 1,000 as of its last checkpoint",
        ),
        (POLICY, b'{"teams":7}', "validation error"),
        (b"a/3287bdbc793cf345", b"[]", "the record of b'a/3287bdbc793cf345' is b'\\[\\]'"),
        (
            b"i/INC-20250615T153640Z-008",
            b"null",
            "the record of b'i/INC-20250615T153640Z-008' is b'null'",
        ),
        (b"r/[1]", b"{}", "not enough values to unpack"),
        (b'd/["0123456789ab","[]"]', b'{"sources":{"a":{}}}', "the record of b'd/"),
        (b'e/["0123456789ab","all"]', b'[{"at_ms":"x"}]', "at_ms is 'x'"),
        (b"f/", b"[7]", "the record of b'f/' is b'\\[7\\]'"),
        (
            b"t/x.review",
            (
                b'{"id":"x.review","incident":"x","name":"review","title":"t","steps":[],"owner":"ai",'
                b'"severity":"P1","made_ms":1,"due_ms":2,"remind_ms":3,"reminded":-1}'
            ),
            "reminded is -1, must be 0 or more",
        ),
    ],
)
def test_what_no_version_wrote_is_refused(key: bytes, value: bytes, said: str) -> None:
    """A changelog that somebody damaged ends the start by its record, and says where to read on."""
    with pytest.raises(DamagedState, match="the state of partition 0 cannot be read: ") as refused:
        Engine.restore(0, shipped(), _as_whole(kept_state() | {key: value}, key))

    assert re.search(said, str(refused.value))
    assert str(refused.value).endswith("see docs/UPGRADES.md")


def test_records_are_written_as_they_were() -> None:
    """Each kind has the very bytes that it had.

    Older journals are replayed, and repeats recognised by how they begin.
    """
    assert list(journal_sample().values()) == kept_journal()


def _again(headers: Headers, number: int) -> Headers:
    """Headers of which each source is past the one before, as in a journal."""
    return tuple(
        (name, re.sub(rb":\d+:\d$", b":%d:0" % (number + 100), value)) for name, value in headers
    )


def test_records_of_format_1_are_applied() -> None:
    """A journal of then is applied and nothing in it is refused but the raw record that was."""
    records = [
        StoredRecord(number, NOW_MS + number, b"c", value, _again(headers, number))
        for number, (value, headers) in enumerate(kept_journal())
    ]
    effects = Engine(0, shipped()).apply(records)

    letters = [orjson.loads(one.value) for one in effects if one.stream is Stream.DEADLETTER]
    assert [(one["kind"], one.get("reason")) for one in letters] == [
        ("DeadLettered", "malformed"),  # the raw record that was refused
        ("Resubmitted", None),
    ]


def _as_whole(items: dict[bytes, bytes], changed: bytes) -> dict[bytes, bytes]:
    """The items with a meta record that has their number, unless it is the one that was changed."""
    if changed == META:
        return items
    return items | {META: orjson.dumps(orjson.loads(items[META]) | {"keys": len(items)})}


def test_a_record_of_a_newer_format_stops_the_worker() -> None:
    """It is not dropped as something unknown.

    What came before it is applied, and a newer version goes on from there.
    """
    headers = ((journal.FORMAT_HEADER, b"%d" % (journal.FORMAT + 1)),)
    records = [
        StoredRecord(0, NOW_MS, None, TICK),
        StoredRecord(1, NOW_MS, None, b'{"later":1}', headers),
    ]
    with pytest.raises(NewerFormat) as refused:
        Engine(0, shipped()).apply(records)

    assert str(refused.value) == (
        f"the journal of partition 0 has a record of format {journal.FORMAT + 1} at offset 1, this Tocsin reads up to "
        f"{journal.FORMAT}: run the newer version that wrote it"
    )


class Stopped(Exception):
    """In the place of the end of the process."""


def test_a_worker_says_so_and_acknowledges_nothing() -> None:
    """The worker ends by it, as by every fault that it cannot pass over, and no checkpoint is past the record."""
    told: list[str] = []

    def on_fault(what: str, error: BaseException) -> NoReturn:
        told.append(f"{what}: {error}")
        raise Stopped

    async def scenario() -> list[bytes | None]:
        log = FakeLog()
        worker = Worker(Settings(partitions=1), shipped(), log, Topics(), on_fault)
        await worker.take_over(0, 1)
        newer = NewRecord(None, b'{"later":1}', ((journal.FORMAT_HEADER, b"99"),))
        log.put(Topics().journal, 0, [NewRecord(None, TICK), newer])
        records = await log.read(Topics().journal, 0, 0)
        with pytest.raises(Stopped):
            await worker.accept(_Event(records))
        worker.release()
        return [record.key for record in log.topics.get((Topics().state, 0), [])]

    assert asyncio.run(scenario()) == []
    said = (
        "partition 0: the journal of partition 0 has a record of format 99 at offset 2, this Tocsin reads up to 1: "
        "run the newer version that wrote it"
    )
    assert told == [said]


def test_a_worker_does_not_go_on_with_half_a_state() -> None:
    """A changelog that a broker lost a record of ends the worker when it takes the partition over.

    It writes nothing.
    """
    told: list[str] = []

    def on_fault(what: str, error: BaseException) -> NoReturn:
        told.append(f"{what}: {error}")
        raise Stopped

    async def scenario() -> list[int]:
        log = FakeLog()
        log.put(
            Topics().journal,
            0,
            [NewRecord(None, encode_policy(shipped().fingerprint, shipped().document))],
        )
        place = Topics().state, 0
        engine = Engine.restore(0, shipped(), kept_state())
        kept = kept_state() | {
            key: value for key, value in engine.checkpoint() if value is not None
        }
        log.put(*place, [NewRecord(key, value) for key, value in kept.items() if key != META])
        log.put(*place, [NewRecord(META, kept[META])])
        del log.topics[place][7]
        before = len(log.topics[place])
        with pytest.raises(Stopped):
            await Worker(Settings(partitions=1), shipped(), log, Topics(), on_fault).take_over(0, 1)
        return [before, len(log.topics[place]), len(kept)]

    before, after, keys = asyncio.run(scenario())

    assert before == after == keys - 1
    said = (
        f"partition 0 cannot be taken over: the state of partition 0 cannot be read: it has {keys - 1} keys, and had {keys} "
        "as of its last checkpoint; see docs/UPGRADES.md"
    )
    assert told == [said]


class _Event:
    """A batch as Faust hands it over."""

    def __init__(self, records: list[StoredRecord]) -> None:
        self.message = self
        self.partition, self.generation_id, self.value = 0, 1, records


def test_a_header_that_is_no_format_is_a_dead_letter() -> None:
    """Whoever wrote that was no newer Tocsin."""
    for text in (b"", b"0", b"x", b"-1", b"1" * 30, "\u0663".encode()):
        records = [StoredRecord(0, NOW_MS, None, TICK, ((journal.FORMAT_HEADER, text),))]
        (letter,) = Engine(0, shipped()).apply(records)
        assert (
            orjson.loads(letter.value)["message"]
            == f"the header format is {text!r}, must be a number"
        )
