"""A recording gives back what was put in, at any offset, and whatever is no whole recording is refused in plain words."""

import os
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import orjson
import pytest

from app.cli.main import main
from app.replay.writer import BLOCK_RECORDS, RecordingWriter
from app.transport.log import StoredRecord
from app.transport.recording import Recording
from app.transport.recording_format import (
    BadRecording,
    RecordedPart,
    RecordingHeader,
    header_from,
    pack_block,
)
from tests.support.settings_of import using

T = TypeVar("T")
AT_MS = 1_776_000_000_000
PARTS = [
    RecordedPart(
        1, 10, 10 + 2 * BLOCK_RECORDS, 99, "abc", whole=False, kept_from={"timeline": "12-0"}
    )
]
HEADER = RecordingHeader("0.2.0", AT_MS, "the journal in /x", "t", 4, PARTS)


def _record(offset: int) -> StoredRecord:
    headers = (("position", b"%d-0" % offset),) if offset % 3 == 0 else ()
    key = None if offset % 5 == 0 else b"k%d" % offset
    value = None if offset % 7 == 0 else b"v%d\xff" % offset
    return StoredRecord(offset, AT_MS + offset, key, value, headers)


JOURNAL = [_record(offset) for offset in range(10, 10 + 2 * BLOCK_RECORDS)]
INCIDENTS = [_record(offset) for offset in (3, 4, 9, 20, 21)]  # as compaction left them


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A recording with two blocks of a journal, and an effects topic."""
    found = tmp_path / "one.tocsin"
    writer = RecordingWriter(found, HEADER)
    writer.write("t.journal", 1, JOURNAL)
    writer.write("t.incidents", 1, INCIDENTS[:2])
    writer.write("t.incidents", 1, INCIDENTS[2:])
    writer.finish()
    return found


def _with(path: Path, use: Callable[[Recording], Awaitable[T]]) -> T:
    return using(Recording(path), use)


async def _all(
    recording: Recording, topic: str, offset: int, max_records: int = 5000
) -> list[StoredRecord]:
    found: list[StoredRecord] = []
    while records := await recording.read(topic, 1, offset, max_records):
        found += records
        offset = records[-1].offset + 1
    return found


def test_gives_back_what_was_recorded(path: Path) -> None:
    """Records, bytes and holes are the same, and so is the first line."""
    assert _with(path, lambda one: _all(one, "t.journal", 0)) == JOURNAL
    assert _with(path, lambda one: _all(one, "t.incidents", 0, 1)) == INCIDENTS

    async def header(one: Recording) -> tuple[RecordingHeader, dict[str, int], int]:
        return one.header, await one.list_topics(), one.now_ms()

    assert _with(path, header) == (HEADER, {"t.journal": 4, "t.incidents": 4}, AT_MS)


@pytest.mark.parametrize(
    "offset", [0, 10, 11, 9 + BLOCK_RECORDS, 10 + BLOCK_RECORDS, 9 + 2 * BLOCK_RECORDS, 10**9]
)
def test_reads_at_an_offset(path: Path, offset: int) -> None:
    """At the edges of blocks and within them, and behind the end."""
    assert _with(path, lambda one: _all(one, "t.journal", offset)) == [
        one for one in JOURNAL if one.offset >= offset
    ]


@pytest.mark.parametrize(("offset", "expected"), [(3, 3), (5, 9), (10, 20), (22, None)])
def test_reads_over_a_hole(path: Path, offset: int, expected: int | None) -> None:
    """What compaction removed is passed over, as in Kafka."""
    found = _with(path, lambda one: one.read("t.incidents", 1, offset, 1))

    assert [one.offset for one in found] == ([] if expected is None else [expected])


def test_tells_where_partitions_begin_and_end(path: Path) -> None:
    """Also where there is nothing."""

    async def ends(one: Recording) -> list[tuple[int, int]]:
        places = [("t.journal", 1), ("t.incidents", 1), ("t.timeline", 1), ("t.journal", 0)]
        return [(await one.start_offset(*place), await one.end_offset(*place)) for place in places]

    assert _with(path, ends) == [(10, 10 + 2 * BLOCK_RECORDS), (3, 22), (0, 0), (0, 0)]


def test_leaves_nothing_when_it_was_not_finished(tmp_path: Path) -> None:
    """A recording that fails half way is no file."""
    writer = RecordingWriter(tmp_path / "half.tocsin", HEADER)
    writer.write("t.journal", 1, JOURNAL)
    writer.abandon()

    assert list(tmp_path.iterdir()) == []


def _refusal(path: Path, capsys: pytest.CaptureFixture[str]) -> str:
    status = main(["replay", "--journal", str(path)])
    told = capsys.readouterr()

    assert (status, told.out) == (1, "")
    return told.err.removeprefix("tocsin: ").rstrip("\n")


def test_the_first_line_is_written_as_it_was() -> None:
    """Its very bytes in format 1: what was recorded stays readable."""
    part = RecordedPart(
        1, 10, 20, 19, "0123456789ab", whole=False, kept_from={"t.incidents": "9-0"}
    )
    header = RecordingHeader("1.0.0", 1000, "the journal of j", "t", 8, [part], "INC-1")
    line = (
        b'{"magic":"tocsin recording","format":1,"version":"1.0.0","recorded_ms":1000,"source":"the journal of j",'
        b'"prefix":"t","partitions":8,"parts":[{"partition":1,"first":10,"end":20,"applied":19,'
        b'"policy":"0123456789ab","whole":false,"kept_from":{"t.incidents":"9-0"}}],"incident":"INC-1"}\n'
    )

    assert header.line() == line
    assert header_from(orjson.loads(line)) == header


@pytest.mark.parametrize("left", [0.3, 0.9, 0.9999])
def test_a_truncated_recording_is_refused(
    path: Path, left: float, capsys: pytest.CaptureFixture[str]
) -> None:
    """Wherever it ends."""
    data = path.read_bytes()
    size = int(len(data) * left)
    path.write_bytes(data[:size])

    assert _refusal(path, capsys) == (
        f"{path} ends in the middle: it has {size} bytes, and a whole recording says at its end that it is one: "
        "copy it again, or record again"
    )


def test_a_truncated_first_line_is_refused(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is left of it is no JSON."""
    path.write_bytes(path.read_bytes()[:50])

    assert _refusal(path, capsys).startswith(
        f'{path} is no recording: it begins with b\'{{"magic":"tocsin recording'
    )


