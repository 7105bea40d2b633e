"""Reports, follow-up tasks and availability, from what the engine really says."""

import argparse
import asyncio
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from prometheus_client import REGISTRY

from app.bridge.availability import AvailabilityMetrics
from app.cli import _parser
from app.policy_file import load
from app.report.availability import month_of, outages, share
from app.report.build import build
from app.report.markdown import code, markdown, text
from app.transport.log import NewRecord
from models.effect import Effect, Position, Stream
from tests.fake_log import FakeLog
from tests.scenario import one_by_one, play, read

SCENARIOS = Path(__file__).parent / "scenarios"


def report_of(scenario: str, incident: str = "INC-20250615T150640Z-000", **said: str) -> dict[str, Any]:
    """The report of an incident of a scenario; texts of the scenario are replaced as `said` says."""
    policy = load()
    records, _ = read(SCENARIOS / f"{scenario}.txt", policy)
    for record in records:
        for before, after in said.items():
            record.value = (record.value or b"").replace(before.encode(), orjson.dumps(after)[1:-1])
    _, effects = play(policy, records, one_by_one)
    return report_from(effects, incident)


def report_from(effects: list[Effect], incident: str) -> dict[str, Any]:
    """The report of an incident that effects tell of."""
    found: dict[Stream, list[dict[str, Any]]] = {stream: [] for stream in Stream}
    for effect in effects:
        if effect.stream not in (Stream.JOURNAL, Stream.DEADLETTER, Stream.SILENCES):
            body = orjson.loads(effect.value)
            if body["incident"] == incident:
                found[effect.stream].append(body)
    tasks = {task["task"]: task for task in found[Stream.FOLLOWUPS]}
    timeline, notifications = found[Stream.TIMELINE], found[Stream.NOTIFICATIONS]
    return build(found[Stream.INCIDENTS][-1], timeline, notifications, found[Stream.ESCALATIONS], tasks.values())


def test_who_did_what() -> None:
    """The report of an incident that went through the whole procedure tells who did what, and how long it took."""
    report = report_of("workflow")

    assert [(one["kind"], one["by"]) for one in report["actions"]] == [
        ("Acknowledged", "ann"),
        ("Assessed", "ann"),
        ("Assigned", "ann"),
        ("Updated", "bob"),
        ("Noted", "bob"),
        ("CauseNamed", "bob"),
        ("Mitigated", "bob"),
        ("Closed", "bob"),
    ]
    assert report["review"]["times_ms"] == {"acknowledged": 180_000, "mitigated": 1_500_000, "resolved": 1_800_000}
    assert [(one["name"], one["state"]) for one in report["tasks"]] == [("review", "done"), ("improvements", "open")]
    assert report["status"] == "Closed"


def test_delivery() -> None:
    """Each message has its delivery state: what no notifier has spoken of is pending."""
    report = report_of("receipts")

    told = [(one["channel"], one["delivery"], one["delivery_detail"]) for one in report["notifications"]]
    assert told == [
        ("email", "delivered", ""),
        ("chat", "failed", "mailbox full"),
        ("chat", "pending", ""),
    ]


