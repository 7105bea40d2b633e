"""The operators' commands of the command line, in front of a bridge on a log in memory."""

import getpass
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import orjson
import pytest

from app.cli.main import main, parse
from models.command import Command
from models.text.instant import format_instant
from tests.support.command_line import commanded_log, run
from tests.support.fake_log import FakeLog
from tests.support.served_bridge import INCIDENT
from tests.support.worked_log import WorkedLog

NOW_MS = FakeLog().at_ms
NOBODY = "0b3b4f3c-0000-4000-8000-000000000000"


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeLog]:
    """The log of a bridge that the commands find."""
    with commanded_log(monkeypatch) as log:
        yield log


@pytest.mark.parametrize(
    ("arguments", "command", "details"),
    [
        (["ack"], "acknowledge", {"text": ""}),
        (["acknowledge", "--by", "ann"], "acknowledge", {"by": "ann", "text": ""}),
        (
            ["ack", "--by", "ann", "looking", "into it"],
            "acknowledge",
            {"by": "ann", "text": "looking into it"},
        ),
        (
            ["ack", "looking", "--by", "ann", "into it"],
            "acknowledge",
            {"by": "ann", "text": "looking into it"},
        ),
        (["assign", "bob"], "assign", {"text": "", "to": "bob", "team": ""}),
        (["assign", "bob", "--team", "data"], "assign", {"text": "", "to": "bob", "team": "data"}),
        (["assign", "--team", "data"], "assign", {"text": "", "to": "", "team": "data"}),
        (["assess", "genuine"], "assess", {"text": "", "verdict": "genuine", "scope": ""}),
        (
            ["assess", "false-positive", "--scope", "none", "a", "test"],
            "assess",
            {"text": "a test", "verdict": "false-positive", "scope": "none"},
        ),
        (["note", "hm"], "note", {"text": "hm"}),
        (["root-cause", "a", "lock"], "root-cause", {"text": "a lock"}),
        (["mitigate"], "mitigate", {"text": ""}),
        (["update", "soon"], "update", {"text": "soon"}),
        (
            ["update", "--eta", "30m", "soon"],
            "update",
            {"text": "soon", "eta_ms": NOW_MS + 1_800_000},
        ),
        (["complaint"], "complaint", {"text": "", "number": 1}),
        (
            ["complaint", "--number", "3", "by phone"],
            "complaint",
            {"text": "by phone", "number": 3},
        ),
        (["escalate"], "escalate", {"text": ""}),
        (
            ["escalate", "--step", "4", "we need a decision"],
            "escalate",
            {"text": "we need a decision", "step": 4},
        ),
        (["resolve"], "resolve", {"text": ""}),
        (["reopen", "back"], "reopen", {"text": "back"}),
        (["close"], "close", {"text": ""}),
        (["split", INCIDENT, "not ours"], "split", {"text": "not ours"}),
    ],
)
def test_a_command_reaches_the_journal(
    log: FakeLog,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    command: str,
    details: dict[str, Any],
) -> None:
    """Whatever the order of its words and options; the status says that no worker has answered."""
    status = run(arguments[0], INCIDENT, *arguments[1:])

    expected = {"command": command, "incident": INCIDENT, "by": getpass.getuser()} | details
    assert (status, [orjson.loads(value) for value in log.values()]) == (3, [expected])
    assert capsys.readouterr().err == (
        f"tocsin: {INCIDENT}: no worker has answered yet; the command is in the journal, and will be"
        f" carried out; look later: tocsin incidents show {INCIDENT}\n"
    )


