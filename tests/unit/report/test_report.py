"""Reports, follow-up tasks and availability, from what the engine really says."""

import argparse
import asyncio
import json
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from prometheus_client import REGISTRY

from app.bridge.board.availability import AvailabilityMetrics
from app.cli.board_client import Asked
from app.cli.main import parse
from app.cli.report import show_followups, show_report
from app.render.report_markdown import command_block, inline_text, report_markdown
from app.report.availability import OutageLedger, month_availability, month_of
from app.report.build import build_report
from app.transport.log import NewRecord
from models.effect import Position, Stream
from tests.support.boards import command_succeeds
from tests.support.example_counts import examples
from tests.support.fake_log import FakeLog
from tests.support.hostile_texts import HOSTILE
from tests.support.incident_documents import (
    CONFIG,
    INCIDENT,
    Document,
    documents,
    entry,
    log_of,
    snapshot,
    task,
)
from tests.support.scenario_reports import report_of
from tests.support.shipped_policy import shipped

MARKDOWN = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])


def test_who_did_what() -> None:
    """The report of an incident that went through the whole procedure tells who did what, and how long it took."""
    report = report_of("workflow")

    assert [(one["kind"], one["by"]) for one in report["actions"]] == [
        ("Acknowledged", "ann"),
        ("Assessed", "ann"),
        ("Assigned", "ann"),
        ("Updated", "bob"),
        ("Noted", "bob"),
        ("RootCauseNamed", "bob"),
        ("Mitigated", "bob"),
        ("Closed", "bob"),
        ("CommandRefused", "bob"),
    ]
    assert report["review"]["times_ms"] == {
        "acknowledged": 180_000,
        "mitigated": 1_500_000,
        "resolved": 1_800_000,
    }
    assert [(one["name"], one["state"]) for one in report["tasks"]] == [
        ("review", "done"),
        ("improvements", "open"),
    ]
    assert report["status"] == "Closed"


def test_delivery() -> None:
    """Each message has its delivery state: what no notifier has spoken of is pending."""
    report = report_of("receipts")

    told = [
        (one["channel"], one["delivery"], one["delivery_detail"]) for one in report["notifications"]
    ]
    assert told == [
        ("email", "delivered", ""),
        ("chat", "failed", "mailbox full"),
        ("chat", "pending", ""),
    ]


def test_a_security_incident() -> None:
    """It is called a security incident, says that logs are not to be touched, and gives the runbook for it."""
    report = report_of("security", "SEC-20250615T150640Z-000")

    assert (report["status"], report["security"], report["steps"][0]["say"]) == (
        "SECURITY INCIDENT",
        True,
        "Document everything; do not modify logs",
    )
    assert "Do not modify logs" in report_markdown(report)


@settings(max_examples=examples(40))
@given(
    st.text(min_size=1, max_size=30)
    | st.sampled_from(["# a", "1. b", "![x](http://y)", "<img src=x>", "a\n\n- b", "www.x.org"])
)
def test_what_came_from_outside_is_inert(hostile: str) -> None:
    """Whatever is said, the Markdown has the same structure as with harmless words.

    No link, heading, item or HTML more.
    """
    plain = inline_text("x")
    kinds = _structure(
        f"# {plain}\n\n- **a**: {plain}\n\n1. {plain}\n\n| a |\n|---|\n| {plain} |\n"
    )
    inert = inline_text(hostile)
    document = f"# {inert}\n\n- **a**: {inert}\n\n1. {inert}\n\n| a |\n|---|\n| {inert} |\n"

    assert [kind for kind in _structure(document) if kind != "text"] == [
        kind for kind in kinds if kind != "text"
    ]


@settings(max_examples=examples(40))
@given(st.text(max_size=30) | st.sampled_from(["```", "a ```` b", "\x1b[2J", "a\nreboot"]))
def test_a_command_stays_one_command(hostile: str) -> None:
    """A command is one line of one block, whatever stands in it."""
    tokens = MarkdownIt().parse(
        "1. a\n\n" + "\n".join(command_block(f"docker logs {hostile}x")) + "\n\n2. b\n"
    )
    blocks = [token.content for token in tokens if token.type == "fence"]

    assert len(blocks) == 1
    assert blocks[0].count("\n") == 1
    assert blocks[0].startswith("docker logs ")


