"""What an import cannot carry over as it is.

Findings, each with its lines, why, and what to do instead.
"""

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from models.text.sanitize import inert

LINES_SHOWN_MAX = 12
WIDTH = 110


class FindingKind(StrEnum):
    """How much of it is lost; the worst first."""

    LEFT_OUT = "left out"  # the policy has nothing of it
    DIFFERS = "differs"  # it is carried over, and means something else
    FILL_IN = "fill in"  # somebody has to say what the file does not
    NOTIFIER = "notifier"  # it is the business of who sends the messages, and none of a policy's


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it was.

    `lines` are of the Alertmanager file, in order; none is the file as a whole.
    """

    kind: FindingKind
    key: str
    why: str
    instead: str
    lines: tuple[int, ...]

    def document(self) -> dict[str, Any]:
        """The finding for programs."""
        return {
            "kind": self.kind,
            "key": self.key,
            "lines": list(self.lines),
            "why": self.why,
            "instead": self.instead,
        }


@dataclass(slots=True)
class Findings:
    """All findings of an import. What is said again of another line is said once, of both."""

    _lines: dict[tuple[FindingKind, str, str, str], list[int]] = field(default_factory=dict)

    def add(self, kind: FindingKind, key: str, line: int, why: str, instead: str) -> None:
        """Say something about a line.

        0 is the file as a whole. `key` and what else is quoted from the file is made inert.
        """
        lines = self._lines.setdefault((kind, inert(key), inert(why), inert(instead)), [])
        if line and line not in lines:
            lines.append(line)

    def all(self) -> list[Finding]:
        """The findings, the worst first, then by line."""
        order = list(FindingKind)
        findings = [
            Finding(kind, key, why, instead, tuple(sorted(lines)))
            for (kind, key, why, instead), lines in self
        ]
        return sorted(findings, key=lambda finding: (order.index(finding.kind), finding.lines[:1]))

    def __iter__(self) -> Iterator[tuple[tuple[FindingKind, str, str, str], list[int]]]:
        return iter(self._lines.items())


def finding_lines(findings: Sequence[Finding]) -> list[str]:
    """The findings for people, in lines."""
    lines: list[str] = []
    for kind in FindingKind:
        of_kind = [finding for finding in findings if finding.kind is kind]
        if of_kind:
            lines.append(f"{_TITLES[kind]}:")
        for why, instead in dict.fromkeys((finding.why, finding.instead) for finding in of_kind):
            lines += _merged_lines(
                [finding for finding in of_kind if (finding.why, finding.instead) == (why, instead)]
            )
    return lines


_TITLES = {
    FindingKind.LEFT_OUT: "Left out",
    FindingKind.DIFFERS: "Carried over, with another meaning",
    FindingKind.FILL_IN: "To be filled in",
    FindingKind.NOTIFIER: "Left to whoever sends the messages (a notifier, which reads tocsin.notifications)",
}


def _merged_lines(alike: Sequence[Finding]) -> list[str]:
    """Findings that differ in key and lines only."""
    where = ", ".join(f"{finding.key}{_line_numbers(finding.lines)}" for finding in alike)
    text = f"{where}: {alike[0].why}. Instead: {alike[0].instead}."
    return textwrap.wrap(
        text, WIDTH, initial_indent="- ", subsequent_indent="  ", break_on_hyphens=False
    )


def _line_numbers(lines: Sequence[int]) -> str:
    if not lines:
        return ""
    shown = ", ".join(str(line) for line in lines[:LINES_SHOWN_MAX])
    more = len(lines) - LINES_SHOWN_MAX
    return (
        f" (line{'s' if len(lines) > 1 else ''} {shown}{f' and {more} more' if more > 0 else ''})"
    )