@pytest.mark.parametrize(
    ("arguments", "status", "text"),
    [
        (["ack", "--by", "ann", "looking"], 0, "{} is acknowledged: ann acknowledged it: looking"),
        (["note", "--by", "ann", "hm"], 0, "{} is open: ann: hm"),
        (
            ["reopen"],
            1,
            "tocsin: the incident is open, so reopen is not possible. Possible: acknowledge, resolve",
        ),
        (
            ["escalate", "--step", "9"],
            1,
            (
                "tocsin: step is 9, must be one of platform: 1 On-call Platform Engineer,"
                " 2 Platform Team Lead, 3 Engineering Manager, 4 CTO"
            ),
        ),
    ],
)
def test_one_sentence_says_what_came_of_a_command(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    status: int,
    text: str,
) -> None:
    """The exit status says whether it was carried out."""
    with commanded_log(monkeypatch, WorkedLog) as log:
        assert isinstance(log, WorkedLog)
        log.fire()
        incident = log.incidents()[0]
        ended = run(arguments[0], incident, *arguments[1:])

    told = capsys.readouterr()
    assert (ended, told.out + told.err) == (status, text.format(incident) + "\n")


def test_an_incident_that_never_was(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody is told that an acknowledgement of nothing has succeeded."""
    with commanded_log(monkeypatch, WorkedLog):
        status = run("ack", INCIDENT, "x")

    expected = f"tocsin: no incident {INCIDENT!r}; the newest are: none yet\n"
    assert (status, capsys.readouterr().err) == (1, expected)


def test_a_task_is_done_by_its_id(log: FakeLog) -> None:
    """As `tocsin followups` shows it."""
    status = run("done", f"{INCIDENT}.review", "held on Tuesday", "--by", "ann")

    expected = {
        "command": "done",
        "incident": INCIDENT,
        "by": "ann",
        "text": "held on Tuesday",
        "task": "review",
    }
    assert (status, [orjson.loads(value) for value in log.values()]) == (3, [expected])


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["note", INCIDENT], "text: is ''; String should have at least 1 character"),
        (
            ["ack", "nonsense"],
            "'nonsense' is not an incident id such as INC-20260412T031502Z-00K3F",
        ),
        (["ack", "a/b?c"], "'a/b?c' is not an incident id such as INC-20260412T031502Z-00K3F"),
        (
            ["assign", INCIDENT],
            "to: is missing, and so is team; must name a person, a team or both",
        ),
        (["done", "review"], "'review' is not an incident id such as INC-20260412T031502Z-00K3F"),
        (
            ["silence", "add", "alertname="],
            "matchers: each matches an empty value, as an absent label has; one at least must not",
        ),
        (
            ["silence", "add", "x", "--for", "1h"],
            """a matcher is 'x', must be a matcher such as alertname=~"Ollama.*" or team="ai\"""",
        ),
        (
            ["silence", "add", "a=b", "--for", "long"],
            "endsAt: is 'long', must be an RFC 3339 time, or a duration such as 30m",
        ),
        (["silence", "expire", NOBODY], f"there is no silence '{NOBODY}'"),
    ],
)
def test_says_why_not(
    log: FakeLog, capsys: pytest.CaptureFixture[str], arguments: list[str], text: str
) -> None:
    """What the bridge refuses is told in one line, and the exit status is 1."""
    status = run(*arguments)

    assert (status, capsys.readouterr().err, log.batches) == (1, f"tocsin: {text}\n", [])


@pytest.mark.parametrize(
    "arguments",
    [
        ["assess", INCIDENT, "maybe"],
        ["escalate", INCIDENT, "--step", "two"],
        ["ack", INCIDENT, "--team", "data"],
        ["silence", "list", "everything"],
        ["followups", "everything"],
    ],
)
def test_wrong_arguments(log: FakeLog, arguments: list[str]) -> None:
    """They are refused before anybody is asked."""
    assert (run(*arguments), log.batches) == (2, [])