def _structure(document: str) -> list[str]:
    tokens = MARKDOWN.parse(document)
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
    ledger = OutageLedger()
    for one in timeline:
        ledger.feed(one)

    assert month_availability(
        ledger.spans("web", begin + 60 * minute), (begin, end), begin + 60 * minute
    ) == {
        "down_ms": 20 * minute,
        "up": pytest.approx(100 * 40 / 60),
        "outages": 2,
    }
    with pytest.raises(ValueError, match="the month is '2026-13', must be such as 2026-11"):
        month_of("2026-13", 0)


def of(found: dict[Stream, list[Document]], **changes: Any) -> Document:
    """The report of documents, with changes to the incident."""
    return build_report(
        found[Stream.INCIDENTS][-1] | changes,
        found[Stream.TIMELINE],
        found[Stream.NOTIFICATIONS],
        found[Stream.ESCALATIONS],
        found[Stream.FOLLOWUPS],
    )


def test_the_review() -> None:
    """It counts times from the opening, holds them against the targets, and says what the correlation spared."""
    assert of(documents("x"))["review"] == {
        "times_ms": {"acknowledged": 180_000, "mitigated": None, "resolved": 540_000},
        "times": {"acknowledged": "3m", "mitigated": "never", "resolved": "9m"},
        "targets": {
            "acknowledge": {"allowed_ms": 120_000, "kept": False},
            "resolve": {"allowed_ms": 3_600_000, "kept": True},
        },
        "clocks": snapshot()["clocks"],
        "root_cause": "x",
        "alert_records": 12,
        "alerts": 3,
        "repeats_dropped": 10,
        "members": 1,
        "reopened": 0,
        "flapping": False,
        "suppressed": 1,
        "escalations": 1,
        "messages": {"delivered": 0, "failed": 1, "pending": 1},
    }
    assert report_markdown(of(documents("x"))).split("## Review\n\n")[1] == (
        "- acknowledged: after 3m; the target was 2m: missed\n"
        "- mitigated: never\n"
        "- resolved: after 9m; the target was 1h: kept\n"
        "- 12 alert records became 2 alerts and one incident\n"
        "- 10 records brought nothing new (repeats and ends)\n"
        "- 1 alert of other components belonged to it\n"
        "- 2 messages (1 failed, 1 pending)\n"
        "- 1 escalation\n"
        "- suppressed 1 time, reopened 0 times\n"
    )


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"state": "open"}, "Open"),
        ({"state": "acknowledged"}, "Investigating"),
        ({"state": "acknowledged", "mitigated_at": "2026-04-12T13:15:00.000Z"}, "Mitigated"),
        ({"state": "resolved", "mitigated_at": "2026-04-12T13:15:00.000Z"}, "Resolved"),
        ({"state": "closed"}, "Closed"),
        ({"state": "open", "status": "SECURITY INCIDENT"}, "SECURITY INCIDENT"),
        ({"state": "resolved", "status": "SECURITY INCIDENT"}, "Resolved"),
    ],
)
def test_status(changes: Document, status: str) -> None:
    """The report has the procedure's words for the states.

    A class's own word until it is resolved.
    """
    assert of(documents("x"), **changes)["status"] == status


def test_it_begins_as_the_procedure_has_it() -> None:
    """First the id, the severity, the status and what to do, each command in a block.

    No actions once it is over.
    """
    head = report_markdown(of(documents("look"), state="open")).split("2. look")[0]

    assert head == (
        f"# Incident report {INCIDENT}\n\n- **Incident ID**: {INCIDENT}\n- **Severity**: P0\n- **Status**: Open\n\n"
        "## Immediate actions\n\n1. look\n\n   ```sh\n   docker logs 0\n   ```\n\n"
    )
    assert "Immediate actions" not in report_markdown(of(documents("look")))