def test_a_security_incident() -> None:
    """It is called a security incident, says that logs are not to be touched, and gives the guide for it."""
    report = report_of("security", "SEC-20250615T150640Z-000")

    assert (report["status"], report["security"], report["steps"][0]["say"]) == (
        "SECURITY INCIDENT",
        True,
        "Document everything; do not modify logs",
    )
    assert "Do not modify logs" in markdown(report)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    st.text(min_size=1, max_size=30)
    | st.sampled_from(["# a", "1. b", "![x](http://y)", "<img src=x>", "a\n\n- b", "www.x.org"])
)
def test_what_came_from_outside_is_inert(hostile: str) -> None:
    """Whatever is said, the Markdown has the same structure as with harmless words: no link, heading, item or HTML more."""
    kinds = _structure(f"# {text('x')}\n\n- **a**: {text('x')}\n\n1. {text('x')}\n\n| a |\n|---|\n| {text('x')} |\n")
    document = (
        f"# {text(hostile)}\n\n- **a**: {text(hostile)}\n\n1. {text(hostile)}\n\n| a |\n|---|\n| {text(hostile)} |\n"
    )

    assert [kind for kind in _structure(document) if kind != "text"] == [kind for kind in kinds if kind != "text"]


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.text(max_size=30) | st.sampled_from(["```", "a ```` b", "\x1b[2J", "a\nreboot"]))
def test_a_command_stays_one_command(hostile: str) -> None:
    """A command is one line of one block, whatever stands in it."""
    tokens = MarkdownIt().parse("1. a\n\n" + "\n".join(code(f"docker logs {hostile}x")) + "\n\n2. b\n")
    blocks = [token.content for token in tokens if token.type == "fence"]

    assert len(blocks) == 1
    assert blocks[0].count("\n") == 1
    assert blocks[0].startswith("docker logs ")


def _structure(document: str) -> list[str]:
    tokens = MarkdownIt("commonmark", {"html": True}).enable(["table"]).parse(document)
    return [one.type for token in tokens for one in (token, *(token.children or ()))]


def test_availability() -> None:
    """Outages of two incidents that overlap count once, and what is down still counts until now."""
    minute = 60_000
    begin, end = month_of("2026-11", 0)

    def entry(kind: str, incident: str, minutes: int) -> dict[str, Any]:
        at = f"2026-11-01T00:{minutes:02d}:00.000Z"
        return {"kind": kind, "incident": incident, "service": "web", "at": at}

    timeline = [
        entry("ServiceDown", "a", 10),
        entry("ServiceDown", "b", 12),
        entry("ServiceUp", "a", 15),
        entry("ServiceUp", "b", 20),
        entry("ServiceDown", "c", 50),
    ]
    spans = outages(timeline, begin + 60 * minute)

    assert share(spans["web"], (begin, end), begin + 60 * minute) == {
        "down_ms": 20 * minute,
        "up": pytest.approx(100 * 40 / 60),
        "outages": 2,
    }
    with pytest.raises(ValueError, match="the month is '2026-13', must be such as 2026-11"):
        month_of("2026-13", 0)


def test_arguments_of_the_commands_are_known() -> None:
    """The commands of the procedure exist in the command line, with an example each."""
    for words in (
        "ack INC x",
        "assign INC bob --team data",
        "assessed INC genuine",
        "update INC x --eta 30m",
        "done INC.review",
    ):
        assert isinstance(_parser().parse_args(words.split()), argparse.Namespace)


def test_availability_as_metrics() -> None:
    """What the timeline tells of outages is in the gauges after a scrape, and a second scrape reads only what is new."""
    log = FakeLog(now_ms=month_of("2026-11", 0)[0] + 3_600_000)
    shown = AvailabilityMetrics(log, "timeline", 1, load())

    def happened(kind: str, minute: int) -> None:
        at = f"2026-11-01T00:{minute:02d}:00.000Z"
        body = {"kind": kind, "incident": "a", "service": "databases", "at": at}
        log.put("timeline", 0, [NewRecord(b"a", orjson.dumps(body), (Position(minute, 0).header(),))])

    async def scrapes() -> list[float | None]:
        found = []
        for kind, minute in (("ServiceDown", 10), ("ServiceUp", 25)):
            happened(kind, minute)
            await shown.refresh()
            found.append(REGISTRY.get_sample_value("tocsin_availability_ratio", {"service": "databases"}))
        return found

    assert asyncio.run(scrapes()) == [pytest.approx(10 / 60), pytest.approx(45 / 60)]
    assert REGISTRY.get_sample_value("tocsin_availability_target_ratio", {"service": "databases"}) == 0.9995
