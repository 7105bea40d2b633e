"""What `tocsin incidents show` tells somebody who has just been woken, from documents as the engine writes them."""

import argparse
import asyncio
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from app.cli.incidents import show_incident
from app.history.effects import effects_of
from app.terminal.incidents_table import is_folded
from app.terminal.style import as_text
from models.effect import Stream
from models.topics import Topics
from tests.support.boards import command_succeeds
from tests.support.incident_documents import CONFIG, INCIDENT, Document, entry, log_of, snapshot


def shown(
    capsys: pytest.CaptureFixture[str],
    one: Document,
    timeline: Iterable[Document] = (),
    incident: str = INCIDENT,
) -> tuple[bool, str, str]:
    """What showing an incident answers and prints, on standard output and standard error."""
    log = log_of({Stream.INCIDENTS: [one], Stream.TIMELINE: timeline})
    found = command_succeeds(
        log, CONFIG, show_incident, argparse.Namespace(incident=incident, json=False)
    )
    out, err = capsys.readouterr()
    return found, "\n".join(line.rstrip() for line in out.splitlines()), err


@pytest.fixture(autouse=True)
def _terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")


def test_an_open_incident(capsys: pytest.CaptureFixture[str]) -> None:
    """It says what to do first, how to take it, and which target is missed."""
    told = [
        entry("Opened", "13:10:00", "OllamaServiceDown on ollama"),
        entry("Resolved", "13:11:00", incident="INC-X"),
    ]

    _, out, _ = shown(capsys, snapshot(), told)
    assert out.splitlines()[2:] == [
        "next: Check its log: docker logs ollama",
        f"then: tocsin ack {INCIDENT}",
        "acknowledge: breached, was due 2026-04-12T13:12:00Z",
        "resolve: due in 50m",
        "  2026-04-12T13:10:00.000Z  Opened         OllamaServiceDown on ollama",
    ]


def test_a_taken_incident(capsys: pytest.CaptureFixture[str]) -> None:
    """It says who has it, what is known of it, and who said what where the text does not."""
    member = {
        "alert": "f" * 16,
        "name": "AgentDown",
        "component": "planner",
        "incident": "INC-2",
        "firing": True,
    }
    one = snapshot(
        state="acknowledged",
        acknowledged_by="ann",
        assignee="bob",
        eta_at="2026-04-12T13:10:00.000Z",
        root_cause="no memory",
        suppressed_by=["silenced until noon"],
        parents=["INC-1"],
        members=[member],
        clocks={"acknowledge": {"due_at": "2026-04-12T13:12:00.000Z", "state": "met"}},
    )
    told = [
        entry("Noted", "13:15:00", "ann: restarting", by="ann"),
        entry("Escalated", "13:16:00", "help: step 3", by="ann"),
        entry("Resolved", "13:17:00", "over", by=""),
    ]

    _, out, _ = shown(capsys, one, told)
    assert out.splitlines()[2:] == [
        "next: Check its log: docker logs ollama",
        f'then: tocsin update {INCIDENT} "how it goes" --eta 30m; once it is: tocsin mitigate {INCIDENT}',
        "suppressed: silenced until noon",
        "part of: INC-1",
        "members: AgentDown on planner",
        "with: bob",
        "expected to be over: 2026-04-12T13:10:00Z, 10m ago",
        "root cause: no memory",
        "acknowledge: met, was due 2026-04-12T13:12:00Z",
        "  2026-04-12T13:15:00.000Z  Noted          ann: restarting",
        "  2026-04-12T13:16:00.000Z  Escalated      help: step 3 (by ann)",
        "  2026-04-12T13:17:00.000Z  Resolved       over",
    ]


MITIGATED = {"state": "acknowledged", "mitigated_at": "2026-04-12T13:15:00.000Z"}


@pytest.mark.parametrize(
    ("changes", "then"),
    [
        (MITIGATED, f'then: tocsin root-cause {INCIDENT} "what it was"'),
        (MITIGATED | {"root_cause": "x"}, f"then: tocsin resolve {INCIDENT}"),
        ({"state": "resolved"}, f'then: tocsin root-cause {INCIDENT} "what it was"'),
        ({"state": "resolved", "root_cause": "x"}, f"then: tocsin close {INCIDENT}"),
        (
            {"state": "closed"},
            f"then: tocsin report {INCIDENT}; what it left to do: tocsin followups",
        ),
    ],
)
def test_what_is_to_be_done_then(
    capsys: pytest.CaptureFixture[str], changes: Document, then: str
) -> None:
    """Each state has one command that brings the incident on.

    A clock that ended with it is not due any more.
    """
    _, out, _ = shown(capsys, snapshot(**changes))

    assert [line for line in out.splitlines() if line.startswith("then: ")] == [then]
    assert ("resolve: due" in out) == (changes["state"] == "acknowledged")


def test_an_incident_that_is_not_known(capsys: pytest.CaptureFixture[str]) -> None:
    """Who asks for an incident that there is not hears which there are."""
    assert shown(capsys, snapshot(), incident=f"{INCIDENT}0") == (
        False,
        "",
        f"tocsin: no incident '{INCIDENT}0'; the newest are: {INCIDENT}\n",
    )


def test_only_what_is_about_the_incident() -> None:
    """Effects of one incident are those that are its own, not those that only name it."""
    mine, other = (
        entry("Opened", "13:10:00"),
        entry("Suppressed", "13:11:00", f"a member of {INCIDENT}", incident="INC-2"),
    )
    log = log_of({Stream.TIMELINE: [mine, other]})

    assert asyncio.run(effects_of(log, Topics().timeline, 2, about=INCIDENT)) == [mine]
    assert asyncio.run(effects_of(log, Topics().timeline, 2)) == [mine, other]


@hypothesis_settings(deadline=None, derandomize=True)
@given(st.text())
def test_inert(text: str) -> None:
    """What a terminal would obey is replaced, sign by sign; everything else stays."""
    plain = as_text(text).plain

    assert len(plain) == len(text)
    assert plain.isprintable()
    assert all(
        before == after or not before.isprintable()
        for before, after in zip(text, plain, strict=True)
    )


@pytest.mark.parametrize(
    ("changes", "folded"),
    [
        ({"parents": ["INC-1"], "suppressed_by": ["depends on Ollama"], "notified_at": None}, True),
        ({"parents": ["INC-1"], "state": "closed", "notified_at": None}, True),
        (
            {"parents": ["INC-1"], "suppressed_by": ["depends on Ollama"]},
            False,
        ),  # somebody was told of it before
        ({"parents": ["INC-1"], "notified_at": None}, False),  # it is loud, and will be told
        ({"suppressed_by": ["silenced by ann"], "notified_at": None}, False),
    ],
)
def test_what_a_list_need_not_show(changes: Document, folded: bool) -> None:
    """A list leaves out what is part of another incident and was told to nobody, and nothing else."""
    assert is_folded(snapshot(**changes)) is folded