@settings(max_examples=examples(40))
@given(HOSTILE)
@example("a|b")
@example("a\\|b")
def test_what_is_read_is_what_was_said(said: str) -> None:
    """In a heading, an item and a cell a reader sees every sign that was said.

    Only what is no sign is replaced.
    """
    document = f"# {inline_text(said)}\n\n1. {inline_text(said)}\n\n| a | b |\n|---|---|\n| {inline_text(said)} | x |\n"
    expected = "".join(
        sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in said
    ).strip()
    lines = [one for one in MARKDOWN.parse(document) if one.type == "inline"]
    shown = ["".join(part.content for part in line.children or ()) for line in lines]

    # Only an item that says nothing has no line at all.
    assert shown == [expected, *([expected] if expected else []), "a", "b", expected, "x"]


@settings(max_examples=examples(20))
@given(HOSTILE)
@example("")
def test_whatever_is_said_the_report_keeps_its_structure(hostile: str) -> None:
    """No link, HTML, heading, item, block or line more than with harmless words, and the commands as they are."""
    after, alone, harmless = (
        report_markdown(of(documents(words), state="open"))
        for words in (f"x{hostile}", hostile, "x")
    )

    assert _shape(after) == _shape(harmless)
    assert (
        _shape(alone) == _shape(harmless) or not hostile.strip()
    )  # where nothing is said, a fact has no line
    assert _commands(after) == _commands(alone) == ["docker logs 0\n", "docker logs 1\n"]
    assert not {
        "html_block",
        "html_inline",
        "link_open",
        "image",
        "code_block",
        "code_inline",
    } & set(_structure(alone))
    assert all(line.isprintable() for line in [*after.split("\n"), *alone.split("\n")])


@settings(max_examples=examples(20))
@given(
    HOSTILE.filter(str.strip), st.sampled_from((1, 2, 9, 10, 11, 100)), st.sampled_from(("do", ""))
)
@example("```", 1, "do")
@example("a ```` b", 10, "")
def test_a_command_is_byte_for_byte_the_command(command: str, number: int, say: str) -> None:
    """What stands in a step's block is the command.

    Only what is no sign is replaced, so it stays one line of one list.
    """
    steps = [{"say": "look", "run": ""}] * (number - 1) + [
        {"say": say, "run": command},
        {"say": "look", "run": ""},
    ]
    shown = report_markdown(of(documents("x"), state="open") | {"steps": steps})
    expected = "".join(
        sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in command.strip()
    )

    assert _commands(shown) == [f"{expected}\n"]
    assert _structure(shown).count("ordered_list_open") == 1


def _shape(document: str) -> list[str]:
    """The structure without words: how many pieces of text a line has says nothing."""
    return [kind for kind in _structure(document) if kind != "text"]


def _commands(document: str) -> list[str]:
    return [
        one.content
        for one in MarkdownIt("commonmark").parse(document)
        if one.type == "fence" and one.info == "sh"
    ]


def printed(
    capsys: pytest.CaptureFixture[str],
    show: Callable[[Asked, argparse.Namespace], Any],
    found: dict[Stream, list[Document]],
    **arguments: Any,
) -> tuple[bool, str, str]:
    """What a command answers and prints, on standard output and standard error."""
    answer = command_succeeds(log_of(found), CONFIG, show, argparse.Namespace(**arguments))
    out, err = capsys.readouterr()
    return answer, "\n".join(line.rstrip() for line in out.splitlines()), err


def test_the_report_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """It is read from the topics as it is built from their documents, other incidents' and digests left out."""
    found = documents("x")
    digest = {
        "id": "1-1-1",
        "kind": "digest",
        "at": "2026-04-12T13:10:00.000Z",
        "incident": None,
        "text": INCIDENT,
    }
    crowded = found | {
        Stream.NOTIFICATIONS: [digest, *found[Stream.NOTIFICATIONS]],
        Stream.TIMELINE: [entry("Opened", "13:00:00", incident="INC-2"), *found[Stream.TIMELINE]],
    }

    _, out, _ = printed(capsys, show_report, crowded, incident=INCIDENT, json=True)
    assert json.loads(out) == of(found)
    _, out, _ = printed(capsys, show_report, crowded, incident=INCIDENT, json=False)
    assert out == "\n".join(line.rstrip() for line in report_markdown(of(found)).splitlines())


