"""What each property begins with: good input, which is then changed in every way."""

import gzip
from collections.abc import Callable
from functools import cache
from typing import Any

import orjson

from app.core.engine import Engine
from app.files.policy_file import default_path
from app.transport.log import NewRecord, StoredRecord
from app.transport.sqlite_batches import pack_records
from models.alert import Alert, fingerprint
from models.command import Command
from models.effect import Stream
from models.journal import encode_alert
from tests.support.engines import ROOT
from tests.support.scenario import alert_record, keep, one_by_one, play, read
from tests.support.shipped_policy import shipped

NOW_MS = 1_776_000_000_000  # 2026-04-12T13:20:00Z
PARTITIONS = 4
POLICY = shipped()
LABELS = {
    "alertname": "HighErrorRate",
    "component": "api",
    "severity": "high",
    "team": "infrastructure",
}

ALERT: dict[str, Any] = {
    "labels": LABELS,
    "annotations": {"summary": "5% of requests fail", "description": "é"},
    "startsAt": "2026-04-12T13:00:00.123+02:00",
    "endsAt": "2026-04-12T13:24:00Z",
    "generatorURL": "http://prometheus/graph",
    "status": "firing",
}
WEBHOOK = {
    "version": "4",
    "groupKey": "{}:{}",
    "status": "firing",
    "receiver": "tocsin",
    "truncatedAlerts": 0,
}
COMMAND = {
    "by": "ann",
    "text": "looking into it",
    "to": "bob",
    "team": "infrastructure",
    "verdict": "genuine",
    "scope": "a tenth",
    "eta": "30m",
    "number": 3,
    "step": 2,
    "task": "review",
    "incident": "SEC-20260412T132000Z-010",
    "command": "note",
    "letter": "0-15-0",
}
SILENCE = {
    "id": "",
    "matchers": [
        {"name": "alertname", "value": "High.*", "isRegex": True, "isEqual": True},
        {"name": "component", "value": "db", "isRegex": False, "isEqual": False},
    ],
    "startsAt": "2026-04-12T13:20:00Z",
    "endsAt": "2h",
    "createdBy": "ann",
    "comment": "Investigating - ann",
}
RECEIPT = {
    "notification": "0-15-2",
    "incident": "INC-20260412T132000Z-000",
    "state": "delivered",
    "detail": "ok",
}
INTERVALS = [
    {
        "times": [{"start_time": "09:00", "end_time": "17:00"}],
        "weekdays": ["monday:friday", "sunday"],
        "days_of_month": ["1:5", "-3:-1"],
        "months": ["may:august", "12"],
        "years": ["2026:2028"],
        "except_dates": ["2026-12-25"],
        "location": "Europe/Berlin",
    },
    {"location": "America/New_York"},
]
CSV = b"""time,name,ip,host,short,time_label,event_label
1642204861,Wazuh: Web 400,172.17.130.196,intranet,W-Acc-400,-,-
1642204999.5,AMiner: New,10.0.0.1,vpn,A-Acc-New,-,-
"""
MATCHERS = (
    'alertname=~"Ollama.*"',
    'team="a\\"i"',
    "severity!=info",
    'job!~"[a-z]{1,3}(x|y)"',
    "a:b.c-d = e",
)
TOKENS = b"# a comment\nprometheus send,read 0123456789abcdef0123456789abcdef\nann operate ZmFrZXRva2VuZmFrZXRva2Vu\n"


def open_incident(after_ms: int = 0) -> list[StoredRecord]:
    """The record by which INCIDENT opens, and one of another component."""
    other = LABELS | {
        "alertname": "PostgreSQLDown",
        "component": "postgres",
        "severity": "critical",
    }
    records = [
        alert_record(NOW_MS + after_ms, labels, labels["component"]) for labels in (LABELS, other)
    ]
    return [StoredRecord(-1, NOW_MS + after_ms, one.key, one.value) for one in records]


def _opened() -> str:
    effects = Engine(0, POLICY).apply([StoredRecord(0, NOW_MS, b"api", open_incident()[0].value)])
    found = next(
        orjson.loads(one.value)["incident"] for one in effects if one.stream is Stream.INCIDENTS
    )
    return str(found)


INCIDENT = _opened()


@cache
def journals() -> tuple[bytes, ...]:
    """The journal of each scenario, actors' messages too, a line for each record."""
    found = []
    for path in sorted((ROOT / "tests/scenarios").glob("*.txt")):
        journal, _ = play(POLICY, read(path, POLICY)[0], one_by_one)
        lines = [b"".join((_header(one), one.value or b"")) for one in journal]
        found.append(b"\n".join(lines[:40]))
    return (*found, b"\n".join(OTHER_RECORDS))


OTHER_RECORDS = (
    b'{"refused":"malformed","letter":{"reason":"malformed","message":"no","topic":"raw","partition":0,"offset":7}}',
    b'{"resubmitted":"0-15-0","by":"ann"}',
    b'{"page":"opened","severity":"P1","body":{"channel":"chat","receiver":"Ops","address":"#ops","incident":"INC-1"}}',
    b'{"suppression":"r/g","alert":"0123456789abcdef","record":"0-1","because":{"text":"t","parent":"INC-1"}}',
    b'{"member":"INC-1","rule":"r","alert":{"fingerprint":"0123456789abcdef","firing":true}}',
    b'{"receipt":"0-1-0","incident":"INC-1","state":"failed","detail":"no such channel"}',
    b'{"tick":true}',
    b'@format=1 {"tick":true}',
)


