"""Snapshots and timeline entries as the engine writes them, and a log that has them."""

from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from app.settings import Settings
from app.transport.log import NewRecord
from models.effect import POSITION_HEADER, Stream
from models.topics import Topics
from tests.support.fake_log import FakeLog

Document = dict[str, Any]
NOW_MS = 1_776_000_000_000  # 2026-04-12T13:20:00Z
INCIDENT = "INC-20260412T131000Z-00K3F"
CONFIG = Settings(partitions=2)


ALERT = {
    "fingerprint": "4b6e8f0a12c3d4e5",
    "status": "firing",
    "severity": "P0",
    "labels": {"alertname": "OllamaServiceDown", "component": "ollama"},
    "annotations": {},
    "generator_url": "",
    "starts_at": "2026-04-12T13:09:30.000Z",
    "ends_at": None,
}


def snapshot(**changes: Any) -> Document:
    """An incident's snapshot.

    Open for ten minutes, told, with a clock that is breached and one that runs.
    """
    clocks = {
        "acknowledge": {"due_at": "2026-04-12T13:12:00.000Z", "state": "breached"},
        "resolve": {"due_at": "2026-04-12T14:10:00.000Z", "state": "running"},
    }
    empty = dict.fromkeys(
        (
            "acknowledged_by",
            "assignee",
            "mitigated_by",
            "root_cause",
            "root_cause_by",
            "resolved_by",
            "rule",
        ),
        "",
    )
    never = dict.fromkeys(
        ("acknowledged_at", "mitigated_at", "eta_at", "resolved_at", "closed_at", "assessment")
    )
    return {
        "id": "0-7-3",
        "kind": "Incident",
        "at": "2026-04-12T13:20:00.000Z",
        "policy": "c0ffee",
        "incident": INCIDENT,
        "state": "open",
        "severity": "P0",
        "class": "",
        "status": "",
        "component": "ollama",
        "owner": "ai",
        "title": "OllamaServiceDown on ollama",
        "next": "Check its log: docker logs ollama",
        "runbook": "service-down",
        "opened_at": "2026-04-12T13:10:00.000Z",
        "notified_at": "2026-04-12T13:10:00.000Z",
        **empty,
        **never,
        "complaints": 0,
        "reopened": 0,
        "episode": 1,
        "flapping": False,
        "escalation_step": 2,
        "escalated_by": ["unacknowledged"],
        "clocks": clocks,
        "suppressed_by": [],
        "parents": [],
        "services": ["ai-agents"],
        "alerts": [dict(ALERT)],
        "alerts_omitted": 0,
        "alerts_firing": 1,
        "alerts_total": 1,
        "common_labels": {},
        "links": {},
        "alert_names": {"OllamaServiceDown": 1},
        "members": [],
        "opened_by": "0-7",
        "records": None,
        **changes,
    }


def entry(kind: str, at: str, text: str = "", incident: str = INCIDENT, **details: Any) -> Document:
    """A timeline entry; `at` is a time of the day of the incident, or a whole instant."""
    instant = at if "T" in at else f"2026-04-12T{at}.000Z"
    return {
        "id": "",
        "kind": kind,
        "at": instant,
        "incident": incident,
        "component": "ollama",
        "text": text,
        **details,
    }


def log_of(
    effects: Mapping[Stream, Iterable[Document]], partition: int = 0, now_ms: int = NOW_MS
) -> FakeLog:
    """A log whose effects topics have these documents."""
    log = FakeLog(now_ms)
    for stream, documents in effects.items():
        add(log, stream, documents, partition)
    return log


def add(log: FakeLog, stream: Stream, documents: Iterable[Document], partition: int = 0) -> None:
    """Append documents to an effects topic, each past the position of the one before."""
    topic = str(getattr(Topics(), stream))
    for one in documents:
        number = log.put(topic, partition, [])
        header = (POSITION_HEADER, f"{number}-0".encode())
        key = one.get("task") or one["incident"] or ""
        log.put(topic, partition, [NewRecord(key.encode(), orjson.dumps(one), (header,))])


def documents(outside: str) -> dict[Stream, list[Document]]:
    """An incident with everything that can be said of one.

    `outside` stands wherever somebody else's words can.
    """
    member = {
        "alert": "f" * 16,
        "name": outside,
        "component": outside,
        "incident": "INC-2",
        "firing": False,
    }
    one = snapshot(
        **dict.fromkeys(
            (
                "title",
                "component",
                "owner",
                "class",
                "root_cause",
                "root_cause_by",
                "acknowledged_by",
                "assignee",
            ),
            outside,
        ),
        state="resolved",
        acknowledged_at="2026-04-12T13:13:00.000Z",
        resolved_at="2026-04-12T13:19:00.000Z",
        eta_at="2026-04-12T14:00:00.000Z",
        assessment={"verdict": "genuine", "scope": outside, "by": outside},
        suppressed_by=[outside],
        members=[member],
        services=[outside],
        alerts_total=3,
        complaints=2,
        records=12,
    )
    steps = [{"say": outside, "run": f"docker logs {number}"} for number in range(2)] + [
        {"say": outside, "run": ""}
    ]
    timeline = [
        entry("Runbook", "13:10:00", outside, runbook="old", steps=[]),
        entry("Runbook", "13:10:00", outside, runbook="new", steps=steps),
        entry("Noted", "13:14:00", outside, by=outside),
        entry("DeliveryFailed", "13:15:00", outside, notification="0-7-1", detail=outside),
        entry("Suppressed", "13:16:00", outside),
        entry("MemberFired", "13:16:00", outside, member="INC-2"),
    ]
    sent = {
        "kind": "opened",
        "at": "2026-04-12T13:10:00.000Z",
        "incident": INCIDENT,
        "channel": "chat",
    }
    return {
        Stream.INCIDENTS: [one],
        Stream.TIMELINE: timeline,
        Stream.NOTIFICATIONS: [
            sent | {"id": f"0-7-{number}", "receiver": outside, "wakes": True} for number in (1, 2)
        ],
        Stream.ESCALATIONS: [
            {
                "at": "2026-04-12T13:12:00.000Z",
                "incident": INCIDENT,
                "rule": "r",
                "step": 2,
                "steps": 4,
            }
            | {"to": {"name": outside}, "because": outside, "records": ["0-7"]}
        ],
        Stream.FOLLOWUPS: [task("review", "2026-04-14T13:19:00.000Z", outside)],
    }


def task(name: str, due_at: str, title: str, state: str = "open", done_by: str = "") -> Document:
    """A follow-up task's snapshot."""
    return {
        "task": f"{INCIDENT}.{name}",
        "incident": INCIDENT,
        "name": name,
        "title": title,
        "owner": "ai",
        "due_at": due_at,
        "state": state,
        "done_by": done_by,
    }
