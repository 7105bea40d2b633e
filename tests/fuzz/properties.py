"""One function for each parser.

Any bytes in, and an exception out only if something is wrong with Tocsin.
"""

import contextlib
import struct
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import orjson
from pydantic import TypeAdapter, ValidationError

from agents.ingest import journal_records
from app.bridge.access.request_bodies import _decompress
from app.bridge.access.tokens import parse_tokens
from app.bridge.alertmanager.silences import filters_of, silence_of
from app.bridge.connections.responses import RequestDeclined
from app.cli.deadletters_resubmit import plan_resubmission
from app.core.engine import Engine, NewerFormat
from app.core.rules.compiled_policy import CompiledPolicy
from app.core.state.changelog import META, DamagedState
from app.core.state.deadletter import letter_of
from app.core.state.poison import Poison
from app.demo.recorded import BadRecording, parse_steps
from app.files.policy_file import BadPolicy, compile_policy_file
from app.intake.commands import command_of, command_value, receipts_of, resubmitted_record
from app.intake.normalise import (
    Entries,
    entries_from,
    from_list,
    in_list,
    in_webhook,
    parse_alerts,
    parse_json,
)
from app.intake.records import Intake
from app.replay.alertmanager_events import EventJournal
from app.settings import BadSettings
from app.transport.log import NewRecord, StoredRecord
from app.transport.sqlite_batches import Damaged, records_in, unpack_records
from models.command import Command
from models.effect import Effect, Stream, position_from
from models.journal import ALERTS_START, TICK, alerts_in, encode_policy, encode_silence
from models.matcher import parse_matcher, test_of
from models.policy.time_interval import TimeInterval, inside, next_ms
from models.reason import BadInput
from models.text.duration import format_ms, parse_ms
from models.wire import ClockRequest, SilenceRequest
from tests.fuzz.seeds import INCIDENT, LABELS, NOW_MS, PARTITIONS, POLICY, open_incident
from tests.support.scenario import keep

DAY_MS = 86_400_000
HEADER = b"@"  # a line of a journal that begins so has a header, up to the first space
INTERVAL: TypeAdapter[Any] = TypeAdapter(TimeInterval)
FILE = Path("input")

Property = Callable[[bytes], None]


def alerts(data: bytes) -> None:
    """Alerts as API v2, the webhook and generic JSON have them.

    What is taken the engine takes, the rest says why not.
    """
    for shape in (entries_from, _api, _webhook):
        with contextlib.suppress(BadInput):
            found, refused = Intake().records(shape(data), NOW_MS, POLICY)
            assert all(one.message and len(letter_of(one, "raw", 0, 0, data)) for one in refused)
            _, effects = apply([StoredRecord(-1, NOW_MS, *one) for one in found])
            assert not [one for one in effects if one.stream is Stream.DEADLETTER]


def repeats(data: bytes) -> None:
    """Whoever knows alerts from before makes the same of them, and of others that end otherwise, as who reads them first."""
    for shape in (entries_from, _api, _webhook):
        with contextlib.suppress(BadInput):
            entries, knowing = shape(data), Intake()
            for at_ms in (NOW_MS, NOW_MS + 1, NOW_MS + DAY_MS):
                for given in (entries, _ending_otherwise(entries)):
                    assert _taken(Intake(), given, at_ms) == _taken(knowing, given, at_ms)


def _ending_otherwise(entries: Entries) -> Entries:
    """Each of them with the status and the end of the one before it, if it has any."""
    found, before = list[Any](), dict[str, Any]()
    for entry in entries.entries:
        ends = entry if isinstance(entry, dict) else {}
        found.append(entry | before if isinstance(entry, dict) else entry)
        before = {name: ends[name] for name in ("status", "endsAt") if name in ends}
    return Entries(found, entries.where)


def _taken(
    intake: Intake, entries: Entries, at_ms: int
) -> tuple[list[NewRecord], list[tuple[str, str, bytes | None]]]:
    records, refused = intake.records(entries, at_ms, POLICY)
    return records, [(one.reason, one.message, one.part) for one in refused]


