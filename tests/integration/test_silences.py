"""A real amtool against a service on the embedded journal.

What an operator of Alertmanager does with silences.
"""

import asyncio
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.settings import Settings
from app.transport.sqlite import SqliteLog
from models.topics import Topics
from tests.support.engines import Tocsin, read_all

NOBODY = "0b3b4f3c-0000-4000-8000-000000000000"


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Tocsin]:
    """A service, which has to end well."""
    service = Tocsin("up", TOCSIN_BROKER=f"embedded:{tmp_path}")
    yield service
    service.stop()


def amtool(service: Tocsin, *arguments: str) -> tuple[int, str, str]:
    """Exit status, output and complaints of `amtool silence`."""
    binary = shutil.which("amtool")
    assert binary, "amtool is missing: install Debian's package prometheus-alertmanager"
    command = [binary, f"--alertmanager.url={service.url}", "silence", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout.strip(), done.stderr.strip()


def query(service: Tocsin, *arguments: str) -> list[Any]:
    """(id, matchers, who, comment) of each silence that amtool finds."""
    status, text, complaints = amtool(service, "query", "-o", "json", *arguments)
    assert (status, complaints) == (0, "")
    return [
        (
            one["id"],
            [(m["name"], m["isRegex"], m["isEqual"], m["value"]) for m in one["matchers"]],
            one["comment"],
        )
        for one in json.loads(text)
    ]


def in_journal(folder: Path) -> list[list[str]]:
    """The comments of the silences in each partition of the journal."""

    async def read() -> list[list[str]]:
        log, settings = SqliteLog(folder, read_only=True), Settings()
        await log.start()
        try:
            journal = Topics(settings.prefix).journal
            partitions = [await read_all(log, journal, one) for one in range(settings.partitions)]
        finally:
            await log.stop()
        documents = [
            [json.loads(record.value or b"") for record in records] for records in partitions
        ]
        return [[one["comment"] for one in records if "silence" in one] for records in documents]

    return asyncio.run(read())


def test_amtool_adds_changes_and_expires(service: Tocsin, tmp_path: Path) -> None:
    """What it adds it finds again, by its matchers too.

    A change keeps the id; each word is in every partition.
    """
    status, name, complaints = amtool(
        service,
        "add",
        "alertname=X",
        'pod=~"a|b"',
        "zone!=c",
        "--author=ann",
        "--comment=known",
        "--duration=2h",
    )
    assert (status, complaints) == (0, "")
    matchers = [
        ("alertname", False, True, "X"),
        ("pod", True, True, "a|b"),
        ("zone", False, False, "c"),
    ]

    found = [
        query(service),
        query(service, "alertname=X"),
        query(service, "X"),
        query(service, "alertname=Y"),
    ]
    changed = amtool(service, "update", name, "--comment=longer", "--duration=3h")
    after = query(service)
    ended = amtool(service, "expire", name)

    one, other = (name, matchers, "known"), (name, matchers, "longer")
    assert found == [[one], [one], [one], []]
    assert (changed[0], changed[2], after, ended) == (0, "", [other], (0, "", ""))
    assert (query(service), query(service, "--expired")) == ([], [other])
    assert in_journal(tmp_path) == [["known", "longer", "longer"]] * Settings().partitions


def test_amtool_says_why_not(service: Tocsin) -> None:
    """A refusal arrives as a sentence."""
    refused = amtool(service, "add", 'alertname=~".*"', "--author=ann", "--comment=all")
    past = amtool(
        service,
        "add",
        "a=b",
        "--comment=x",
        "--start=2019-01-01T00:00:00Z",
        "--end=2020-01-01T00:00:00Z",
    )
    unknown = amtool(service, "expire", NOBODY)

    assert (refused[0], past[0], unknown[0]) == (1, 1, 1)
    assert (
        "matchers: each matches an empty value, as an absent label has; one at least must not"
        in refused[2]
    )
    assert "endsAt: is '2020-01-01T00:00:00.000Z', which is past, must be ahead" in past[2]


def test_amtool_imports_what_it_exported(service: Tocsin, tmp_path: Path) -> None:
    """Silences move from one Alertmanager, or Tocsin, to another."""
    amtool(service, "add", "alertname=X", "--author=ann", "--comment=known", "--duration=2h")
    (tmp_path / "silences.json").write_text(amtool(service, "query", "-o", "json")[1])
    amtool(service, "expire", query(service)[0][0])
    imported = amtool(service, "import", "--force", str(tmp_path / "silences.json"))

    assert (imported[0], [found[1:] for found in query(service)]) == (
        0,
        [([("alertname", False, True, "X")], "known")],
    )
