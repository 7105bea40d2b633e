"""The table of commands: help, version, mistyped names, and what a command imports."""

import subprocess
import sys
from pathlib import Path

import pytest

from app.cli.commands import ALIASES, COMMANDS
from app.cli.main import main, parser_of

ROOT = Path(__file__).parents[3]
# They take longer to import than an operator's command takes to answer.
HEAVY = ("faust", "aiohttp", "aiokafka", "pydantic", "yaml", "re2", "app.core.engine")


def modules_after(*words: str) -> set[str]:
    """The modules that a process has imported when a command is done."""
    code = (
        "import sys; from app.cli.main import main\n"
        "try: main(sys.argv[1:])\n"
        "except SystemExit: pass\n"
        "sys.stdout.write('\\0' + ' '.join(sys.modules))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, *words], cwd=ROOT, check=True, capture_output=True, text=True
    )
    return set(ended.stdout.rpartition("\0")[2].split())


@pytest.mark.parametrize(
    "words",
    [
        ["ack", "--help"],
        ["incidents", "list", "--help"],
        ["report", "--help"],
        ["deadletters", "show", "--help"],
        ["explain", "--help"],
        ["--help"],
    ],
    ids=" ".join,
)
def test_commands_of_operators_import_little(words: list[str]) -> None:
    """What serves, and what decides, is not imported for a command that asks a bridge."""
    assert modules_after(*words).isdisjoint(HEAVY)


def test_a_command_imports_no_other() -> None:
    """Of the modules of commands only the one that is asked for is imported."""
    others = {entry.module for entry in COMMANDS.values()} - {"app.cli.incident_commands"}

    assert modules_after("ack", "--help").isdisjoint(others)


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"], ["help"]])
def test_help_names_every_command(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """`tocsin` alone shows it too, and that is no error."""
    status = main(words)

    lines = capsys.readouterr().out.splitlines()
    names = [line[2:].split("  ")[0] for line in lines if line.startswith("  ")]
    assert status == 0
    assert [name.split(", ")[0] for name in names] == list(COMMANDS)


@pytest.mark.parametrize("words", [["silence"], ["silence", "--help"]])
def test_a_group_names_its_commands(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """The first word of commands of two words shows those, and no others."""
    status = main(words)

    lines = capsys.readouterr().out.splitlines()
    names = [line[2:].split("  ")[0] for line in lines if line.startswith("  ")]
    assert (status, names) == (0, ["silence add", "silence list", "silence expire"])


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    """`tocsin --version` prints the version of the distribution."""
    status = main(["--version"])

    assert (status, capsys.readouterr().out) == (0, "tocsin 0.1.0\n")


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["acknowlege"], "'acknowlege'; did you mean 'acknowledge'? (see tocsin --help)"),
        (["incident"], "'incident'; did you mean 'incidents'? (see tocsin --help)"),
        (["silence", "ad"], "'ad'; did you mean 'add'? (see tocsin silence --help)"),
        (["xyzzy"], "'xyzzy' (see tocsin --help)"),
        (["\x1b[2J"], "'\\x1b[2J' (see tocsin --help)"),
    ],
)
def test_a_mistyped_command(
    words: list[str], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The nearest name is shown, and the status is 2."""
    with pytest.raises(SystemExit) as ended:
        main(words)

    said = capsys.readouterr().err
    assert (ended.value.code, said) == (2, f"tocsin: there is no command {text}\n")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_example_is_understood(name: str) -> None:
    """Help of a command ends with an example that begins with its name, or its other name."""
    entry = COMMANDS[name]
    text = parser_of(entry).format_help()

    assert f"example: tocsin {entry.example.split()[0]}" in text.replace("\n", " ")
    assert any(entry.example.startswith(known) for known in (name, entry.alias) if known)


def test_no_two_commands_have_a_name() -> None:
    """An alias is no command's name."""
    assert set(ALIASES).isdisjoint(COMMANDS)
