"""What every picture and page shares: escaping, and what a browser may do with a page."""

from html import escape
from typing import Any

from models.text.sanitize import inert

# Nothing is loaded and nothing runs: a page has texts of other people in it.
SECURITY_POLICY = (
    '<meta http-equiv="Content-Security-Policy" '
    "content=\"default-src 'none'; style-src 'unsafe-inline'\">"
)


def escaped(value: Any) -> str:
    """Other people's text on one line: inert, then escaped."""
    return escape(inert(str(value)))


def escaped_lines(text: str) -> str:
    """The same of a text with line breaks, which stay."""
    return "\n".join(escaped(line) for line in text.split("\n"))


def shortened(text: str, characters_max: int) -> str:
    """A text of so many characters at the most; what is cut ends with an ellipsis."""
    return text if len(text) <= characters_max else f"{text[: characters_max - 1]}…"