@pytest.mark.parametrize("place", [200, -60])
def test_a_changed_first_line_or_index_is_refused(
    path: Path, place: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """One bit is enough."""
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)

    assert _refusal(path, capsys).startswith(f"{path} is damaged: its first line")


def test_a_changed_block_is_found_when_it_is_read(path: Path) -> None:
    """The others are read."""
    data = bytearray(path.read_bytes())
    data[len(HEADER.line()) + 100] ^= 1
    path.write_bytes(data)

    assert len(_with(path, lambda one: _all(one, "t.incidents", 0))) == 5
    with pytest.raises(
        Exception,
        match=rf"is damaged: the records 10 to {9 + BLOCK_RECORDS} of t\.journal 1 are not what",
    ):
        _with(path, lambda one: _all(one, "t.journal", 0))


def test_a_block_that_would_fill_the_memory_is_refused(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Above the bound nothing is unpacked, at it all."""
    size = len(pack_block(JOURNAL[:BLOCK_RECORDS]))
    monkeypatch.setattr("app.transport.recording.UNPACKED_BYTES_MAX", size + 1)
    assert len(_with(path, lambda one: one.read("t.journal", 1, 0, BLOCK_RECORDS))) == BLOCK_RECORDS

    monkeypatch.setattr("app.transport.recording.UNPACKED_BYTES_MAX", size - 1)
    with pytest.raises(BadRecording, match="is damaged: the records 10 to "):
        _with(path, lambda one: one.read("t.journal", 1, 0))


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "{} is no recording: it begins with b''"),
        (
            b"\x1f\x8b\x08 whatever",
            "{} is no recording: it begins with b'\\x1f\\x8b\\x08 whatever'",
        ),
        (b'{"alerts": []}\n', "{} is no recording: it begins with b'{{\"alerts\": []}}\\n'"),
        (b"[1]\n", "{} is no recording: it begins with b'[1]\\n'"),
        (b"SQLite format 3\0rest", "{} is an embedded journal's file: name its folder, "),
        (
            b'{"magic":"tocsin recording","format":2,"version":"0.9.0"}\n',
            "{} has format 2, written by Tocsin 0.9.0; this one reads up to 1: run the newer version",
        ),
        (
            b'{"kind":"tocsin recording","format":1,"version":"0.1.0"}\n',
            "{} was recorded before Tocsin's first release and cannot be read: record again",
        ),
    ],
)
def test_what_is_no_recording_is_refused(
    tmp_path: Path, data: bytes, expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The message says what it is instead."""
    path = tmp_path / "foreign"
    path.write_bytes(data)

    assert _refusal(path, capsys).startswith(expected.format(path))


def test_a_folder_without_a_journal_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And so is nothing."""
    wanted = "it has to be the folder of an embedded journal, or a recording; --journal names it"

    assert _refusal(tmp_path, capsys) == f"{tmp_path} has no journal.db: {wanted}"
    assert _refusal(tmp_path / "no", capsys) == f"{tmp_path / 'no'} does not exist: {wanted}"


def test_a_recording_is_for_its_owner(tmp_path: Path) -> None:
    """It has all alerts in the clear."""
    before = os.umask(0o022)
    try:
        RecordingWriter(tmp_path / "night.tocsin", HEADER).finish()
    finally:
        os.umask(before)

    assert stat.S_IMODE((tmp_path / "night.tocsin").stat().st_mode) == 0o600
