"""What an alert may share with another: its places and its kind, as tokens.

A token is a short text: `place db.example.org`, `kind HighLatency`. Places are the component, the
host of labels such as `instance` and `node`, and the parent domains of a host name with three parts
or more. A port, a scheme and a path are no part of a host. A value that says nothing, or means
another host to each sender (localhost), is no place.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from hashlib import sha256
from typing import NamedTuple
from zlib import crc32

TOKEN_CHARACTERS_MAX = 128  # of a value; a longer one is cut, with a digest of the whole
PLACES_MAX = 12  # of an alert; the narrowest are kept
PARENTS_MAX = 4  # of a host name: the narrowest
LABELS_MAX = 64  # of an alert, and of a group: those that are compared

_HOST_CHARACTERS_MAX = 253  # RFC 1035; "host" is anything that has no more
_HOST = re.compile(r"(?=[^.]*[a-z0-9])[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*")
_SCHEME = re.compile(r"^[a-z][a-z0-9+.-]{1,20}://")
_PORT = re.compile(r":[0-9]{1,5}$")
_EMPTY = ("", "null", "none", "unknown", "n/a", "-", "nan", "undefined")
_ANYWHERE = ("localhost", "localhost.localdomain", "127.0.0.1", "0.0.0.0", "[::1]", "::1", "::")  # noqa: S104


class Shared(NamedTuple):
    """What an alert may share with others: tokens of its places, of its kind, digests of its labels."""

    places: tuple[str, ...]
    kind: str  # empty without an alertname
    labels: tuple[int, ...]


def shared_by(component: str, labels: Mapping[str, str], place_labels: tuple[str, ...]) -> Shared:
    """What an alert of a component may share with others."""
    places = places_of(component, labels, place_labels)
    return Shared(tuple(places), kind_of(labels), tuple(label_digests(labels)))


def places_of(
    component: str, labels: Mapping[str, str], place_labels: tuple[str, ...]
) -> list[str]:
    """The tokens of the places, the component first, each once, at most `PLACES_MAX`."""
    values = [component, *(labels.get(label, "") for label in place_labels)]
    places = [place for value in values if value for place in _places_of_value(value)]
    return list(dict.fromkeys(places))[:PLACES_MAX]


def kind_of(labels: Mapping[str, str]) -> str:
    """The token of the alertname; empty without one."""
    name = labels.get("alertname", "")
    return "" if name.lower() in _EMPTY else f"kind {_bounded(name)}"


def host_of(value: str) -> str:
    """The value in small letters; of an address or a URL the host only."""
    text = value.strip().lower()
    if len(text) > _HOST_CHARACTERS_MAX:
        return text
    if _SCHEME.match(text):
        text = _SCHEME.sub("", text).split("/", 1)[0].rsplit("@", 1)[-1]
    host = _PORT.sub("", text)
    return text if ":" in host and not host.startswith("[") else host


def parents(host: str) -> list[str]:
    """The parent domains with two parts or more: a.b.example.org has b.example.org, example.org.

    A number, a sentence, or a name that is too long for a host has none.
    """
    if len(host) > _HOST_CHARACTERS_MAX or not _HOST.fullmatch(host):
        return []
    parts = host.split(".")
    if not any("a" <= character <= "z" for character in parts[-1]):
        return []
    return [".".join(parts[first:]) for first in range(1, len(parts) - 1)][:PARENTS_MAX]


def label_digests(labels: Mapping[str, str]) -> list[int]:
    """A number for each label with its value, for counting how many two alerts have in common."""
    return [crc32(f"{name}\0{labels[name]}".encode()) for name in sorted(labels)[:LABELS_MAX]]


def _places_of_value(value: str) -> tuple[str, ...]:
    """The host and its parents; nothing for a value that says nothing."""
    return _remembered(value) if len(value) <= _HOST_CHARACTERS_MAX else _of_value(value)


def _of_value(value: str) -> tuple[str, ...]:
    host = host_of(value)
    if host in _EMPTY or host in _ANYWHERE:
        return ()
    return (f"place {_bounded(host)}", *(f"place {parent}" for parent in parents(host)))


_remembered = lru_cache(maxsize=4096)(_of_value)  # a pure function; the values repeat


def _bounded(value: str) -> str:
    if len(value) <= TOKEN_CHARACTERS_MAX:
        return value
    digest = sha256(value.encode(errors="replace")).hexdigest()[:16]
    return f"{value[: TOKEN_CHARACTERS_MAX - 20]}...#{digest}"
