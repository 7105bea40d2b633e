"""How good input becomes bad: other values in its JSON, and pieces put into its bytes."""

from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Any

Pick = Callable[
    [Sequence[Any]], Any
]  # one of a sequence: hypothesis draws it, the fuzzer throws dice

JSON = (
    *("alerts", "repeats", "raw_record", "commands", "silences", "receipts", "clock"),
    *("policy", "interval", "state", "headers", "alertmanager_events"),
)
FIRST = b"{["  # how JSON begins that can be changed

HOSTILE: tuple[Any, ...] = (
    *(
        None,
        True,
        False,
        0,
        -1,
        1,
        2**31,
        2**63 - 1,
        2**63,
        2**64 - 1,
        -(2**63),
        0.5,
        -0.0,
        1e308,
        "",
        " ",
        "0",
        "-1",
    ),
    *(
        "\x00",
        "\x1b[2J",
        "\u202e",
        "\ufeff",
        "\U0010ffff",
        "a\nb",
        "a/b",
        "..",
        "*",
        "x" * 300,
        "2026-02-30",
        "24:00",
    ),
    *(
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59.999Z",
        "INC-20260412T132000Z-0",
        "P0",
        "firing",
        "resolved",
        "(",
        "[a-",
    ),
    *([], {}, [[]], [{}], {"": ""}, {"a": None}, [None], [0, 0], {"a": {"b": {"c": []}}}),
)
TOKENS = (
    *(
        b"",
        b"\x00",
        b"\xff",
        b"\n",
        b"\r\n",
        b" ",
        b"{",
        b"}",
        b"[",
        b"]",
        b'"',
        b"\\",
        b"'",
        b",",
        b":",
        b"-",
        b"9" * 30,
    ),
    *(
        b"null",
        b"true",
        b"1e400",
        b"NaN",
        b"\\ud800",
        b"&a",
        b"*a",
        b"<<: ",
        b"!!x",
        b"\xe2\x80\xae",
        b"=~",
        b"(?P<x>",
    ),
    *(
        b'{"policy":"x","document":{}}',
        b'{"tick":true}',
        b"@source=raw:0:1:0 ",
        b"@source=x ",
        b"@format=3 ",
        b"@format=x ",
    ),
)


def change(pick: Pick, document: Any) -> Any:
    """Walk down to some value of a JSON document, and put another there, or take it away."""
    keys: Sequence[Any] = ()
    if isinstance(document, dict):
        keys = list(document)
    elif isinstance(document, list):
        keys = range(len(document))
    if not keys or pick(range(10)) == 0:
        return deepcopy(pick(HOSTILE))  # the next change may be one within it
    key = pick(keys)
    if pick(range(20)) == 0:
        del document[key]
    else:
        document[key] = change(pick, document[key])
    return document


def splice(pick: Pick, data: bytes) -> bytes:
    """Put a piece into bytes, or in the place of some, or say some twice."""
    start = pick(range(len(data) + 1))
    end = start + pick(range(30))
    piece: bytes = pick((*TOKENS, data[start:end] * 2))
    return data[:start] + piece + data[end if pick((True, False)) else start :]
