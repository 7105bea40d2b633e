"""A changelog that compaction has thinned, or somebody has damaged, is never taken for a state."""

import re
from pathlib import Path

import orjson
import pytest

from app.cli.main import main
from app.core.engine import Engine
from app.core.state.changelog import META
from app.history import nearest_state
from app.history.checkpoints import apply_changes, read_checkpoints
from app.history.policies import policy_in
from app.transport.log import StoredRecord
from app.transport.sqlite import SqliteLog
from models.topics import Topics
from tests.support.compaction import cleaned
from tests.support.engines import read_all
from tests.support.replays import refused, replayed
from tests.support.shipped_policy import shipped
from tests.support.storm import change, copy, with_log

TOPICS = Topics()


@pytest.fixture(scope="module")
def checkpointed(journal: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, with forty checkpoints in the busiest partition's changelog, none of which compaction has been over."""
    folder, (busy, size) = (
        copy(journal, tmp_path_factory.mktemp("checkpointed") / "copy"),
        _busiest(journal),
    )
    records = with_log(journal, lambda log: read_all(log, TOPICS.journal, busy))
    engine = Engine(busy, policy_in(records) or shipped())

    def anew(_: list[StoredRecord]) -> list[StoredRecord]:
        kept: list[StoredRecord] = []
        for start in range(0, size, size // 40):
            chunk = records[start : start + size // 40]
            engine.apply(chunk)
            kept += [
                StoredRecord(-1, chunk[-1].timestamp, key, value)
                for key, value in engine.checkpoint()
            ]
        for offset, record in enumerate(kept):
            record.offset = offset
        return kept

    change(folder, TOPICS.state, busy, anew)
    return folder


def _busiest(journal: Path) -> tuple[int, int]:
    """The partition that has the most records, and how many."""
    ends = [
        with_log(journal, lambda log, one=one: log.end_offset(TOPICS.journal, one))  # type: ignore[misc]
        for one in range(8)
    ]
    return max(enumerate(ends), key=lambda one: one[1])


def _checkpoints(journal: Path, partition: int) -> list[int]:
    """The offsets of the checkpoints that the changelog has."""
    return list(_states(journal, partition))


def _states(journal: Path, partition: int) -> dict[int, dict[bytes, bytes]]:
    """The items as of each checkpoint that the changelog has, by offset."""

    async def read(log: SqliteLog) -> dict[int, dict[bytes, bytes]]:
        found, items = {}, dict[bytes, bytes]()
        async for records in read_checkpoints(log, TOPICS.state, partition):
            apply_changes(items, [(record.key or b"", record.value) for record in records])
            found[orjson.loads(items[META])["offset"]] = dict(items)
        return found

    return with_log(journal, read)


def test_starts_in_the_middle_from_a_checkpoint(
    checkpointed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The state comes from the changelog, and a recording of the range has it with it."""
    journal = checkpointed
    (busy, size), path = _busiest(journal), tmp_path / "part.tocsin"
    known = max(offset for offset in _checkpoints(journal, busy) if offset < size - 200)
    first, end = known + 10, known + 110
    options = ["--partition", busy, "--from", first, "--to", end]
    status, found = replayed(capsys, "--journal", journal, *options, "--verify")
    assert main(["record", str(path), "--journal", str(journal), *map(str, options)]) == 0
    alone, recorded = replayed(capsys, "--journal", path, "--verify")
    before = refused(capsys, "--journal", path, "--partition", busy, "--from", 0)

    assert (status, found["identical"], found["records"]) == (0, True, 100)
    assert found["partitions"][str(busy)]["started"] == f"checkpoint at offset {known}"
    assert (alone, recorded["identical"], recorded["effects"]) == (0, True, found["effects"])
    assert recorded["partitions"] == {
        str(busy): {"from": first, "to": end, "started": f"checkpoint at offset {first - 1}"}
    }
    assert before.startswith(
        f"offset 0 is not there; the recording {path} has partition {busy}: offsets {first} to "
    )


@pytest.fixture(scope="module")
def thinned(
    checkpointed: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, int, int, int]:
    """The journal with a compaction of the busiest partition's changelog half done; two offsets between, and one behind.

    The cleaner has noted the newest values up to the third state from the end, and dropped older
    ones of the first four.
    """
    folder, (busy, _) = (
        copy(checkpointed, tmp_path_factory.mktemp("thinned") / "copy"),
        _busiest(checkpointed),
    )
    offsets = _checkpoints(checkpointed, busy)
    first, behind = offsets[4], offsets[-3]

    def clean(records: list[StoredRecord]) -> list[StoredRecord]:
        metas = [number for number, record in enumerate(records) if record.key == META]
        end = (
            next(
                one for one in metas if orjson.loads(records[one].value or b"")["offset"] == behind
            )
            + 1
        )
        return cleaned(records, end, metas[3] + 1)

    change(folder, TOPICS.state, busy, clean)
    return folder, busy, first, behind


def test_a_compaction_that_is_half_done_changes_nothing(
    checkpointed: Path, thinned: tuple[Path, int, int, int], capsys: pytest.CaptureFixture[str]
) -> None:
    """What lacks keys is left alone, whatever its number is.

    The newest that has them all is taken.
    """
    folder, busy, first, behind = thinned
    states = _states(checkpointed, busy)
    whole = [
        offset for offset, state in _states(folder, busy).items() if state == states.get(offset)
    ]
    begins = (first + 1, behind, behind + 1)
    found = [
        replayed(
            capsys,
            "--journal",
            folder,
            "--partition",
            busy,
            "--from",
            one,
            "--to",
            one + 40,
            "--verify",
        )[1]
        for one in begins
    ]

    assert first not in whole
    assert behind in whole
    newest = [max((offset for offset in whole if offset < one), default=None) for one in begins]
    assert [(one["identical"], one["partitions"][str(busy)]["started"]) for one in found] == [
        (True, "start of the journal" if one is None else f"checkpoint at offset {one}")
        for one in newest
    ]


def test_explain_answers_the_same_while_a_compaction_is_half_done(
    journal: Path,
    thinned: tuple[Path, int, int, int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Also where it takes the changelog, however near the journal's beginning is."""
    folder, busy, first, behind = thinned

    def said(source: Path, *words: str) -> str:
        capsys.readouterr()
        assert main(["explain", *words, "--journal", str(source), "--json"]) == 0
        return capsys.readouterr().out

    asked = [
        ("--record", f"{busy}:{offset}") for offset in (first + 1, behind, behind + 1, behind + 30)
    ]
    expected = [said(journal, *words) for words in asked]
    monkeypatch.setattr(nearest_state, "NEAR_RECORDS", 0)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    assert [said(folder, *words) for words in asked] == expected


@pytest.mark.parametrize("command", ["explain", "replay"])
def test_a_state_that_is_none_is_told_in_one_line(
    checkpointed: Path,
    tmp_path: Path,
    command: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Somebody has written to the changelog what no Tocsin wrote.

    The message says what it is and what to do.
    """
    folder, (busy, size) = copy(checkpointed, tmp_path / "damaged"), _busiest(checkpointed)

    def damage(records: list[StoredRecord]) -> list[StoredRecord]:
        for record in records:
            if (record.key or b"").startswith(b"a/"):
                record.value = b"[]"
        return records

    change(folder, TOPICS.state, busy, damage)
    monkeypatch.setattr(nearest_state, "NEAR_RECORDS", 0)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    asked = {
        "explain": ["--record", f"{busy}:{size - 10}"],
        "replay": ["--partition", str(busy), "--from", str(size - 10), "--to", str(size)],
    }

    assert main([command, "--journal", str(folder), *asked[command]]) == 1
    told = capsys.readouterr().err
    said = rf"tocsin: the state of partition {busy} cannot be read: the record of b'a/\w+' is b'\[\]': .*see docs/UPGRADES.md\n"
    assert re.fullmatch(said, told), told