def _api(data: bytes) -> Entries:
    return in_list(parse_alerts(data))


def _webhook(data: bytes) -> Entries:
    return in_webhook(parse_alerts(data))


def raw_record(data: bytes) -> None:
    """A record of the raw topic: each alert in it is applied, or is a dead letter with a reason."""
    for value in (data, None):
        record = StoredRecord(7, NOW_MS, None, value)
        records = list(journal_records(0, record, Intake(), POLICY, NOW_MS))
        engine, effects = apply([StoredRecord(-1, NOW_MS, *each) for each in records])
        applied = engine.counts.get("alerts", 0) + engine.counts.get("deadletters", 0)
        assert applied == sum(_alerts_of(each) for each in records)
        letters = [orjson.loads(one.value) for one in effects if one.stream is Stream.DEADLETTER]
        assert all(one["reason"] and one["message"] and one["topic"] == "raw" for one in letters)


def _alerts_of(record: NewRecord) -> int:
    """How many alerts a record has. What is refused at the border is a record of its own."""
    value = record.value or b""
    return len(alerts_in(value)) if value.startswith(ALERTS_START) else 1


def commands(data: bytes) -> None:
    """Operators' words.

    The bridge takes none that the engine cannot apply or refuse with a reason.
    """
    with contextlib.suppress(BadInput):
        document = parse_json(data)
        name = _text_in(document, "command") or Command.ACKNOWLEDGE
        for incident in (INCIDENT, _text_in(document, "incident")):
            with contextlib.suppress(BadInput):
                value = command_value(
                    incident, command_of(name), document, NOW_MS, POLICY.policy.teams, lambda by: by
                )
                apply([*open_incident(), StoredRecord(-1, NOW_MS, incident.encode(), value)])
        with contextlib.suppress(BadInput):
            _, record = resubmitted_record(
                _text_in(document, "letter"), document, PARTITIONS, lambda by: by
            )
            engine, _ = apply([StoredRecord(-1, NOW_MS, record.key, record.value, record.headers)])
            assert engine.counts["resubmitted"] == 1


def silences(data: bytes) -> None:
    """Silences of both versions, and filters of amtool's."""
    with contextlib.suppress(BadInput):
        filters_of([data.decode(errors="surrogateescape")])
    with contextlib.suppress(BadInput):
        body = SilenceRequest.of(parse_json(data))
        for past in (False, True):
            with contextlib.suppress(BadInput):
                value = encode_silence(silence_of(body, None, NOW_MS, past=past))
                engine, effects = apply([*open_incident(), StoredRecord(-1, NOW_MS, None, value)])
                assert engine.counts["silences"] == 1
                assert not [one for one in effects if one.stream is Stream.DEADLETTER]


def receipts(data: bytes) -> None:
    """Notifiers' receipts."""
    with contextlib.suppress(BadInput):
        found = receipts_of(parse_json(data), PARTITIONS)
        engine, _ = apply(
            [StoredRecord(-1, NOW_MS, incident.encode(), value) for _, incident, value in found]
        )
        assert engine.counts.get("receipts", 0) == len(found)


def clock(data: bytes) -> None:
    """What sets a driven clock."""
    with contextlib.suppress(BadInput):
        ClockRequest.of(parse_json(data))


def compressed(data: bytes) -> None:
    """A body that says it is gzip."""
    with contextlib.suppress(BadInput, RequestDeclined):
        _decompress(data)


def policy(data: bytes) -> None:
    """A policy file.

    Good, or every mistake; what is good an engine goes on under, through restarts too.
    """
    try:
        rules = compile_policy_file(FILE, data).rules
    except BadPolicy:
        return
    value = encode_policy(rules.fingerprint, rules.document)
    records = [*open_incident(), StoredRecord(-1, NOW_MS, None, value), *open_incident(DAY_MS)]
    engine, effects = apply(records)
    assert not [one for one in effects if one.stream is Stream.DEADLETTER]
    assert engine.policy.fingerprint == rules.fingerprint
    assert CompiledPolicy(rules.document).fingerprint == rules.fingerprint


