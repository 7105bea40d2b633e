"""Texts cut to a channel's limit, which some count in characters, some in bytes, some in UTF-16 units."""

from collections.abc import Callable

from models.text.sanitize import inert

MARK = "..."
TEXT_MAX = 500  # characters of a text in one line; the incident's page has all of it


def characters(text: str) -> int:
    """How most services count."""
    return len(text)


def utf8_bytes(text: str) -> int:
    """How ntfy counts."""
    return len(text.encode())


def utf16_units(text: str) -> int:
    """How Telegram, Discord and Twilio count: an emoji is two."""
    return len(text.encode("utf-16-le")) // 2


def shorten(
    text: str, size_max: int, *, tail: str = "", size: Callable[[str], int] = characters
) -> str:
    """The text if it fits; else its beginning, `...` and the tail (a link to the whole), together at most `size_max`."""
    if size(text) <= size_max:
        return text
    tail = tail if size(MARK + tail) <= size_max else ""
    room = size_max - size(MARK + tail)
    low, high = 0, len(text)
    while low < high:  # the longest beginning that fits: size grows with length
        middle = (low + high + 1) // 2
        low, high = (middle, high) if size(text[:middle]) <= room else (low, middle - 1)
    return text[:low].rstrip() + MARK + tail


def shorten_lines(
    text: str, size_max: int, *, tail: str = "", size: Callable[[str], int] = characters
) -> str:
    """The text if it fits; else as many whole lines as fit, with `...` and the tail as the last.

    For markup, which a cut inside of a line would break.
    """
    if size(text) <= size_max:
        return text
    lines = text.split("\n")
    last = MARK + tail
    while lines and size("\n".join((*lines, last))) > size_max:
        lines.pop()
    return "\n".join((*lines, last))


def one_line(text: str, characters_max: int = TEXT_MAX) -> str:
    """A text of somebody else as one inert line of bounded length. Lines and tabs become spaces."""
    return shorten(inert(" ".join(text[: characters_max * 8].split())), characters_max)
