"""A YAML document to walk through.

Each value knows its line, and every mistake is kept, so that all are told at once.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.files import yaml_file
from app.files.bounded_yaml import Document
from app.files.yaml_file import BadFile, Mistake
from models.policy.types import Where
from models.text.suggest import did_you_mean

_UNITS_MS = {
    "y": 31_536_000_000,
    "w": 604_800_000,
    "d": 86_400_000,
    "h": 3_600_000,
    "m": 60_000,
    "s": 1000,
    "ms": 1,
}
_DURATION = re.compile("".join(rf"(?:(\d{{1,9}}){unit})?" for unit in _UNITS_MS))


@dataclass(frozen=True, slots=True)
class Node:
    """A value of the document.

    What it is asked for and is not becomes a mistake, and an empty value is returned.
    """

    value: Any
    where: Where
    path: Path
    document: Document
    mistakes: list[Mistake]

    @property
    def line(self) -> int:
        """The line of its key; of what it stands in, where it has come through a merged mapping."""
        return self.document.place(self.where).line

    @property
    def key(self) -> str:
        """The last key or number that leads here."""
        return str(self.where[-1]) if self.where else ""

    def say(self, problem: str) -> None:
        """Keep a mistake."""
        self.mistakes.append(yaml_file.mistake_at(self.path, self.document, self.where, problem))

    def parts(self, known: Collection[str] = (), subject: str = "") -> dict[str, "Node"]:
        """The values of a mapping by key, without those that are empty.

        Where keys are `known`, others are a mistake.
        """
        parts = dict(self.pairs())
        for key, node in parts.items() if known else ():
            if key not in known:
                node.say(f"is not a key that {subject} has{did_you_mean(key, list(known))}")
        return {key: node for key, node in parts.items() if node.value is not None}

    def pairs(self) -> list[tuple[str, "Node"]]:
        """The keys of a mapping and their values, also those that are empty."""
        if self.value is None:
            return []
        if not isinstance(self.value, dict):
            self.say(f"is {_kind_text(self.value)}, must be a mapping")
            return []
        return [(str(key), self._child(str(key), value)) for key, value in self.value.items()]

    def items(self) -> list["Node"]:
        """The values of a list."""
        if self.value is None:
            return []
        if not isinstance(self.value, list):
            self.say(f"is {_kind_text(self.value)}, must be a list")
            return []
        return [self._child(number, value) for number, value in enumerate(self.value)]

    def text(self) -> str:
        """A text."""
        if isinstance(self.value, str):
            return self.value
        self.say(f"is {_kind_text(self.value)}, must be a text")
        return ""

    def is_true(self) -> bool:
        """Whether it says true."""
        text = self.text().lower()
        if text not in ("true", "false", "yes", "no", "on", "off", ""):
            self.say(f"is {text!r:.60}, must be true or false")
        return text in ("true", "yes", "on")

    def duration_ms(self) -> int:
        """A duration in Alertmanager's notation, which knows years."""
        text = self.text()
        match = _DURATION.fullmatch(text)
        if text == "0":
            return 0
        if not text or not match:
            self.say(f"is {text!r:.60}, must be a duration such as 90s, 15m, 1h30m or 2d")
            return 0
        pairs = zip(match.groups(), _UNITS_MS.values(), strict=True)
        return sum(int(number) * unit_ms for number, unit_ms in pairs if number)

    def _child(self, part: str | int, value: Any) -> "Node":
        return Node(value, (*self.where, part), self.path, self.document, self.mistakes)


def _kind_text(value: Any) -> str:
    if value is None:
        return "empty"
    return (
        "a mapping"
        if isinstance(value, dict)
        else "a list"
        if isinstance(value, list)
        else "a text"
    )


def read_top_node(path: Path, subject: str, data: bytes | None = None) -> Node:
    """The mapping in a file, or in its bytes, every scalar as it is written.

    `what` says what its keys are. Raises BadFile.
    """
    data = yaml_file.bytes_of(path) if data is None else data
    document = yaml_file.parse_mapping(path, data, subject, as_written=True)
    return Node(document.data, (), path, document, [])


def raise_problems(top: Node) -> None:
    """Raise BadFile when there are mistakes."""
    if top.mistakes:
        raise BadFile(
            sorted(dict.fromkeys(top.mistakes), key=lambda mistake: (mistake.line, mistake.column))
        )


def list_items(parts: Mapping[str, Node], key: str) -> Iterator[Node]:
    """The items of a list under a key, if it is there."""
    if key in parts:
        yield from parts[key].items()
