"""Label sets from the command line and from files: what a policy is asked about."""

import re
from typing import Any

import orjson

from app.files.file_access import open_plain
from app.files.yaml_file import BadFile, Mistake
from models.alert import Labels
from models.reason import BadInput
from models.wire import labels_of

ALERTS_BYTES_MAX = 64 * 1024 * 1024  # of a file of alerts
_ONE = re.compile(r"""\s*([^=,\s]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^,]*?)\s*(?:,|$)""")


def parse_labels(text: str) -> Labels:
    """The labels in `severity=critical,component="a,b"`.

    Raises ValueError that says what was found and what is expected.
    """
    labels: dict[str, str] = {}
    place = 0
    while place < len(text):
        match = _ONE.match(text, place)
        if match is None:
            raise ValueError(
                f"is {text!r:.200}, must be labels such as severity=critical,component=postgres"
            )
        name, value = match.groups()
        if name in labels:
            raise ValueError(f"is {text!r:.200}, which has {name!r} twice")
        labels[name] = re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith('"') else value
        place = match.end()
    return _check_labels(labels)


def read_alert(file: str) -> Labels:
    """The labels of the alert in a JSON file: an alert, its labels, or the first of a list or of a webhook message.

    Raises BadFile.
    """
    document = _parse_json(file, _read_bytes(file))
    if isinstance(document, dict) and isinstance(document.get("alerts"), list):
        document = document["alerts"]
    if isinstance(document, list):
        document = document[0] if document else None
    return _labels_in(document, file, 0)


def read_lines(file: str) -> list[Labels]:
    """The label sets in JSON lines, each an alert or its labels. Raises BadFile."""
    lines = _read_bytes(file).splitlines()
    return [
        _labels_in(_parse_json(file, line, item), file, item)
        for item, line in enumerate(lines, start=1)
        if line.strip()
    ]


def _labels_in(document: Any, file: str, line: int) -> Labels:
    labels = document.get("labels", document) if isinstance(document, dict) else document
    try:
        return _check_labels(labels)
    except ValueError as error:
        raise _bad_file(file, line, str(error)) from None


def _check_labels(labels: Any) -> Labels:
    try:
        return labels_of(labels, "labels")
    except BadInput as refusal:
        raise ValueError(refusal.message.partition(": ")[2]) from None


def _parse_json(file: str, data: bytes, line: int = 0) -> Any:
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise _bad_file(file, line, f"is not JSON: {error}") from None


def _read_bytes(file: str) -> bytes:
    try:
        with open_plain(file) as opened:
            data = opened.read(ALERTS_BYTES_MAX + 1)
    except OSError as error:
        raise _bad_file(file, 0, f"cannot be read: {error.strerror}") from None
    if len(data) > ALERTS_BYTES_MAX:
        raise _bad_file(
            file, 0, f"has more than {ALERTS_BYTES_MAX} bytes, must have at most so many"
        )
    return data


def _bad_file(file: str, line: int, problem: str) -> BadFile:
    return BadFile([Mistake(file, line, 1 if line else 0, "", problem)])
