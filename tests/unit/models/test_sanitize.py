"""Labels and whatever else others say is inert where it goes.

On a terminal, in a log, in a command (Markdown: test_report).
"""

import argparse
import contextlib
import io
import json
import logging
import os
import shlex
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rich.console import Console

from app.cli.incidents import show_incident, show_incidents
from app.cli.report import show_followups, show_report
from app.core.engine import Engine
from app.core.rules.compiled_policy import CompiledPolicy
from app.logs import InertFormatter
from app.render.demo_text import Outcome, show_outcome
from models.effect import Stream
from models.text.sanitize import REPLACEMENT, inert, inert_lines, inert_word
from tests.support.boards import command_succeeds
from tests.support.command_line import commanded_log, run
from tests.support.example_counts import examples
from tests.support.fake_log import FakeLog
from tests.support.incident_documents import CONFIG, INCIDENT, documents, log_of
from tests.support.scenario import START_MS, alert_record
from tests.support.shipped_policy import shipped

NASTY = [
    *(
        "\x1b[2J",
        "\x1b]8;;http://x\x07y\x1b]8;;\x07",
        "\x9b31m",
        "\x07",
        "\x08\x08",
        "\r",
        "a\nb",
        "\x85",
        "\u2028",
        "\t",
        "\x00",
    ),
    *(
        "\u202e",
        "\u2066",
        "\u200f",
        "\u200b",
        "\ufeff",
        "\U000e0041",
        "[red]x[/red]",
        "[link=http://x]y[/link]",
        ":bomb:",
    ),
    *(
        "$(exit 7)",
        "`exit 7`",
        "'; exit 7; '",
        '"; exit 7; "',
        "\\",
        "\\'",
        "a b",
        "&",
        "|cat",
        ">x",
        "#",
        "!",
        "~",
        "*",
        "{component}",
    ),
    *("-", "--", "--all", "-rf", "-n", "=", "%s", "é", "\N{ARABIC LETTER ALEF}", "界"),
]
_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
SAID = st.lists(st.sampled_from(NASTY) | _TEXT, min_size=1, max_size=4).map("".join)


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeLog]:
    """The log of a bridge that the commands find."""
    with commanded_log(monkeypatch) as log:
        yield log


def is_inert(printed: str) -> bool:
    """Whether all lines of what was printed are of signs that are shown as themselves."""
    return all(line.isprintable() for line in printed.split("\n"))


@given(SAID)
def test_inert(said: str) -> None:
    """What is not shown as itself is replaced, sign by sign.

    Everything else stays; once is enough.
    """
    shown = inert(said)

    assert len(shown) == len(said)
    assert shown.isprintable()
    assert all(
        after == before or (after == REPLACEMENT and not before.isprintable())
        for before, after in zip(said, shown, strict=True)
    )
    assert inert(shown) == shown
    assert inert_lines(f"a\n{said}") == "\n".join(inert(line) for line in ["a", *said.split("\n")])
    assert inert_word(said) == (REPLACEMENT + shown[1:] if said.startswith("-") else shown)


RUN = "printf '<%s>' {labels.pod} -- {labels.a}{labels.b} --name={labels.c} x{labels.d} {component}"
WORDS = ("pod", "a", "b", "c", "d")


def _policy() -> CompiledPolicy:
    runbook = {
        "name": "look",
        "match": [],
        "steps": [{"say": "{labels.pod} of {component}", "run": RUN}],
    }
    return CompiledPolicy(shipped().document | {"runbooks": [runbook]})


POLICY = _policy()


@settings(max_examples=examples(12))
@given(st.fixed_dictionaries(dict.fromkeys(WORDS, SAID.filter(bool))), SAID.filter(bool))
@example(dict.fromkeys(WORDS, "--all"), "-rf")
@example(dict.fromkeys(WORDS, "$(exit 7)"), "'; exit 7; '")
def test_a_value_in_a_command_is_one_word_and_no_option(
    labels: dict[str, str], component: str
) -> None:
    """A real shell runs the command that was meant, with the values as its words, and none of them begins with a dash."""
    record = alert_record(START_MS, {"alertname": "X", "component": component, **labels}, component)
    record.offset = 0
    effects = Engine(0, POLICY).apply([record])
    steps = [
        orjson.loads(effect.value)["steps"]
        for effect in effects
        if b'"kind":"Runbook"' in effect.value
    ]

    ((step,),) = steps
    done = subprocess.run(["sh", "-c", step["run"]], capture_output=True, check=True)
    pod, c, d = inert_word(labels["pod"]), inert(labels["c"]), inert(labels["d"])
    words = [
        pod,
        "--",
        inert_word(labels["a"]) + inert(labels["b"]),
        f"--name={c}",
        f"x{d}",
        inert_word(component),
    ]
    assert done.stdout.decode() == "".join(f"<{word}>" for word in words)
    assert shlex.split(step["run"])[2:] == words
    assert step["say"] == f"{inert(labels['pod'])} of {inert(component)}"
    assert step["run"].isprintable()


