"""`tocsin policy init`: five questions, a policy and a receivers file."""

import argparse
import os
import re
import sys
import zoneinfo
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from app.files import policy_file
from app.files.yaml_file import BadFile
from app.policy.starter import ROLES, Answers, policy_text, receivers_text
from models.errors import TocsinError
from models.text.sanitize import inert

_REACH = "ways such as pager:ops-primary phone:+15550100 mail:anna@example.org chat:#ops"
_CHANNELS = {"pager": "pager", "phone": "pager", "mail": "email", "chat": "chat"}
_HOURS = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-4]):([0-5]\d) (\S+)")


class InitRefused(TocsinError):
    """What keeps the files from being written; nothing is written then."""


class _Question(NamedTuple):
    option: str
    text: str
    default: str
    read: Callable[[str], Any]


def _read_team(text: str) -> str:
    if not re.search("[A-Za-z0-9]", text) or len(text) > 60 or not text.isprintable():
        raise ValueError("must be a name of 1 to 60 characters with a letter or a digit")
    return text


def _read_reach(text: str) -> dict[str, str]:
    reach: dict[str, str] = {}
    for way in text.split():
        kind, colon, address = way.partition(":")
        channel = _CHANNELS.get(kind)
        if channel is None or not colon or not address or not address.isprintable():
            raise ValueError(f"has {way!r:.60}, must be {_REACH}")
        if channel in reach:
            raise ValueError(f"has two ways for {channel}, must be one of each (phone is a pager)")
        reach[channel] = address
    if "pager" not in reach:
        raise ValueError("has no pager and no phone, must have one: a P0 has to ring")
    if len(reach) == 1:
        raise ValueError("has no mail and no chat, must have one: a P1 does not ring")
    return reach


def _read_hours(text: str) -> tuple[str, str, str]:
    parts = _HOURS.fullmatch(text)
    if parts is None or parts[1] + parts[2] >= parts[3] + parts[4] or parts[3] + parts[4] > "2400":
        raise ValueError("must be such as 09:00-17:00 Europe/Berlin")
    try:
        zoneinfo.ZoneInfo(parts[5])
    except (ValueError, OSError, zoneinfo.ZoneInfoNotFoundError):
        raise ValueError(f"has the time zone {parts[5]!r:.60}, must be such as UTC") from None
    return f"{parts[1]}:{parts[2]}", f"{parts[3]}:{parts[4]}", parts[5]


def _read_yes(text: str) -> bool:
    if text not in ("yes", "no"):
        raise ValueError("must be yes or no")
    return text == "yes"


def _read_minutes(text: str) -> int:
    digits = text.removesuffix("m")
    if not (digits.isascii() and digits.isdecimal() and len(digits) < 4 and 1 <= int(digits) <= 60):
        raise ValueError("must be 1m to 60m")
    return int(digits)


_WHO = f"Who is called {{}}, and how? {_REACH}"
QUESTIONS = (
    _Question("team", "What is the team's name?", "On-call", _read_team),
    _Question("first", _WHO.format("first"), "pager:on-call-primary chat:#alerts", _read_reach),
    _Question("second", _WHO.format("second"), "pager:on-call-secondary chat:#alerts", _read_reach),
    _Question("manager", _WHO.format("last"), "pager:manager chat:#alerts", _read_reach),
    _Question("hours", "When does the team work, and where?", "09:00-17:00 UTC", _read_hours),
    _Question("kubernetes", "Is there a Kubernetes?", "yes", _read_yes),
    _Question("next-after", "How long until the next is called for a P0?", "5m", _read_minutes),
)


def add_arguments(parser: argparse.ArgumentParser, _name: str) -> None:
    """Add the command's arguments."""
    parser.set_defaults(run=_run_init)
    parser.add_argument("file", nargs="?", default="policy.yaml", metavar="FILE")
    parser.add_argument(
        "--receivers", metavar="FILE", help="receivers.yaml beside it, if not given"
    )
    for question in QUESTIONS:
        text = f"{question.text} By default {question.default}"
        parser.add_argument(f"--{question.option}", metavar="ANSWER", help=text)
    parser.add_argument("--yes", action="store_true", help="ask nothing, take the defaults")
    parser.add_argument("--force", action="store_true", help="write over files that are there")


def _run_init(arguments: argparse.Namespace) -> int:
    policy = Path(arguments.file)
    receivers = Path(arguments.receivers or policy.parent / "receivers.yaml")
    if policy.absolute() == receivers.absolute():
        raise InitRefused(f"{policy} is the name of both files, must be two")
    for path in (policy, receivers):
        if path.exists() and not arguments.force:
            raise InitRefused(f"{path} is there already; --force writes over it")
    answers = _answers(arguments)
    shipped = policy_file.default_path().read_text(encoding="utf-8")
    text = policy_text(answers, shipped)
    try:
        policy_file.compile_policy_file(policy, text.encode())
    except BadFile as error:
        raise InitRefused(f"the answers make no policy: {error.mistakes[0].problem}") from None
    write_files({policy: text, receivers: receivers_text(answers)}, force=arguments.force)
    print(
        inert(f"{policy} and {receivers} are written. Messages are printed, and reach nobody yet:")
    )
    print(inert(f"set up receivers in {receivers} (docs/NOTIFIER_CHANNELS.md). Then:"))
    print(inert(f"  tocsin policy check --strict {policy}; tocsin notify check {receivers}"))
    return 0


def _answers(arguments: argparse.Namespace) -> Answers:
    values = {}
    for question in QUESTIONS:
        given = getattr(arguments, question.option.replace("-", "_"))
        if given is None and arguments.yes:
            given = question.default
        values[question.option] = _ask(question) if given is None else _option(question, given)
    return Answers(
        values["team"],
        {role: values[role] for role in ROLES},
        values["hours"],
        values["kubernetes"],
        values["next-after"],
    )


def _option(question: _Question, text: str) -> Any:
    try:
        return question.read(text.strip())
    except ValueError as error:
        raise InitRefused(f"--{question.option} is {text!r:.60}, {error}") from None


def _ask(question: _Question) -> Any:
    """Ask until the answer can be used."""
    if not sys.stdin.isatty():
        raise InitRefused(
            f"--{question.option} is not given, and there is no terminal to ask on; give it, or"
            " --yes for the defaults"
        )
    while True:
        try:
            text = input(f"{question.text}\n[{question.default}] ").strip()
        except EOFError:
            raise InitRefused(
                "the input ended before the last answer; nothing is written"
            ) from None
        try:
            return question.read(text or question.default)
        except ValueError as error:
            print(inert(f"The answer {error}."))


def write_files(texts: dict[Path, str], *, force: bool) -> None:
    """Write all of them, or none. Raises InitRefused."""
    written: dict[Path, Path] = {}
    try:
        for path, text in texts.items():
            written[path] = path.with_name(f".{path.name}.{os.getpid()}")
            with written[path].open("x", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
        for path, temporary in written.items():
            if force:
                temporary.replace(path)
            else:
                os.link(temporary, path)  # unlike a rename it never replaces a file
    except FileExistsError:
        raise InitRefused(f"{path} is there already; --force writes over it") from None
    except OSError as error:
        raise InitRefused(f"{path} cannot be written: {error.strerror}") from None
    finally:
        for temporary in written.values():
            temporary.unlink(missing_ok=True)