def _header(record: StoredRecord) -> bytes:
    return b"".join(b"@%s=%s " % (name.encode(), value) for name, value in record.headers[:1])


@cache
def states() -> tuple[bytes, ...]:
    """The changelog after some scenarios, and the kept sample, as JSON objects of key and value."""
    found = [(ROOT / "tests/data/state_format_1.json").read_bytes()]
    for name in (
        "bad_day",
        "silence",
        "dependency",
        "digest",
        "followups",
        "sequence",
        "heartbeat",
    ):
        engine, items = Engine(0, POLICY), dict[bytes, bytes]()
        journal, _ = play(POLICY, read(ROOT / f"tests/scenarios/{name}.txt", POLICY)[0], one_by_one)
        engine.apply(journal)
        keep(items, engine)
        found.append(
            orjson.dumps({key.decode(): orjson.loads(value) for key, value in items.items()})
        )
    return tuple(found)


def _records() -> bytes:
    return pack_records(
        [
            NewRecord(None, None),
            NewRecord(b"k", b"v", (("source", b"raw:0:1:2"),)),
            NewRecord(b"", b"{}"),
        ]
    )


def _journal_alert() -> bytes:
    alert = Alert(
        fingerprint(LABELS), LABELS, {}, firing=True, starts_ms=NOW_MS, ends_ms=0, ttl_ms=300_000
    )
    return encode_alert(alert)


def _json(*documents: Any) -> Callable[[], tuple[bytes, ...]]:
    return lambda: tuple(orjson.dumps(one) for one in documents)


_BODIES = _json(
    [ALERT, {"labels": LABELS}],
    [ALERT, ALERT | {"labels": LABELS | {"alertname": "Latency"}}],
    WEBHOOK | {"alerts": [ALERT]},
    ALERT,
)

_RECORDED_ALERT = (
    b'{"labels":{"labels":[{"key":"alertname","value":"A"},{"key":"service","value":"db"}]},'
    b'"startsAt":"2026-04-12T13:00:00.1Z","endsAt":"2026-04-12T13:04:00Z"'
)
_EVENTS = (
    b'{"@timestamp":"2026-04-12T13:00:01.123456789Z","instance":"a","data":{"alertCreated":{"alert":'
    + _RECORDED_ALERT
    + b"}}}}",
    b'{"@timestamp":"2026-04-12T13:09:00Z","data":{"alertResolved":{"alert":{"hash":"1","details":'
    + _RECORDED_ALERT
    + b',"resolved":true}}}}}',
    (
        b'{"@timestamp":"2026-04-12T13:05:00Z","data":{"silenceCreated":{"silence":{"id":"s",'
        b'"matchers":[{"type":"TYPE_REGEXP","name":"service","pattern":"d.*"}],"createdBy":"ann",'
        b'"startsAt":"2026-04-12T13:05:00Z","endsAt":"2026-04-12T14:00:00Z","comment":"c"}}}}'
    ),
)
SEEDS: dict[str, Callable[[], tuple[bytes, ...]]] = {
    "alertmanager_events": lambda: _EVENTS,
    "alerts": _BODIES,
    "repeats": _BODIES,
    "raw_record": _BODIES,
    "commands": _json(COMMAND, *({"by": "ann", "text": "x", "command": one} for one in Command)),
    "silences": _json(SILENCE, SILENCE | {"endsAt": "2026-04-12T13:00:00Z", "startsAt": None}),
    "receipts": _json([RECEIPT, RECEIPT | {"incident": None}]),
    "clock": _json({"now_ms": NOW_MS, "speed": 1.5}),
    "compressed": lambda: (gzip.compress(b"[]"), gzip.compress(b"[" * 10_000)),
    "policy": lambda: (b"teams: {}\n", orjson.dumps(POLICY.document), default_path().read_bytes()),
    "tokens": lambda: (TOKENS,),
    "matcher": lambda: tuple(one.encode() for one in MATCHERS),
    "duration": lambda: (b"90s", b"1h30m", b"2d", b"0", b"5200w", b"1ms"),
    "interval": _json(INTERVALS, [{}], INTERVALS[:1]),
    "recording": lambda: (
        CSV,
        orjson.dumps(ALERT) + b"\n" + orjson.dumps(ALERT | {"status": "resolved"}),
        CSV[10:],
    ),
    "journal": journals,
    "state": states,
    "changelog": lambda: (
        b'{"magic":"tocsin state","format":1,"offset":3,"time_ms":0,"counts":{},"keys":2}',
        b'{"offset":1}',
        b"[1,2]",
    ),
    "blob": lambda: (_records(),),
    "headers": lambda: (
        b"15-0",
        _journal_alert(),
        *_BODIES(),
        b'{"command":"note","incident":"I","by":"ann"}',
    ),
}
