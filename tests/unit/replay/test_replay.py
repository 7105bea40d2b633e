"""A journal that a killed service left behind is replayed.

The same bytes, however it is cut and shared out.
"""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest

from app.cli.main import main, parse
from app.transport.log import StoredRecord
from models.effect import Position, Stream
from models.topics import Topics
from tests.support.engines import ROOT, read_all
from tests.support.replays import refused, replayed
from tests.support.storm import change, copy, with_log

TOPICS = Topics()


@pytest.fixture(scope="module")
def recording(journal: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All of it, recorded."""
    path = tmp_path_factory.mktemp("recorded") / "storm.tocsin"
    assert main(["record", str(path), "--journal", str(journal)]) == 0
    return path


def test_what_was_said_is_said_again(
    journal: Path, recording: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """From the journal and from a recording: every effect and every message, byte for byte."""
    status, found = replayed(capsys, "--journal", journal, "--verify")
    again, recorded = replayed(capsys, "--journal", recording, "--verify")

    assert (status, found["identical"], found["first_difference"]) == (0, True, "")
    assert found["records"] > 1900
    assert found["compared"] | {"identical": 0} == dict.fromkeys(found["compared"], 0)
    assert found["compared"]["identical"] == found["effects"] + found["messages"] > 50
    assert {one["started"] for one in found["partitions"].values()} == {"start of the journal"}
    clocks = {"seconds": 0, "records_per_second": 0}
    assert (again, recorded | clocks) == (0, found | clocks)


@pytest.mark.slow
def test_bytes_do_not_depend_on_batches_workers_or_hashes(recording: Path, tmp_path: Path) -> None:
    """Batches of 1, 7 and 5,000 records, 1 and 3 processes, two hash seeds.

    One and the same file.
    """
    paths = [tmp_path / f"{name}.jsonl" for name in ("one", "all", "seven")]
    for path, batch in zip(paths, ("1", "5000"), strict=False):
        assert (
            main(["replay", "--journal", str(recording), "--batch", batch, "--output", str(path)])
            == 0
        )
    options = [
        "--journal",
        str(recording),
        "--batch",
        "7",
        "--workers",
        "3",
        "--output",
        str(paths[2]),
        "--verify",
    ]
    environment = os.environ | {"PYTHONHASHSEED": "7"}
    subprocess.run(
        [sys.executable, "-m", "app", "replay", *options], check=True, cwd=ROOT, env=environment
    )
    outputs = {path.read_bytes() for path in paths}

    assert len(outputs) == 1
    lines = [orjson.loads(line) for line in outputs.pop().splitlines()]
    assert {one["stream"] for one in lines} >= {"incidents", "timeline"}
    order = [(one["partition"], *map(int, one["position"].split("-"))) for one in lines]
    assert order == sorted(order)


def test_the_output_has_the_bytes_of_the_topics(
    journal: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each line ends with the effect, as it stands in its topic."""
    path = tmp_path / "effects.jsonl"
    replayed(capsys, "--journal", journal, "--output", path)
    sent = with_log(journal, lambda log: read_all(log, TOPICS.timeline, 0))
    lines = [
        line
        for line in path.read_bytes().splitlines()
        if line.startswith(b'{"stream":"timeline","partition":0,')
    ]

    assert [line.partition(b',"effect":')[2][:-1] for line in lines] == [
        record.value for record in sent
    ]


def test_a_recording_reads_as_the_journal_does(
    journal: Path, recording: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Incidents, one incident, its report: the commands say the same."""

    def said(source: Path, *words: str) -> str:
        capsys.readouterr()
        assert main([*words, "--journal", str(source)]) == 0
        return capsys.readouterr().out

    listed = said(journal, "incidents", "list", "--all", "--json")
    incident = json.loads(listed.splitlines()[0])["incident"]

    assert said(recording, "incidents", "list", "--all", "--json") == listed
    for words in (
        ("incidents", "show", incident, "--json"),
        ("report", incident),
        ("followups", "--all", "--json"),
    ):
        assert said(recording, *words) == said(journal, *words)


def test_an_incident_brings_what_belongs_to_it(
    journal: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its partition, and the output is of effects that name it."""
    capsys.readouterr()
    main(["incidents", "list", "--all", "--json", "--journal", str(journal)])
    incident = json.loads(capsys.readouterr().out.splitlines()[0])
    path = tmp_path / "one.jsonl"
    status, found = replayed(
        capsys,
        "--journal",
        journal,
        "--incident",
        incident["incident"],
        "--verify",
        "--output",
        path,
    )

    assert (status, found["identical"]) == (0, True)
    assert incident["id"].split("-")[0] in found["partitions"]
    assert path.read_text()
    assert all(incident["incident"] in line for line in path.read_text().splitlines())


def test_writes_to_a_journal_of_its_own(
    journal: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The effects' topics are the same there.

    And a folder that has something in it is left alone.
    """
    before = (journal / "journal.db").read_bytes()
    replayed(capsys, "--journal", journal, "--to-journal", tmp_path / "new", "--to-prefix", "again")

    async def topics(log: Any) -> dict[str, int]:
        found: dict[str, int] = await log.list_topics()
        return found

    for stream in (Stream.INCIDENTS, Stream.TIMELINE, Stream.NOTIFICATIONS):
        old = with_log(journal, lambda log, s=stream: read_all(log, f"tocsin.{s}", 0))  # type: ignore[misc]
        new = with_log(tmp_path / "new", lambda log, s=stream: read_all(log, f"again.{s}", 0))  # type: ignore[misc]
        assert [(one.key, one.value, one.headers) for one in old] == [
            (one.key, one.value, one.headers) for one in new
        ]
    assert set(with_log(tmp_path / "new", topics)) == {
        f"again.{stream}" for stream in Stream if stream != "journal"
    }
    assert (journal / "journal.db").read_bytes() == before
    assert main(["incidents", "list", "--journal", str(tmp_path / "new")]) == 0
    assert refused(capsys, "--journal", tmp_path / "new") == (
        f"the journal in {tmp_path / 'new'} has no topic again.journal: a replay writes effects only"
    )
    assert refused(capsys, "--journal", journal, "--to-journal", journal) == (
        f"{journal} is not empty: a replay writes to a journal of its own; name a new folder"
    )


def test_prints_what_people_would_have_read(
    journal: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In the order of time, whatever the partition."""
    capsys.readouterr()
    assert main(["replay", "--journal", str(journal), "--print"]) == 0
    times = [line[:24] for line in capsys.readouterr().out.splitlines() if line.startswith("20")]

    assert len(times) > 50
    assert times == sorted(times)


# What verify notices.


def _at(records: list[StoredRecord], number: int) -> Position:
    offset, count = dict(records[number].headers)["position"].decode().split("-")
    return Position(int(offset), int(count))


def _most_told(journal: Path) -> tuple[int, list[StoredRecord]]:
    """The partition with the longest timeline, and the timeline."""
    told = [
        with_log(journal, lambda log, one=one: read_all(log, TOPICS.timeline, one))  # type: ignore[misc]
        for one in range(8)
    ]
    return max(enumerate(told), key=lambda one: len(one[1]))


def _verified(folder: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, int, str]:
    status, found = replayed(capsys, "--journal", folder, "--verify")
    assert found["identical"] is (status == 0)
    return status, found["differences"], found["first_difference"]


def test_notices_a_changed_byte(
    journal: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One sign of one effect."""
    folder, (partition, told) = copy(journal, tmp_path / "changed"), _most_told(journal)
    where, kind = _at(told, 2), orjson.loads(told[2].value or b"")["kind"]

    def alter(records: list[StoredRecord]) -> list[StoredRecord]:
        records[2].value = (records[2].value or b"").replace(b'"kind":"', b'"kind":"X', 1)
        return records

    change(folder, TOPICS.timeline, partition, alter)

    said = (
        f"partition {partition}, timeline, position {where.offset}-{where.number} (offset 2 of tocsin.timeline): other bytes: "
        f'kind: "X{kind}" there, "{kind}" computed: all others are identical, so this record of the topic was changed '
        "after it was sent"
    )
    assert _verified(folder, capsys) == (1, 1, said)


def test_notices_a_missing_effect(
    journal: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It was sent, since the worker had come past it."""
    folder, (partition, told) = copy(journal, tmp_path / "missing"), _most_told(journal)
    where = _at(told, 3)
    change(folder, TOPICS.timeline, partition, lambda records: [*records[:3], *records[4:]])
    status, differences, first = _verified(folder, capsys)

    assert (status, differences) == (1, 1)
    assert first.startswith(
        f"partition {partition}, timeline, position {where.offset}-{where.number}: is missing; the worker had worked up "
    )
    assert first.endswith("it was taken out of the topic, or never sent")


def test_notices_an_effect_too_many(
    journal: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A position that no record caused."""
    folder, (partition, told) = copy(journal, tmp_path / "extra"), _most_told(journal)
    # The last of its cause, so that what follows is not out of order too.
    last = next(
        one for one in range(3, len(told)) if _at(told, one + 1).offset > _at(told, one).offset
    )
    where = _at(told, last)
    forged = Position(where.offset, where.number + 500)

    def alter(records: list[StoredRecord]) -> list[StoredRecord]:
        one = records[last]
        more = StoredRecord(0, one.timestamp, one.key, b'{"kind":"Forged"}', (forged.header(),))
        return [*records[: last + 1], more, *records[last + 1 :]]

    change(folder, TOPICS.timeline, partition, alter)

    said = (
        f"partition {partition}, timeline, position {forged.offset}-{forged.number} (offset {last + 1} of tocsin.timeline): is "
        'too many: there stands {"kind":"Forged"}, and nothing was computed: somebody else has put it there, or the journal '
        "lacks its cause"
    )
    assert _verified(folder, capsys) == (1, 1, said)


def test_passes_over_what_consumers_drop(
    journal: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A record that stands a second time is none, unless it says something else.

    Out of order is a difference.
    """
    partition, told = _most_told(journal)
    twice, lied, turned = (copy(journal, tmp_path / name) for name in ("twice", "lied", "turned"))
    change(twice, TOPICS.timeline, partition, lambda records: [*records, records[1]])
    other = StoredRecord(0, told[-1].timestamp, told[1].key, b"{}", told[1].headers)
    change(lied, TOPICS.timeline, partition, lambda records: [*records, other])
    change(
        turned, TOPICS.timeline, partition, lambda records: [records[1], records[0], *records[2:]]
    )
    status, found = replayed(capsys, "--journal", twice, "--verify")

    assert (status, found["compared"]["duplicates"], found["differences"]) == (0, 1, 0)
    assert (
        "stands twice, with different bytes: the first one has offset 1"
        in _verified(lied, capsys)[2]
    )
    assert _verified(turned, capsys)[2].endswith("stands before it, so that consumers drop it")


def test_notices_a_changed_journal_record(
    journal: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An alert that says another name opens another incident."""
    folder, (partition, told) = copy(journal, tmp_path / "journal"), _most_told(journal)
    first = next(one for one in told if b'"kind":"Opened"' in (one.value or b""))
    offset = _at([first], 0).offset

    def alter(records: list[StoredRecord]) -> list[StoredRecord]:
        records[offset].value = (records[offset].value or b"").replace(
            b'"alertname":"', b'"alertname":"Other', 1
        )
        return records

    change(folder, TOPICS.journal, partition, alter)
    status, differences, said = _verified(folder, capsys)

    assert status == 1
    assert differences > 1
    assert said.startswith(f"partition {partition}, ")
    assert f"position {offset}-" in said
    assert said.endswith(
        "the journal was changed at or before this record, or another version of Tocsin decided it"
    )


def test_notices_another_policy(
    journal: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The policy record says another escalation.

    Each effect has the fingerprint of the one it was decided under.
    """
    folder, (partition, told) = copy(journal, tmp_path / "policy"), _most_told(journal)
    fingerprint = orjson.loads(told[0].value or b"")["policy"]

    def alter(records: list[StoredRecord]) -> list[StoredRecord]:
        document = orjson.loads(records[0].value or b"")
        document["document"]["bounds"] = {"alerts": 50_000}
        records[0].value = orjson.dumps(document | {"policy": "0123456789ab"})
        return records

    change(folder, TOPICS.journal, partition, alter)
    status, differences, said = _verified(folder, capsys)

    assert (status, differences >= len(told)) == (1, True)
    assert f"it was decided under policy {fingerprint}, and the journal says " in said
    assert said.endswith("a policy record was changed, or is missing")


def test_compaction_is_no_difference(
    journal: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Older snapshots of an incident go; the newest of each has to be there."""
    folder = copy(journal, tmp_path / "compacted")

    def compact(records: list[StoredRecord]) -> list[StoredRecord]:
        newest = {record.key: record for record in records}
        return [record for record in records if newest[record.key] is record]

    for partition in range(8):
        change(folder, TOPICS.incidents, partition, compact)
    status, found = replayed(capsys, "--journal", folder, "--verify")
    partition, _ = _most_told(journal)
    change(folder, TOPICS.incidents, partition, lambda records: records[:-1])

    assert (status, found["differences"], found["compared"]["compacted"] > 0) == (0, 0, True)
    assert "incidents, position" in _verified(folder, capsys)[2]


def test_what_is_not_there_is_said(journal: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Partitions, offsets, times, incidents: the message says what exists."""
    where = ("--journal", journal)

    assert refused(capsys, *where, "--partition", 9) == (
        f"the journal in {journal} has no partition 9; it has 0, 1, 2, 3, 4, 5, 6, 7"
    )
    assert refused(capsys, *where, "--from", 5) == (
        "5 is an offset, which is of one partition: name it with --partition, or give a time instead"
    )
    assert (
        f"offset 999999 is not there; the journal in {journal} has partition 1: offsets 0 to "
        in refused(capsys, *where, "--partition", 1, "--to", 999_999)
    )
    assert refused(capsys, *where, "--from", "2999-01-01T00:00:00Z").startswith(
        "there is no record in that range; "
    )
    assert f"no incident 'INC-1' in the journal in {journal}; the newest are: " in refused(
        capsys, *where, "--incident", "INC-1"
    )
    assert refused(capsys, *where, "--incident", "INC-1", "--partition", 1) == (
        "--incident says itself which partitions and offsets: leave out --partition, --from and --to"
    )
    assert refused(capsys, *where, "--to-prefix", "x").startswith(
        "--to-prefix needs a broker, and TOCSIN_BROKER is "
    )
    assert refused(capsys, *where, "--speed", "2x", "--workers", 2).startswith(
        "--speed keeps all partitions at one pace"
    )


@pytest.mark.parametrize(
    "wrong",
    [("--from", "yesterday"), ("--to", "2026-01-01"), ("--batch", "0"), ("--speed", "fast")],
)
def test_wrong_arguments_have_status_2(
    wrong: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """And say what would be right."""
    with pytest.raises(SystemExit) as ended:
        main(["replay", *wrong])

    assert ended.value.code == 2
    assert f"{wrong[1]!r} must be " in capsys.readouterr().err


def test_the_documented_commands_are_commands() -> None:
    """Each line of docs/REPLAY.md that records or replays is understood."""
    lines = [
        line.removeprefix("$ ").split("#")[0]
        for line in map(str.strip, (ROOT / "docs" / "REPLAY.md").read_text().splitlines())
        if re.match(r"(\$ )?(TOCSIN_\w+=\S+ )?tocsin (record|replay) ", line)
    ]
    commands = [shlex.split(part) for line in lines for part in line.split("&&")]

    for words in commands:
        parse(words[words.index("tocsin") + 1 :])
    assert len(commands) > 8


def test_a_recording_of_a_part_explains_itself(
    recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A record of it is explained from the state that the recording begins with."""
    part = tmp_path / "part.tocsin"
    words = ["--partition", "0", "--from", "10", "--to", "20", "--journal", str(recording)]
    assert main(["record", str(part), *words]) == 0

    status = main(["explain", "--record", "0:15", "--journal", str(part)])

    assert (status, capsys.readouterr().err) == (0, "")
