"""Alerts from a file: JSON lines, a JSON list as Alertmanager's API gives it, or the CSV of AIT-ADS.

They are fed in the order of their time: `updatedAt` where there is one, else the end of a resolved
alert, else the start. The CSV's rows map to alerts so: `short` is the alertname, `name` the
summary, `host` the host, `ip` the instance, `time` the start. It has no severity: alerts whose type
names an attack are warnings, the others notices. Its labels of the true attack phase are never fed
in.
"""

import csv
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import orjson

from app.demo.scenario import Step
from models.reason import BadInput
from models.text.instant import format_instant
from models.wire import instant_ms

_ATTACK = ("Att", "Sus", "Ssh", "Nmp", "Mul", "Fbd")

Timed = tuple[int, dict[str, Any]]


class BadRecording(Exception):
    """A file that cannot be fed; the message says what was found and what is expected."""


def read_steps(path: Path, problems: list[str]) -> Iterator[Step]:
    """(time in ms, alerts) in the order of time.

    Lines that cannot be read are told in `problems`.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BadRecording(f"{path}: cannot be read: {error.strerror}") from None
    yield from parse_steps(path, data, problems)


def parse_steps(path: Path, data: bytes, problems: list[str]) -> Iterator[Step]:
    """The same of a file's bytes. Raises BadRecording."""
    timed = sorted(_parse_alerts(path, data, problems), key=lambda item: item[0])
    if not timed:
        raise BadRecording(
            f"{path}: has no alert; expected JSON lines, a JSON list of alerts, or the CSV of AIT-ADS"
        )
    for at_ms, group in groupby(timed, key=lambda item: item[0] // 1000 * 1000):
        yield at_ms, [alert for _, alert in group]


def _parse_alerts(path: Path, data: bytes, problems: list[str]) -> Iterable[Timed]:
    if data.startswith(b"time,name,"):
        return _parse_csv(path, data, problems)
    if data.lstrip().startswith(b"["):
        try:
            entries = list(enumerate(orjson.loads(data), start=1))
        except orjson.JSONDecodeError as error:
            raise BadRecording(f"{path}: is not JSON: {error}") from None
        return _parse_json_alerts(path, entries, problems)
    return _parse_json_alerts(path, _parse_json_lines(path, data, problems), problems)


def _parse_json_lines(path: Path, data: bytes, problems: list[str]) -> Iterator[tuple[int, Any]]:
    for number, line in enumerate(data.splitlines(), start=1):
        if line.strip():
            try:
                yield number, orjson.loads(line)
            except orjson.JSONDecodeError as error:
                problems.append(f"{path}:{number}: is not JSON: {error}")


def _parse_json_alerts(
    path: Path, entries: Iterable[tuple[int, Any]], problems: list[str]
) -> Iterator[Timed]:
    for number, entry in entries:
        try:
            yield _alert_time(entry, f"{path}:{number}"), entry
        except BadInput as refusal:
            problems.append(refusal.message)


def _alert_time(entry: Any, where: str) -> int:
    if not isinstance(entry, dict):
        raise BadRecording(f"{where}: is {type(entry).__name__}, must be an alert")
    ended = entry.get("status") == "resolved"
    for name in ("updatedAt", "endsAt" if ended else "startsAt", "startsAt"):
        at_ms = instant_ms(entry.get(name), f"{where}: {name}")
        if at_ms is not None:
            return at_ms
    raise BadRecording(f"{where}: has no updatedAt, startsAt or endsAt, must have one")


def _parse_csv(path: Path, data: bytes, problems: list[str]) -> Iterator[Timed]:
    rows = csv.DictReader(data.decode(errors="replace").splitlines())
    try:
        for number, row in enumerate(rows, start=2):
            try:
                yield _parse_row(row)
            except (KeyError, TypeError, ValueError, OverflowError, OSError) as error:
                problems.append(f"{path}:{number}: is not a row of AIT-ADS ({error!r})")
    except csv.Error as error:
        raise BadRecording(f"{path}:{rows.line_num}: is not CSV: {error}") from None


def _parse_row(row: dict[str, str]) -> Timed:
    """When, and the alert. Raises KeyError, TypeError, ValueError, OverflowError, OSError."""
    at_ms = int(float(row["time"]) * 1000)
    name = row["short"]
    severity = "warning" if any(sign in name for sign in _ATTACK) else "notice"
    labels = {"alertname": name, "host": row["host"], "instance": row["ip"], "severity": severity}
    return at_ms, {
        "labels": labels,
        "annotations": {"summary": row["name"]},
        "startsAt": format_instant(at_ms),
    }
