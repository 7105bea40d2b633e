"""A YAML document to walk through: each value knows its line, and every problem is kept, so that all are told at once."""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app import bounded_yaml
from app.policy_file import MAX_BYTES, PROBLEMS_MAX, BadPolicy
from models.policy import Where

_UNITS_MS = {"y": 31_536_000_000, "w": 604_800_000, "d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1000, "ms": 1}
_DURATION = re.compile("".join(rf"(?:(\d{{1,9}}){unit})?" for unit in _UNITS_MS))


@dataclass(frozen=True, slots=True)
class Place:
    """A value of the document. What it is asked for and is not becomes a problem, and an empty value is returned."""

    value: Any
    where: Where
    lines: Mapping[Where, int]
    problems: list[str]

    @property
    def line(self) -> int:
        """The line of its key; of what it stands in, where it has come through a merged mapping."""
        where = self.where
        while where and where not in self.lines:
            where = where[:-1]
        return self.lines.get(where, 1)

    @property
    def key(self) -> str:
        """The last key or number that leads here."""
        return str(self.where[-1]) if self.where else "the file"

    def say(self, problem: str) -> None:
        """Keep a problem."""
        named = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in self.where).removeprefix(".")
        self.problems.append(f"{self.line}: {named or 'the file'}: {problem}")

    def parts(self, known: Collection[str] = (), what: str = "") -> dict[str, "Place"]:
        """The values of a mapping by key, without those that are empty. Where keys are `known`, others are a problem."""
        if self.value is None:
            return {}
        if not isinstance(self.value, dict):
            self.say(f"is {_kind(self.value)}, must be a mapping")
            return {}
        found = {str(key): self._at(str(key), value) for key, value in self.value.items() if value is not None}
        for key in self.value if known else ():
            if key not in known:
                self._at(key, None).say(f"is not a key that {what} has")
        return found

    def items(self) -> list["Place"]:
        """The values of a list."""
        if self.value is None:
            return []
        if not isinstance(self.value, list):
            self.say(f"is {_kind(self.value)}, must be a list")
            return []
        return [self._at(number, value) for number, value in enumerate(self.value)]

    def text(self) -> str:
        """A text."""
        if isinstance(self.value, str):
            return self.value
        self.say(f"is {_kind(self.value)}, must be a text")
        return ""

    def truth(self) -> bool:
        """Whether it says true."""
        said = self.text().lower()
        if said not in ("true", "false", "yes", "no", "on", "off", ""):
            self.say(f"is {said!r:.60}, must be true or false")
        return said in ("true", "yes", "on")

    def duration_ms(self) -> int:
        """A duration in Alertmanager's notation, which knows years."""
        said = self.text()
        found = _DURATION.fullmatch(said)
        if said == "0":
            return 0
        if not said or not found:
            self.say(f"is {said!r:.60}, must be a duration such as 90s, 15m, 1h30m or 2d")
            return 0
        pairs = zip(found.groups(), _UNITS_MS.values(), strict=True)
        return sum(int(number) * unit_ms for number, unit_ms in pairs if number)

    def _at(self, part: str | int, value: Any) -> "Place":
        return Place(value, (*self.where, part), self.lines, self.problems)


def _kind(value: Any) -> str:
    if value is None:
        return "empty"
    return "a mapping" if isinstance(value, dict) else "a list" if isinstance(value, list) else "a text"


def read(path: Path) -> Place:
    """The document of a file, every scalar as it is written. Raises BadPolicy."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise BadPolicy(path, [f"{path}: cannot be read: {error.strerror}"]) from None
    if len(data) > MAX_BYTES:
        raise BadPolicy(path, [f"{path}: has more than {MAX_BYTES} bytes, must have at most so many"])
    try:
        document = bounded_yaml.read(data.decode("utf-8-sig"), as_written=True)
    except UnicodeDecodeError as error:
        raise BadPolicy(path, [f"{path}: is not UTF-8 at byte {error.start}"]) from None
    except bounded_yaml.Refused as refusal:
        place = f":{refusal.line}:{refusal.column}" if refusal.line else ""
        raise BadPolicy(path, [f"{path}{place}: {refusal.problem}"]) from None
    top = Place(document.data, (), document.lines, [])
    for where, line in document.repeated:
        place_again = Place(None, where, {where: line}, top.problems)
        place_again.say("stands twice, must stand once")
    refuse(path, top)
    return top


def refuse(path: Path, top: Place) -> None:
    """Raise BadPolicy when there are problems."""
    if top.problems:
        problems = sorted(dict.fromkeys(top.problems), key=lambda said: int(said.split(":", 1)[0]))
        more = len(problems) - PROBLEMS_MAX
        said = [f"{path}:{problem}" for problem in problems[:PROBLEMS_MAX]]
        raise BadPolicy(path, [*said, f"and {more} more"] if more > 0 else said)


def each(parts: Mapping[str, Place], key: str) -> Iterator[Place]:
    """The items of a list under a key, if it is there."""
    if key in parts:
        yield from parts[key].items()