def tokens(data: bytes) -> None:
    """A file of tokens."""
    with contextlib.suppress(BadSettings):
        parse_tokens(str(FILE), data.decode(errors="replace"))


def matcher(data: bytes) -> None:
    """A matcher in Alertmanager's notation, also one that an older version kept."""
    text = data.decode(errors="surrogateescape")
    for kept in (False, True):
        with contextlib.suppress(ValueError):
            test_of([[parse_matcher(text, kept=kept)]])(LABELS)


def duration(data: bytes) -> None:
    """A duration; what is written of it is one again, and no longer."""
    with contextlib.suppress(ValueError):
        found = parse_ms(data.decode(errors="surrogateescape"))
        assert 0 <= parse_ms(format_ms(found)) <= found


def interval(data: bytes) -> None:
    """A time interval: its next beginning and end are instants at which it begins and ends."""
    with contextlib.suppress(BadInput, ValidationError):
        spans = INTERVAL.validate_python(parse_json(data))
        for at_ms in (0, NOW_MS, NOW_MS + 200 * DAY_MS + 7):
            for to in (True, False):
                then_ms = next_ms(spans, at_ms, to=to)
                assert then_ms >= at_ms
                assert then_ms > NOW_MS + 400 * DAY_MS or inside(spans, then_ms) == to


def recording(data: bytes) -> None:
    """What `tocsin demo --input` is given: JSON lines, a JSON list, or the CSV of AIT-ADS."""
    for body in (data, b"time,name," + data, b"[" + data):
        problems: list[str] = []
        with contextlib.suppress(BadRecording):
            for at_ms, found in parse_steps(FILE, body, problems):
                from_list(found, at_ms)
        assert all(problem.startswith(f"{FILE}:") for problem in problems)


def journal(data: bytes) -> None:
    """Records of the journal, whoever wrote them.

    Each is accounted for, and a restart at any place changes nothing.
    """
    records = journal_in(data)
    with contextlib.suppress(NewerFormat):
        engine, effects = apply(records)
        counted = sum(engine.counts.get(name, 0) for name in ACCOUNTS)
        assert counted >= sum(not one.headers for one in records)
        letters = [orjson.loads(one.value) for one in effects if one.stream is Stream.DEADLETTER]
        assert not [one for one in letters if one.get("reason") == "poison"]


ACCOUNTS = (
    *(
        "alerts",
        "ticks",
        "signals",
        "holds",
        "members",
        "pages",
        "commands",
        "receipts",
        "silences",
        "policies",
    ),
    *("resubmitted", "duplicates", "deadletters"),
)


def journal_in(data: bytes) -> list[StoredRecord]:
    """The records that bytes stand for: a line each, half a minute after the one before."""
    found = []
    for number, line in enumerate(data.split(b"\n")):
        headers: tuple[tuple[str, bytes], ...] = ()
        if line.startswith(HEADER):
            named, _, line = line[1:].partition(b" ")  # noqa: PLW2901  the rest of it
            name, _, value = named.partition(b"=")
            headers = ((name.decode(errors="replace"), value),)
        key = POLICY.place(LABELS, "").key.encode() if number % 2 else None
        found.append(StoredRecord(-1, NOW_MS + 30_000 * number, key, line, headers))
    return found


def state(data: bytes) -> None:
    """A changelog that was damaged.

    It is refused by what is wrong with it, or an engine goes on from it.
    """
    try:
        document = orjson.loads(data)
    except orjson.JSONDecodeError:
        return
    items = (
        {key.encode(): orjson.dumps(value) for key, value in document.items()}
        if isinstance(document, dict)
        else {}
    )
    items.setdefault(b"p", orjson.dumps(POLICY.document))
    with contextlib.suppress(DamagedState, NewerFormat, Poison):
        engine = Engine.restore(0, POLICY, _with_number_of_keys(items))
        engine.apply(
            [StoredRecord(engine.applied_offset + 1, engine.state.now_ms + DAY_MS, None, TICK)]
        )
        engine.checkpoint()


