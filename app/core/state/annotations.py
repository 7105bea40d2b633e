"""What is kept of an alert beside its labels: annotations and a link, bounded, for messages."""

from collections.abc import Mapping
from functools import lru_cache

from models.alert import Labels
from models.text.truncate import truncate

ANNOTATIONS_CHARACTERS_MAX = 4096  # of all names and texts of an alert that are kept as they are
ANNOTATION_CHARACTERS_MAX = 1024  # of each text of an alert that has more than those
SENTENCE_CHARACTERS_MAX = 300
URL_CHARACTERS_MAX = 2048
LINK_STARTS = ("http://", "https://")
_FIRST = ("summary", "description", "message", "runbook_url")  # where there is no room for all


def kept_annotations(annotations: Labels) -> Labels:
    """The annotations that are kept: all, or the first that have room, with long texts cut.

    A link is kept whole or not at all.
    """
    characters = sum(map(len, annotations)) + sum(map(len, annotations.values()))
    if characters <= ANNOTATIONS_CHARACTERS_MAX:
        return annotations
    kept, room = dict[str, str](), ANNOTATIONS_CHARACTERS_MAX
    for name in sorted(annotations, key=_order):
        text = annotations[name]
        shorter = text if is_link(text) else truncate(text, ANNOTATION_CHARACTERS_MAX)
        if len(name) + len(shorter) <= room:
            kept[name] = shorter
            room -= len(name) + len(shorter)
    return kept


def brief_annotations(annotations: Labels) -> dict[str, str]:
    """What a rule's actor is told for its messages: a sentence and the links."""
    links = {
        name: text
        for name, text in annotations.items()
        if text.startswith(LINK_STARTS) and is_link(text)  # as in `add_links`
    }
    name = next((name for name in _FIRST if annotations.get(name)), "")
    sentence = {name: truncate(annotations[name], SENTENCE_CHARACTERS_MAX)} if name else {}
    return sentence | links


def kept_url(url: str) -> str:
    """The link to where an alert came from, or an empty text if it is none that fits."""
    return url if is_link(url) else ""


def is_link(text: str) -> bool:
    """Whether a text is a web address that can be shown: http or https, without spaces."""
    return (
        text.startswith(LINK_STARTS)
        and len(text) <= URL_CHARACTERS_MAX
        and text.isprintable()
        and " " not in text
    )


def add_links(links: dict[str, str], annotations: Mapping[str, str], url: str) -> None:
    """Add the links of an alert by what they lead to: `runbook`, `dashboard`, or the name; `graph`.

    What is there already stays.
    """
    for name, text in annotations.items():
        if text.startswith(LINK_STARTS):  # asked first: it is cheap, and most texts are no links
            title = _title(name)
            if title not in links and is_link(text):
                links[title] = text
    if url:
        links.setdefault("graph", url)


def _order(name: str) -> tuple[int, str]:
    return (_FIRST.index(name), "") if name in _FIRST else (len(_FIRST), name)


@lru_cache(maxsize=256)
def _title(name: str) -> str:
    """`runbook_url` and `runbookURL` are `runbook`."""
    for end in ("_url", "_URL", "URL", "Url", "_link"):
        if len(name) > len(end) and name.endswith(end):
            return name.removesuffix(end)
    return name
