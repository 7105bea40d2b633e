"""What an older Tocsin wrote is read on; what a newer one wrote is refused, and says so."""

import asyncio
import re
from pathlib import Path
from typing import NoReturn

import orjson
import pytest

from app.core.engine import FORMAT, Engine, NewerFormat
from app.core.state import signals
from app.core.state.changelog import META, POLICY, DamagedState
from app.core.state.members import Member
from app.intake.commands import resubmitted_record
from app.settings import Settings
from app.transport.log import Headers, NewRecord, StoredRecord
from app.worker.worker import Worker
from models import journal
from models.alert import Alert, fingerprint
from models.effect import Stream
from models.journal import (
    TICK,
    Source,
    encode_alert,
    encode_command,
    encode_member,
    encode_page,
    encode_policy,
    encode_receipt,
    encode_refused,
    encode_signal,
    encode_silence,
    encode_suppression,
)
from models.matcher import parse_matcher
from models.severity import Severity
from models.silence import Silence
from models.topics import Topics
from tests.support.fake_log import FakeLog
from tests.support.scenario import keep, tell
from tests.support.shipped_policy import shipped

MINUTE_MS = 60_000
NOW_MS = 1_776_000_000_000
DATA = Path(__file__).parents[2] / "data"
INCIDENT = "INC-20260412T132000Z-000"


def _items(name: str = "state_format_1.json") -> dict[bytes, bytes]:
    """A changelog as it was kept.

    Of format 1 with four agents that are down, of format 2 with something of every kind.
    """
    document = orjson.loads((DATA / name).read_bytes())
    items = {key.encode(): orjson.dumps(value) for key, value in document.items()}
    return items | {POLICY: orjson.dumps(shipped().document)}


def test_format_1_goes_on() -> None:
    """Incidents of format 1 are there, everything counts from their opening, and nothing is told a second time."""
    engine = Engine.restore(0, shipped(), _items())
    offset, now_ms = engine.applied_offset + 1, engine.state.now_ms
    before = {
        incident.id: (incident.state, incident.severity)
        for incident in engine.state.incidents.values()
    }

    effects = engine.apply([StoredRecord(offset, now_ms + MINUTE_MS, None, TICK)])

    assert sorted(str(severity) for _, severity in before.values()) == [
        "P1",
        "P2",
        "P2",
        "P2",
        "P2",
    ]
    assert " opened " not in tell(effects)
    again: dict[bytes, bytes] = _items()
    keep(again, engine)
    assert orjson.loads(again[META])["format"] == FORMAT
    assert (
        Engine.restore(0, shipped(), again).state.incidents.keys() == engine.state.incidents.keys()
    )


def test_format_2_goes_on() -> None:
    """Every kind of thing is read as it was written.

    What is written of it again has all that was there.
    """
    items = _items("state_format_2.json")
    engine = Engine.restore(0, shipped(), items)
    state = engine.state
    for alert in state.alerts.values():
        state.put_alert(alert)
    for incident in state.incidents.values():
        state.put_incident(incident)
    state.dirty |= {
        key: None for key in items if key[:2] in (b"l/", b"w/", b"r/", b"z/", b"t/", b"s/", b"x/")
    }

    again = {key: orjson.loads(value or b"null") for key, value in engine.checkpoint()}
    kept = {key: orjson.loads(value) for key, value in items.items() if key not in (META, POLICY)}
    assert {key[:2] for key in kept} == {
        b"a/",
        b"c/",
        b"i/",
        b"l/",
        b"w/",
        b"r/",
        b"z/",
        b"t/",
        b"s/",
        b"x/",
    }
    assert {key: _with_fields_of(kept[key], again[key]) for key in kept} == kept


def _with_fields_of(kept: object, again: object) -> object:
    """What is written today without fields that came later."""
    if isinstance(kept, dict) and isinstance(again, dict):
        return {name: _with_fields_of(value, again.get(name)) for name, value in kept.items()}
    if isinstance(kept, list) and isinstance(again, list) and len(kept) == len(again):
        return [_with_fields_of(one, other) for one, other in zip(kept, again, strict=True)]
    return again