def _with_number_of_keys(items: dict[bytes, bytes]) -> dict[bytes, bytes]:
    """The items as if none were lost, so that their values are read."""
    meta = orjson.loads(items.get(META, b"null"))
    if not isinstance(meta, dict) or "keys" not in meta:
        return items
    return items | {META: orjson.dumps(meta | {"keys": len(items)})}


def changelog(data: bytes) -> None:
    """A value of the changelog that is not even JSON."""
    for key in (META, b"p", b"a/0123456789abcdef", b"i/x", b"w/x", b"s/raw/x", data[:8]):
        items = {
            META: b'{"magic":"tocsin state","format":1,"offset":3,"time_ms":0,"counts":{},"keys":3}',
            b"p": orjson.dumps(POLICY.document),
            key: data,
        }
        with contextlib.suppress(DamagedState, NewerFormat):
            Engine.restore(0, POLICY, items)


def blob(data: bytes) -> None:
    """The records of the embedded journal's row, whatever its checksum says."""
    for count in range(4):
        with contextlib.suppress(Damaged):
            assert len(unpack_records(data, 0, 0, count)) == count
    with contextlib.suppress(struct.error, TypeError, ValueError, AttributeError):
        records = records_in(data, 0, 0)
        sizes = [len(one.key or b"") + len(one.value or b"") for one in records]
        assert sum(sizes) <= len(data)


def headers(data: bytes) -> None:
    """Headers of effects, and bodies of dead letters, that strangers wrote."""
    position_from((("position", data),))
    for role in ("raw", "journal", "deadline", ""):
        plan_resubmission(
            role,
            data,
            NOW_MS,
        )


def apply(records: Sequence[StoredRecord]) -> tuple[Engine, list[Effect]]:
    """What an engine makes of records and of the day after.

    And what it makes of them across restarts is the same.
    """
    records = [
        StoredRecord(number, one.timestamp, one.key, one.value, one.headers)
        for number, one in enumerate(records)
    ]
    last_ms = records[-1].timestamp if records else NOW_MS
    waits = (0, 3_600_000, DAY_MS)
    ticks = [
        StoredRecord(len(records) + number, last_ms + wait, None, TICK)
        for number, wait in enumerate(waits)
    ]
    engine = Engine(0, POLICY)
    effects = [*engine.apply(records), *engine.apply(ticks)]
    items: dict[bytes, bytes] = {}
    across = [effect for part in _cut([*records, *ticks]) for effect in _restored(items, part)]
    assert across == effects
    return engine, effects


def _cut(records: Sequence[StoredRecord]) -> Iterable[Sequence[StoredRecord]]:
    size = max(len(records) // 3, 1)
    return [records[start : start + size] for start in range(0, len(records), size)]


def alertmanager_events(data: bytes) -> None:
    """Lines of an event recorder become records in the order of time, which an engine takes, and each bad line counts once."""
    lines = data.splitlines()
    journal = EventJournal(POLICY, NOW_MS)

    records = journal.records(lines, 0)

    times = [record.timestamp for record in records]
    assert times == sorted(times)
    assert journal.counts.refused <= len(lines)
    assert journal.counts.still_firing <= journal.counts.alerts
    Engine(0, POLICY).apply(records[:100])


def _restored(items: dict[bytes, bytes], records: Sequence[StoredRecord]) -> list[Effect]:
    engine = Engine.restore(0, POLICY, items)
    effects = engine.apply(records)
    keep(items, engine)
    return effects


def _text_in(document: Any, name: str) -> str:
    found = document.get(name) if isinstance(document, dict) else None
    return found if isinstance(found, str) else ""


PROPERTIES: dict[str, Property] = {
    one.__name__: one
    for one in (
        *(
            alerts,
            repeats,
            raw_record,
            commands,
            silences,
            receipts,
            clock,
            compressed,
            policy,
            tokens,
            matcher,
            duration,
            interval,
        ),
        *(recording, journal, state, changelog, blob, headers, alertmanager_events),
    )
}
