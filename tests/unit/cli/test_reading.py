"""The commands that read: they ask a bridge, with a token and nothing else, or read a journal."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.bridge.access.tokens import Permission
from app.cli.bridge_client import ask_bridge
from app.cli.main import main
from tests.support.engines import Tocsin, wait_until

ALERT = {"alertname": "PostgreSQLDown", "component": "postgres", "severity": "critical"}
ROOT = Path(__file__).parents[3]
READER, OPERATOR = "reader-" + "r" * 20, "operator-" + "o" * 20
COMMANDS = (
    "incidents list --all",
    "incidents show INCIDENT --json",
    "report INCIDENT",
    "report INCIDENT --json",
    "followups --all",
    "explain INCIDENT",
    "explain INCIDENT --json",
    "deadletters list",
    "deadletters list --json",
    "deadletters show LETTER",
    "deadletters show LETTER --raw",
)


class Served:
    """A `tocsin up` with an incident and a dead letter."""

    def __init__(self, folder: Path) -> None:
        tokens, self.journal = folder / "tokens", folder / "journal"
        tokens.write_text(
            f"board {Permission.READ} {READER}\nann {Permission.OPERATE} {OPERATOR}\n"
        )
        tokens.chmod(0o600)
        self.service = Tocsin(
            "up",
            TOCSIN_BROKER=f"embedded:{self.journal}",
            TOCSIN_PARTITIONS="2",
            TOCSIN_TOKENS=str(tokens),
        )
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("TOCSIN_URL", self.service.url)
            patch.setenv("TOCSIN_TOKEN", OPERATOR)
            self.incident, self.letter = self._fill()

    def _fill(self) -> tuple[str, str]:
        """Send an alert, and a command that the engine refuses."""
        ask_bridge("POST", "/api/v2/alerts", [{"labels": ALERT}])
        incident = _first("/api/v1/incidents")["incident"]
        ask_bridge("POST", f"/api/v1/incidents/{incident}0/note", {"by": "ann", "text": "hm"})
        return str(incident), str(_first("/api/v1/deadletters")["id"])

    def words(self, command: str) -> list[str]:
        """The words of a command about the incident and the letter."""
        text = command.replace("INCIDENT", self.incident).replace("LETTER", self.letter)
        return text.split()


def _first(path: str) -> Any:
    """The first item of a list, as soon as there is one."""
    wait_until(lambda: bool(ask_bridge("GET", path, None)["items"]), f"an item of {path}")
    return ask_bridge("GET", path, None)["items"][0]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A service that ends with the tests of this module."""
    found = Served(tmp_path_factory.mktemp("served"))
    yield found
    found.service.stop()


@pytest.fixture(autouse=True)
def _environment(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands have a URL and a reader's token. They stand where the service does."""
    monkeypatch.chdir(ROOT)  # names of files are shown as short as the folder allows
    monkeypatch.setenv("TOCSIN_URL", served.service.url)
    monkeypatch.setenv("TOCSIN_TOKEN", READER)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_bridge_answers_as_a_journal_does(
    command: str, served: Served, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    """The same is printed, and its status is 0."""
    words = served.words(command)
    asked = main(words), capfdbinary.readouterr().out
    read = main([*words, "--journal", str(served.journal)]), capfdbinary.readouterr().out
    named = (
        main([*words, "--journal", f"embedded:{served.journal}"]),
        capfdbinary.readouterr().out,
    )

    assert asked == read == named
    assert asked[0] == 0
    assert asked[1] or command.startswith("followups")


@pytest.mark.parametrize(
    ("command", "text"),
    [
        ("incidents show INCIDENT9", "no incident 'INCIDENT9'; the newest are: INCIDENT"),
        ("timeline nonsense", "'nonsense' is not an incident id such as "),
        ("report INCIDENT9", "no incident 'INCIDENT9'; the newest are: INCIDENT"),
        ("explain 1-999999-0", ""),
        ("availability --month 2026-13", "the month is '2026-13', must be such as 2026-11"),
        ("availability --month 9999-01", "the month is '9999-01', which has not begun: "),
        ("deadletters show 0-999-0", "no dead letter '0-999-0'; the newest are: LETTER"),
    ],
)
def test_what_there_is_not_is_told(
    command: str, text: str, served: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    """In one line, the same whether a bridge is asked or a journal is read; the status is 1."""
    words = served.words(command)
    asked = main(words), capsys.readouterr().err
    read = main([*words, "--journal", str(served.journal)]), capsys.readouterr().err

    assert asked == read
    assert asked[0] == 1
    expected = text.replace("INCIDENT", served.incident).replace("LETTER", served.letter)
    assert asked[1].startswith(f"tocsin: {expected}")
    assert asked[1].count("\n") == 1


def test_a_reader_may_not_act(served: Served, capsys: pytest.CaptureFixture[str]) -> None:
    """The role `read` reads, and no more."""
    status = main(["ack", served.incident])

    text = "tocsin: the token of board may read, must be one that may operate\n"
    assert (status, capsys.readouterr().err) == (1, text)
