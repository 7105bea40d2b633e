"""An incident's timeline for reading: the newest first, with runs of alike entries folded."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from app.report.timeline import ROWS

FOLDED = {
    "AlertFired": "alert fired",
    "AlertEnded": "alert ended",
    "AlertExpired": "alert expired",
    "AlertReplaced": "alert replaced",
    "MemberFired": "member joined",
    "MemberEnded": "member ended",
    "EndedUnheard": "alert ended unheard",
}
RUN_MIN = 3  # fewer entries are shown one by one
RUN_SHOWN_MAX = 20  # entries of a folded run

Document = dict[str, Any]

_WORDS = {kind: words for row in ROWS.values() for kind, words in row.items()}
_ROW_OF = {kind: row for row, kinds in ROWS.items() for kind in kinds}


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the timeline."""

    at: str
    words: str
    text: str
    by: str
    row: str  # for its colour: told, escalated, people, course or alerts


@dataclass(frozen=True, slots=True)
class Run:
    """Entries of one kind in a row, the newest first. `entries` are those that are shown."""

    words: str
    number: int
    first_at: str
    last_at: str
    entries: tuple[Entry, ...]

    @property
    def more(self) -> int:
        """How many are not shown."""
        return self.number - len(self.entries)


def entry_of(document: Document) -> Entry:
    """An entry of the timeline topic as a line."""
    kind = str(document["kind"])
    words = FOLDED.get(kind) or _WORDS.get(kind) or _spaced(kind)
    by, text = str(document.get("by") or ""), str(document["text"])
    return Entry(
        document["at"],
        words,
        text,
        "" if by in text else by,
        "alerts" if kind in FOLDED else _ROW_OF.get(kind, "course"),
    )


def runs_of(documents: Sequence[Document]) -> list[Run]:
    """The entries as runs, the newest first. A run of one is a line of its own."""
    runs: list[Run] = []
    newest_first = reversed([item for item in documents if item["kind"] != "Runbook"])
    for kind, group in groupby(newest_first, key=lambda item: item["kind"]):
        alike = list(group)
        if kind in FOLDED and len(alike) >= RUN_MIN:
            shown = tuple(map(entry_of, alike[:RUN_SHOWN_MAX]))
            runs.append(Run(FOLDED[kind], len(alike), alike[-1]["at"], alike[0]["at"], shown))
            continue
        for document in alike:
            entry = entry_of(document)
            runs.append(Run(entry.words, 1, entry.at, entry.at, (entry,)))
    return runs


def _spaced(kind: str) -> str:
    """`ClockMet` as `clock met`."""
    return "".join(f" {sign.lower()}" if sign.isupper() else sign for sign in kind).strip()
