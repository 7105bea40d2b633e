"""A planted bug: a unified diff under a header of three lines.

    # Breaks: what the code does wrong, in one sentence
    # Hurts: what whoever runs it would suffer
    # Check: the command that has to fail, such as python -m tests.simulation --seeds 500

A hunk is found by its text, which has to stand in the file once, and not by its line numbers:
patches survive edits anywhere else, and when the code that they break has changed they say so.
"""

import re
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent
_HEADER = ("Breaks", "Hurts", "Check")


class DoesNotApply(Exception):
    """The tree is not what the patch was made for; the message says where."""


@dataclass(frozen=True, slots=True)
class Hunk:
    """Lines of a file, and what they become."""

    path: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Bug:
    """A patch and what its header says."""

    name: str
    breaks: str
    hurts: str
    check: str
    hunks: tuple[Hunk, ...]


def bugs(folder: Path = FOLDER) -> list[Bug]:
    """All planted bugs, by number."""
    return [parse(path.stem, path.read_text()) for path in sorted(folder.glob("*.patch"))]


def parse(name: str, text: str) -> Bug:
    """Read a patch. Raises DoesNotApply when it is none."""
    lines = text.splitlines(keepends=True)
    said = dict(
        line[2:].strip().split(": ", 1) for line in lines if line.startswith("# ") and ": " in line
    )
    missing = [key for key in _HEADER if not said.get(key)]
    hunks = _hunks(lines)
    if missing or not hunks:
        raise DoesNotApply(f"{name}: the header lacks {missing}, and there are {len(hunks)} hunks")
    return Bug(name, said["Breaks"], said["Hurts"], said["Check"], tuple(hunks))


def _hunks(lines: list[str]) -> list[Hunk]:
    hunks: list[Hunk] = []
    path, before, after = "", list[str](), list[str]()
    for line in [*lines, "@@"]:
        if line.startswith(("@@", "--- ")) and (before or after):
            hunks.append(Hunk(path, "".join(before), "".join(after)))
            before, after = [], []
        if line.startswith("+++ b/"):
            path = line.removeprefix("+++ b/").strip()
        elif line.startswith((" ", "-")) and not line.startswith("--- "):
            before.append(line[1:])
        if line.startswith((" ", "+")) and not line.startswith("+++ "):
            after.append(line[1:])
    return hunks


def apply(bug: Bug, tree: Path) -> None:
    """Plant the bug. Raises DoesNotApply."""
    for hunk in bug.hunks:
        file = tree / hunk.path
        text = file.read_text() if file.exists() else ""
        places = [
            found.start() for found in re.finditer("^" + re.escape(hunk.before), text, re.MULTILINE)
        ]
        if len(places) != 1:
            raise DoesNotApply(
                f"{bug.name}: the lines it changes stand in {hunk.path} {len(places)} times, must be once; "
                f"they begin with {hunk.before.splitlines()[0].strip()!r}"
            )
        file.write_text(text[: places[0]] + hunk.after + text[places[0] + len(hunk.before) :])