def test_a_report_of_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """Who asks for an incident that there is not hears which there are."""
    unknown = f"{INCIDENT[:-1]}0"
    assert printed(capsys, show_report, documents("x"), incident=unknown, json=False) == (
        False,
        "",
        f"tocsin: no incident '{unknown}'; the newest are: {INCIDENT}\n",
    )


TASKS = [
    task("improvements", "2026-04-14T13:20:00.000Z", "Carry out the improvements"),
    task("review", "2026-04-12T11:20:00.000Z", "Hold a post-mortem\x1b[2J"),
    task("root-cause", "2026-04-12T10:00:00.000Z", "Name the root cause"),
    task("root-cause", "2026-04-12T10:00:00.000Z", "Name the root cause", "done", "ann"),
]


def test_followups(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """What is due first stands first, with how late it is.

    What is done is shown only to who asks for it.
    """
    monkeypatch.setenv("COLUMNS", "120")
    review = f"{INCIDENT}.review        2h overdue  ai     Hold a post-mortem\N{REPLACEMENT CHARACTER}[2J"
    improvements = f"{INCIDENT}.improvements  in 2d       ai     Carry out the improvements"

    _, out, _ = printed(capsys, show_followups, {Stream.FOLLOWUPS: TASKS}, all=False, json=False)
    assert out.splitlines()[1:] == [
        review,
        improvements,
        'finish one: tocsin done TASK "what came of it"',
    ]
    _, out, _ = printed(capsys, show_followups, {Stream.FOLLOWUPS: TASKS}, all=True, json=False)
    assert (
        out.splitlines()[1] == f"{INCIDENT}.root-cause    done by ann  ai     Name the root cause"
    )
    _, out, _ = printed(capsys, show_followups, {Stream.FOLLOWUPS: TASKS}, all=True, json=True)
    assert [json.loads(line) for line in out.splitlines()] == [TASKS[3], TASKS[1], TASKS[0]]
    assert printed(capsys, show_followups, {}, all=False, json=False) == (
        True,
        "nothing is left to do",
        "",
    )


def test_arguments_of_the_commands_are_known() -> None:
    """The commands of the procedure exist in the command line, with an example each."""
    for words in (
        "ack INC x",
        "assign INC bob --team data",
        "assess INC genuine",
        "update INC x --eta 30m",
        "done INC.review",
    ):
        assert isinstance(parse(words.split()), argparse.Namespace)


def test_availability_as_metrics() -> None:
    """What the timeline tells of outages is in the gauges after a scrape, and a second scrape reads only what is new."""
    log = FakeLog(now_ms=month_of("2026-11", 0)[0] + 3_600_000)
    shown = AvailabilityMetrics(log, "timeline", 1, shipped())

    def happened(kind: str, minute: int) -> None:
        at = f"2026-11-01T00:{minute:02d}:00.000Z"
        body = {"kind": kind, "incident": "a", "service": "databases", "at": at}
        log.put(
            "timeline", 0, [NewRecord(b"a", orjson.dumps(body), (Position(minute, 0).header(),))]
        )

    async def scrapes() -> list[float | None]:
        found = []
        for kind, minute in (("ServiceDown", 10), ("ServiceUp", 25)):
            happened(kind, minute)
            await shown.refresh()
            found.append(
                REGISTRY.get_sample_value("tocsin_availability_ratio", {"service": "databases"})
            )
        return found

    assert asyncio.run(scrapes()) == [pytest.approx(10 / 60), pytest.approx(45 / 60)]
    assert (
        REGISTRY.get_sample_value("tocsin_availability_target_ratio", {"service": "databases"})
        == 0.9995
    )