def _printed(said: str) -> list[str]:
    """What each command that reads the effects prints, when others said that wherever they can say something."""
    found = documents(said)
    for one in found[Stream.INCIDENTS]:
        one["next"] = one["title"]
    escalation = found[Stream.ESCALATIONS][0] | {"severity": "P0", "title": said}
    notifications = [one | {"kind": "opened"} for one in found[Stream.NOTIFICATIONS]]
    outcome = Outcome(
        found[Stream.INCIDENTS],
        [escalation],
        notifications,
        {29_600_000: 3},
        dict.fromkeys(
            (
                "alerts",
                "incidents",
                "members",
                "escalations",
                "notifications",
                "seconds",
                "alerts_per_second",
            ),
            1,
        ),
    )
    effects = log_of(found)
    this, every = (
        argparse.Namespace(incident=INCIDENT, json=False),
        argparse.Namespace(all=True, json=False),
    )
    ways: list[Any] = [
        lambda: command_succeeds(effects, CONFIG, show_incidents, every),
        lambda: command_succeeds(effects, CONFIG, show_incident, this),
        lambda: command_succeeds(effects, CONFIG, show_followups, every),
        lambda: command_succeeds(effects, CONFIG, show_report, this),
        lambda: show_outcome(outcome, Console(width=120)),
    ]
    printed = []
    for way in ways:
        with contextlib.redirect_stdout(io.StringIO()) as out:
            way()
        printed.append(out.getvalue())
    return printed


@settings(max_examples=examples(12))
@given(SAID)
@example("\x1b[2J[red]x[/red]\x9b31m\u202e")
def test_nothing_of_what_is_said_drives_the_terminal(said: str) -> None:
    """Lists, an incident, tasks, a report and the demo.

    All that comes out is printable, with and without markup in it.
    """
    printed = _printed(said)

    assert [is_inert(one) for one in printed] == [True] * 5
    assert all(one.strip() for one in printed)


def test_markup_is_not_obeyed() -> None:
    """Square brackets and colons are shown as they are."""
    incidents, incident, tasks, _, demo = _printed("[red]x[/red] :bomb:")

    assert all("[red]x[/red] :bomb:" in one for one in (incidents, incident, tasks, demo))


@pytest.mark.usefixtures("log")
@pytest.mark.parametrize("said", ["\x1b[2J", "\x9b31m", "\u202e", "a\nb", "\x00"])
def test_answers_of_a_bridge_are_inert(capsys: pytest.CaptureFixture[str], said: str) -> None:
    """The names of matchers, who made a silence, and what is refused.

    All of it is somebody's words.
    """
    matcher = {"name": f"a{said}b", "value": f"x{said}"}
    made = {"matchers": [matcher], "endsAt": "1h", "createdBy": f"ann{said}", "comment": said}
    url = f"http://127.0.0.1:{os.environ['TOCSIN_PORT']}/api/v2/silences"
    request = urllib.request.Request(url, orjson.dumps(made), {"Content-Type": "application/json"})
    urllib.request.urlopen(request, timeout=20).close()
    statuses = [
        run("silence", "list"),
        run("silence", "expire", f"x{said}y"),
        run("ack", f"x{said}y"),
        run("silence", "add", f"a{said}b=x"),
    ]
    told = capsys.readouterr()

    assert statuses == [0, 1, 1, 1]
    assert inert(f"a{said}b") in told.out
    assert is_inert(told.out)
    assert is_inert(told.err)


@given(SAID, SAID)
def test_a_log_line_is_one_line(said: str, raised: str) -> None:
    """Whoever says something that is logged can add neither a line nor a colour.

    A traceback has its own lines only.
    """
    formatter = InertFormatter("%(levelname)s: %(message)s")
    failed = (ValueError, ValueError(raised), None)
    plain = logging.LogRecord("tocsin", logging.ERROR, "", 0, "POST %s", (said,), None)
    broken = logging.LogRecord("tocsin", logging.ERROR, "", 0, "POST %s", (said,), failed)

    assert formatter.format(plain) == f"ERROR: POST {inert(said)}"
    lines = formatter.format(broken).split("\n")
    assert lines[0] == f"ERROR: POST {inert(said)}"
    assert all(line.isprintable() for line in lines)


@pytest.mark.parametrize("said", ["\x1b[2J", "\x9b31m", "\u202e", "\n"])
def test_mistakes_of_a_policy_file_are_told_inertly(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], said: str
) -> None:
    """A key of a file that somebody sent is shown, and not obeyed."""
    file = tmp_path / "policy.yaml"
    file.write_text(
        f"{json.dumps(f'a{said}b')}: x\n{json.dumps(f'c{said}d')}: {json.dumps(said)}\n"
    )

    status = run("policy", "check", str(file))

    told = capsys.readouterr().err
    assert status == 1
    assert is_inert(told)
    assert inert(f"a{said}b") in told or said == "\n"
