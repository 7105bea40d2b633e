"""`docs/API.md` says what the bridge serves."""

import re
from pathlib import Path

from app.bridge.access.authorization import PERMISSIONS
from app.bridge.access.tokens import Permission
from app.bridge.board.board import RESOURCES

TEXT = (Path(__file__).parents[2] / "docs" / "API.md").read_text()
_HEADING = re.compile(r"^(#{2,3}) (.+)$", re.MULTILINE)


def _documented() -> dict[tuple[str, str], str]:
    """The role that the document names for each method and path."""
    found: dict[tuple[str, str], str] = {}
    role = ""
    for level, text in _HEADING.findall(TEXT):
        if level == "##":
            role = named[1] if (named := re.search(r"role `(\w+)`", text)) else ""
            continue
        method = ""
        for word in text.replace(",", "").split():
            if word.isupper():
                method = word
            else:
                found[method, word] = role
    return found


def test_every_path_is_documented_with_its_role() -> None:
    """And the document has no other."""
    roles = {resource: str(may or "") for resource, may in PERMISSIONS.items()}

    assert _documented() == roles


def test_every_question_of_a_board_has_an_example() -> None:
    """It begins with curl."""
    sections = dict(re.findall(r"^### GET (\S+)\n(.*?)(?=^##)", TEXT, re.MULTILINE | re.DOTALL))
    without = {path for path in RESOURCES if "$ curl" not in sections[path]}

    assert without == {"/api/v1/incidents/{incident}/explain"}  # it says what it is the same as
    assert {PERMISSIONS["GET", path] for path in RESOURCES} == {Permission.READ}
