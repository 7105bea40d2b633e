"""CloudEvents over Kafka: structured, in batches and binary, as they are over HTTP."""

import asyncio
from typing import Any

import orjson
import pytest

from agents.ingest import copy_records, journal_records
from app.core.rules.compiled_policy import CompiledPolicy
from app.intake.raw_values import RawValues
from app.intake.records import Intake
from app.settings import Settings
from app.transport.log import StoredRecord
from app.worker.worker import Worker
from models.topics import Topics
from tests.support.fake_log import FakeLog
from tests.support.shipped_policy import shipped

NOW_MS = 1_776_000_000_000
EVENT = {
    "specversion": "1.0",
    "id": "1",
    "source": "/backup",
    "type": "BackupFailed",
    "subject": "db",
    "data": {"summary": "no space", "severity": "critical"},
}
ALERT = {"labels": {"alertname": "A", "component": "db"}}
STRUCTURED = (("content-type", b"application/cloudevents+json; charset=UTF-8"),)
BATCH = (("Content-Type", b"application/cloudevents-batch+json"),)
BINARY = (
    ("ce_specversion", b"1.0"),
    ("ce_id", b"1"),
    ("ce_source", b"/backup"),
    ("ce_type", b"BackupFailed"),
    ("ce_subject", "d%62 \N{SNOWMAN}".encode()),
    ("content-type", b"application/json"),
)


def taken(
    body: Any, headers: tuple[tuple[str, bytes], ...], policy: CompiledPolicy | None = None
) -> list[dict[str, Any]]:
    """What the raw record becomes in the journal."""
    record = StoredRecord(7, NOW_MS, None, orjson.dumps(body), headers)
    records = journal_records(0, record, Intake(), policy or shipped(), NOW_MS)
    return [orjson.loads(record.value or b"") for record in records]


def test_a_structured_event() -> None:
    """It goes through the mapping, and fires until its end is said."""
    (alert,) = taken(EVENT, STRUCTURED)

    assert alert["labels"]["alertname"] == "BackupFailed"
    assert alert["labels"]["component"] == "db"
    assert (alert["labels"]["severity"], alert["until_resolved"]) == ("critical", True)
    assert alert["annotations"]["summary"] == "no space"


def test_a_binary_event() -> None:
    """Its attributes are headers, which over Kafka are plain UTF-8 and not encoded."""
    (alert,) = taken(EVENT["data"], BINARY)

    assert alert["labels"]["component"] == "d%62 \N{SNOWMAN}"
    assert alert["labels"]["instance"] == "/backup"


def test_a_batch_and_alerts_in_data() -> None:
    """Each event of a batch counts, and data in Alertmanager's shape are alerts as they are."""
    other = {"labels": {"alertname": "B", "component": "web"}, "status": "resolved"}
    batch = [EVENT, EVENT | {"data": [ALERT, other]}]

    alerts = taken(batch, BATCH)

    every = [alert for record in alerts for alert in record.get("alerts", [record])]
    assert {alert["labels"]["alertname"]: alert["status"] for alert in every} == {
        "BackupFailed": "firing",
        "A": "firing",
        "B": "resolved",
    }


@pytest.mark.parametrize(
    ("body", "headers", "problem"),
    [
        (EVENT | {"specversion": "0.3"}, STRUCTURED, "specversion is '0.3'"),
        ({}, STRUCTURED, "id is None"),
        ([1], BATCH, "[0]: is "),
        (EVENT["data"], BINARY[1:], "specversion is None"),
        (EVENT | {"data": [{"labels": {}}]}, STRUCTURED, "labels"),
    ],
)
def test_what_is_no_event_is_a_dead_letter(
    body: Any, headers: tuple[tuple[str, bytes], ...], problem: str
) -> None:
    """It is refused with the reason, as over HTTP."""
    (letter,) = taken(body, headers)

    assert "refused" in letter
    assert problem in orjson.dumps(letter["letter"]).decode()


def test_other_headers_change_nothing() -> None:
    """A record of alerts may have headers of its own: a trace, a type."""
    headers = (("content-type", b"application/json"), ("traceparent", b"00-1"))

    assert [alert["labels"] for alert in taken(ALERT, headers)] == [ALERT["labels"]]


def test_the_policys_mapping_comes_first() -> None:
    """A mapping called `cloudevents` in the policy is used instead of the one that ships."""
    own = {"cloudevents": {"labels": {"alertname": "join('-', [type, id])"}}}
    policy = CompiledPolicy(shipped().document | {"webhooks": own})

    assert [alert["labels"]["alertname"] for alert in taken(EVENT, STRUCTURED, policy)] == [
        "BackupFailed-1"
    ]


def test_equal_values_with_other_headers_are_other_events() -> None:
    """A value that was seen before is not recognised by its bytes alone where headers say what it means."""
    values = RawValues()
    values.begin(NOW_MS, shipped())
    other = tuple((name, b"web" if name == "ce_subject" else value) for name, value in BINARY)
    data = orjson.dumps(EVENT["data"])

    def components(headers: tuple[tuple[str, bytes], ...]) -> str:
        record = StoredRecord(1, NOW_MS, None, data, headers)
        log = FakeLog(NOW_MS)
        worker = Worker(Settings(partitions=1), shipped(), log, Topics())
        asyncio.run(copy_records(0, [record], worker, Intake(), values))
        ((_, (appended,)),) = log.batches
        return str(orjson.loads(appended.value or b"")["labels"]["component"])

    assert [components(headers) for headers in (BINARY, other)] == ["d%62 \N{SNOWMAN}", "web"]