def test_a_newer_format_is_refused() -> None:
    """State of a version to come is left alone, and the message says what to run."""
    items = _items()
    items[META] = orjson.dumps(orjson.loads(items[META]) | {"format": FORMAT + 1})

    with pytest.raises(
        NewerFormat, match=f"has format {FORMAT + 1}, this Tocsin reads up to {FORMAT}"
    ):
        Engine.restore(0, shipped(), items)


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        (META, b"{", "JSONDecodeError"),
        (META, b'{"format":2,"offset":"3","time_ms":0,"counts":{}}', "its meta record is"),
        (
            META,
            b'{"format":2,"offset":3,"time_ms":0,"counts":{"ticks":18446744073709551615}}',
            "its meta record is",
        ),
        (META, b'{"format":2,"offset":3,"time_ms":0,"counts":{},"keys":"4"}', "its meta record is"),
        (
            META,
            b'{"format":2,"offset":3,"time_ms":0,"counts":{},"keys":1000}',
            "and had 1,000 as of its last checkpoint",
        ),
        (POLICY, b'{"teams":7}', "validation error"),
        (b"a/3287bdbc793cf345", b"[]", "the record of b'a/3287bdbc793cf345' is b'\\[\\]'"),
        (
            b"i/INC-20250615T150640Z-000",
            b"null",
            "the record of b'i/INC-20250615T150640Z-000' is b'null'",
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
        Engine.restore(0, shipped(), _items() | {key: value})

    assert re.search(said, str(refused.value))
    assert str(refused.value).endswith("docs/UPGRADES.md says how to go on")


def records_of_today() -> dict[str, tuple[bytes, Headers]]:
    """A record of each kind, value and headers, as this version writes it."""
    labels = {"alertname": "A", "component": "c", "severity": "high"}
    identity = fingerprint(labels)
    member = Member(
        "A", "c", INCIDENT, Severity.P2, firing=True, record="0-1", labels={"component": "c"}
    )
    known = signals.document_of(identity, member)
    silence = Silence(
        "s", (parse_matcher('alertname=~"B.*"'),), NOW_MS, NOW_MS + MINUTE_MS, "ann", "known"
    )
    letter = {
        "reason": "malformed",
        "message": "no",
        "topic": "raw",
        "partition": 0,
        "offset": 7,
        "encoding": "utf-8",
    }
    body = {
        "channel": "chat",
        "receiver": "Ops Team",
        "address": "#ops",
        "incident": INCIDENT,
        "title": "t",
    }
    firing = Alert(
        identity,
        labels,
        {"summary": "é"},
        firing=True,
        starts_ms=NOW_MS,
        ends_ms=0,
        ttl_ms=300_000,
        url="u",
    )
    ended = Alert(
        identity, labels, {}, firing=False, starts_ms=NOW_MS, ends_ms=NOW_MS + 1, ttl_ms=0
    )
    actor, raw = (Source("journal", 1, 15, 2).header(),), (Source("raw", 0, 7, 0).header(),)
    _, resubmitted = resubmitted_record("0-15-0", {"by": "ann"}, 1, lambda by: by)
    team = {"contact": {"name": "T", "chat": "#t"}, "chain": ["one"]}
    policy = {
        "version": 1,
        "contacts": {"one": {"name": "One", "pager": "p"}},
        "teams": {"t": team},
        "default_owner": "t",
        "severities": {
            "labels": ["severity"],
            "names": {"high": "P1"},
            "unknown": "P2",
            "missing": "P2",
        },
        "components": {"labels": ["component"]},
        "incidents": {"close_after": "5m", "retain_resolved": "1h"},
        "notify": {"channels": {"P0": ["pager"], "P1": ["chat"], "P2": ["chat"], "P3": []}},
    }
    return {
        "alert": (encode_alert(firing), ()),
        "raw alert": (encode_alert(firing), raw),
        "command": (encode_command("note", INCIDENT, "ann", text="hm"), ()),
        "receipt": (encode_receipt("0-15-2", INCIDENT, "delivered", "ok"), ()),
        "signal": (encode_signal("node-down", '["n1"]', "target", known), actor),
        "hold": (
            encode_suppression("r/g", identity, "0-1", {"text": "t", "parent": INCIDENT}),
            actor,
        ),
        "member": (encode_member(INCIDENT, "r", known), actor),
        "page": (encode_page("P2", "opened", body), actor),
        "silence": (encode_silence(silence), ()),
        "refused": (encode_refused(letter | {"value": "{"}), raw),
        "resubmitted": (resubmitted.value or b"", resubmitted.headers),
        "policy": (encode_policy("0123456789ab", policy), ()),
        "tick": (TICK, ()),
        "ended": (encode_alert(ended), ()),
    }


def _kept_records() -> list[tuple[bytes, Headers]]:
    found: list[tuple[bytes, Headers]] = []
    for line in (DATA / "journal_format_2.jsonl").read_bytes().splitlines():
        header, _, value = line[1:].partition(b" ") if line.startswith(b"@") else (b"", b"", line)
        name, _, text = header.partition(b"=")
        found.append((value, ((name.decode(), text),) if header else ()))
    return found


def test_records_are_written_as_they_were() -> None:
    """Each kind has the very bytes that it had.

    Older journals are replayed, and repeats recognised by how they begin.
    """
    assert list(records_of_today().values()) == _kept_records()


def _again(headers: Headers, number: int) -> Headers:
    """Headers of which each source is past the one before, as in a journal."""
    return tuple(
        (name, re.sub(rb":\d+:\d$", b":%d:0" % (number + 100), value)) for name, value in headers
    )


def test_records_of_format_2_are_applied() -> None:
    """A journal of then is applied and nothing in it is refused but the raw record that was."""
    records = [
        StoredRecord(number, NOW_MS + number, b"c", value, _again(headers, number))
        for number, (value, headers) in enumerate(_kept_records())
    ]
    effects = Engine(0, shipped()).apply(records)

    letters = [orjson.loads(one.value) for one in effects if one.stream is Stream.DEADLETTER]
    assert [(one["kind"], one.get("reason")) for one in letters] == [
        ("DeadLettered", "malformed"),  # the raw record that was refused
        ("Resubmitted", None),
    ]


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
        "partition 0: the journal of partition 0 has a record of format 99 at offset 2, this Tocsin reads up to 2: "
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
        engine = Engine.restore(0, shipped(), _items("state_format_2.json"))
        kept = _items("state_format_2.json") | {
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
        "as of its last checkpoint; docs/UPGRADES.md says how to go on"
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