def test_silences(log: FakeLog, capsys: pytest.CaptureFixture[str]) -> None:
    """Added, listed and expired."""
    statuses = [run("silence", "list")]
    statuses.append(
        run(
            "silence",
            "add",
            'team="ai"',
            "alertname=~Slow.*",
            "--for",
            "2h",
            "--by",
            "ann",
            "--comment",
            "x",
        )
    )
    name = orjson.loads(log.values()[0])["silence"]
    statuses += [run("silence", "list"), run("silence", "expire", name), run("silence", "list")]

    until = format_instant(NOW_MS + 7_200_000)[:19]
    assert statuses == [0] * 5
    assert capsys.readouterr().out.splitlines() == [
        "nothing is silenced",
        f"{name}: silenced for 2h; end it: tocsin silence expire {name}",
        "not every worker has answered; the lists may be incomplete",
        f'{name}  active until {until}Z  team="ai" alertname=~"Slow.*"  by \'ann\'',
        f"{name}: expired",
        "nothing is silenced",
    ]
    assert [orjson.loads(value)["ends_ms"] for value in log.values()] == [
        NOW_MS + 7_200_000
    ] * 2 + [NOW_MS] * 2


@pytest.mark.usefixtures("log")
def test_silences_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    """With --json each is an object on a line of its own, in plain ASCII; none is no line."""
    statuses = [run("silence", "list", "--json")]
    none = capsys.readouterr().out
    statuses.append(run("silence", "add", 'team="\x1bai"', "--for", "2h", "--by", "ann"))
    capsys.readouterr()
    statuses.append(run("silence", "list", "--json"))
    listed = capsys.readouterr().out

    matcher = {"name": "team", "value": "\x1bai", "isRegex": False, "isEqual": True}
    assert (statuses, none) == ([0, 0, 0], "")
    assert listed.isascii()
    assert "\x1b" not in listed
    assert [
        (one["createdBy"], one["matchers"]) for one in map(orjson.loads, listed.splitlines())
    ] == [("ann", [matcher])]


def test_says_that_there_is_no_bridge(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody listens there, or somebody else does."""

    class Stranger(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(418)

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Stranger)
    port = server.server_address[1]
    monkeypatch.setenv("TOCSIN_PORT", str(port))
    answering = threading.Thread(target=server.handle_request)
    answering.start()
    stranger = run("silence", "list")
    answering.join()
    server.server_close()
    nobody = run("silence", "list")

    url = f"http://127.0.0.1:{port}/api/v2/silences"
    refused = "[Errno 111] Connection refused; is `tocsin up` running, is TOCSIN_PORT its port?"
    assert (stranger, nobody) == (1, 1)
    assert capsys.readouterr().err.splitlines() == [
        f"tocsin: {url} answered 418, and not as a bridge does: is TOCSIN_PORT its port?",
        f"tocsin: no bridge at {url}: {refused}",
    ]


@pytest.mark.parametrize(
    "command", [*Command, "ack", "silence add", "silence list", "silence expire"]
)
def test_every_command_has_an_example(capsys: pytest.CaptureFixture[str], command: str) -> None:
    """Its help ends with one."""
    with pytest.raises(SystemExit):
        parse([*command.split(), "--help"])

    assert "example: tocsin " in capsys.readouterr().out


@pytest.mark.parametrize("words", [["acknowlege"], ["assess", "INC-1", "perhaps"]])
def test_what_may_be_said_is_told_as_it_is_typed(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever mistypes a command reads names, not Python's objects."""
    with pytest.raises(SystemExit):
        main(words)

    said = capsys.readouterr().err
    assert (
        "did you mean 'acknowledge'?" if len(words) == 1 else "'genuine', 'false-positive'"
    ) in said
    assert "<" not in said


def test_merge_names_the_whole_first(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The second incident becomes a part of the first; `split` says what there is."""
    with commanded_log(monkeypatch, WorkedLog) as log:
        assert isinstance(log, WorkedLog)
        for component in ("postgres", "checkout"):
            log.fire(severity="high", alertname="Slow", component=component)
        whole, part = log.incidents()
        merged = run("merge", whole, part, "the same cause", "--by", "ann")
        split = run("split", whole, "nothing")

    told = capsys.readouterr()
    assert (merged, split) == (0, 1)
    assert told.out == f"{part} is open: ann merged it into {whole}: the same cause\n"
    assert told.err.startswith(f"tocsin: {whole} has no part named 'nothing', must be one of: ")
