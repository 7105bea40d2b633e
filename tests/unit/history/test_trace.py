"""What an explanation rests on.

The engine, brought to where it was, says again what was said; wherever it starts from.
"""

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import orjson
import pytest

from app.cli.main import main
from app.clock import Clock
from app.core.alerts import dedup
from app.core.rules.compiled_policy import CompiledPolicy
from app.core.state.changelog import META
from app.core.state.turn import Turn
from app.explain.causes import Causes
from app.explain.effects import explain_effect
from app.history import nearest_state
from app.history.archive import Archive
from app.history.not_retained import NotRetained
from app.history.snapshots import SnapshotIndex, code_files
from app.history.source import Source
from app.history.tracer import Trace, Tracer
from app.render.explanation_text import lines
from app.transport.log import NewRecord
from app.transport.sqlite import SqliteLog
from models.effect import EFFECTS, Position, Stream
from models.journal import ALERT_START, encode_receipt
from models.text.instant import milliseconds
from models.topics import partition_of
from tests.support.compaction import cleaned
from tests.support.explanations import CONFIG, HERE, explained, played
from tests.support.fake_log import FakeLog
from tests.support.played_journals import Player
from tests.support.scenario import START_MS, alert_record, read
from tests.support.shipped_policy import shipped

LATE = "4:141"  # of the bad day: the tick that moved the time past the intrusion's climb
CLIMB = "4-141-2"


def traces(log: FakeLog, index: SnapshotIndex | None = None) -> list[tuple[int, Trace]]:
    """A trace of every record, in the order of each partition."""
    archive = Archive(Source(log, CONFIG, "the log"))
    tracer = Tracer(archive, shipped, index)

    async def all_of_them() -> list[tuple[int, Trace]]:
        ends = [
            await log.end_offset("tocsin.journal", partition)
            for partition in range(CONFIG.partitions)
        ]
        places = [
            (partition, offset) for partition, end in enumerate(ends) for offset in range(end)
        ]
        return [(partition, await tracer.trace(partition, offset)) for partition, offset in places]

    return asyncio.run(all_of_them())


@pytest.mark.parametrize("scenario", ["bad_day", "digest", "nothing"])
def test_everything_is_said_again(scenario: str) -> None:
    """Each effect in the topics is, byte for byte and in order, an effect of a step of its record's trace; and no other."""
    log = played(scenario)
    said: dict[tuple[str, int], list[bytes | None]] = {}
    for partition, trace in traces(log):
        for step in trace.steps:
            for effect in step.effects:
                if effect.stream is not Stream.JOURNAL:
                    key = f"tocsin.{effect.stream}", partition
                    said.setdefault(key, []).append(effect.kept_value)

    kept = {
        (topic, partition): [record.value for record in records]
        for (topic, partition), records in log.topics.items()
        if topic in {f"tocsin.{stream}" for stream in EFFECTS}
    }
    assert said == kept


def test_timers_are_told_from_records() -> None:
    """What carries a time before its record's is of a timer, which was due at that time.

    A tick does nothing itself.
    """
    for _, trace in traces(played("bad_day")):
        for step in trace.steps:
            times = {
                milliseconds(orjson.loads(one.value)["at"])
                for one in step.effects
                if one.stream in EFFECTS and one.stream is not Stream.ALERTS
            }
            if step.timers:
                assert times <= {min(timer.at_ms for timer in step.timers)} | {
                    max(t.at_ms for t in step.timers)
                }
            else:
                assert times <= {trace.record.timestamp}
        if trace.record.value == b'{"tick":true}':
            assert trace.own == []


# What an escalation, or its message, says, and what its timer is called.
SAID = {
    "No root cause named": "rule no-root-cause",
    "Not mitigated": "rule not-mitigated",
    r"Not acknowledged for \w+\. \d": "repeated after repeat_interval",
    "Not acknowledged for": "escalates, because not acknowledged",
    "left to resolve it": "time to resolve it is running out",
    "has been firing for": "rule p0-lasting",
}


@pytest.mark.slow
def test_each_of_several_timers_has_its_own_effects() -> None:
    """Where several are due at one time, an escalation, its message and its timeline entry are the right one's."""
    log, seen = played("climbing"), set()
    tracer = Tracer(Archive(Source(log, CONFIG, "the log")), shipped)
    for (topic, _), records in log.topics.items():
        if topic not in ("tocsin.escalations", "tocsin.notifications", "tocsin.timeline"):
            continue
        for record in records:
            effect = orjson.loads(record.value or b"")
            text = f"{effect.get('because', '')} {effect.get('text', '')}"
            said = next((one for one in SAID if re.search(one, text)), None)
            if said is not None and effect["kind"] != "TaskMade":
                causes = Causes(tracer.archive, tracer, "")
                cause = asyncio.run(
                    explain_effect(tracer.archive, tracer, causes, effect["id"])
                ).because[0]
                seen.add(said)
                while cause.kind == "page":
                    cause = cause.because[0]
                assert cause.text.startswith(f"timer: {SAID[said]}"), effect
    assert seen == set(SAID)


def snapshots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SnapshotIndex:
    """An index that is made often."""
    monkeypatch.setattr(nearest_state, "SNAPSHOT_RECORDS", 20)
    monkeypatch.setattr(nearest_state, "SNAPSHOT_SHARE", 0)
    monkeypatch.setattr(nearest_state, "NEAR_RECORDS", 5)
    return SnapshotIndex("bad day", tmp_path)


def text(log: FakeLog, words: str, index: SnapshotIndex | None = None) -> list[str]:
    """An explanation's lines."""
    return list(lines(explained(log, words, index)))


@pytest.mark.parametrize("words", [CLIMB, f"--record {LATE}", "--record 4:128", "2-127-8"])
def test_snapshots_change_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    """With the snapshots of a first question a second one has the same answer, and applies fewer records."""
    log = played("bad_day")
    expected = text(log, words)
    index = snapshots(tmp_path, monkeypatch)
    first = text(log, words, index)
    made = len(list(tmp_path.rglob("*.snapshot")))
    second = text(log, words, index)

    assert (first, second) == (expected, expected)
    assert made > 0


def test_snapshots_of_another_journal_are_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder may have a new journal in the place of an old one.

    A snapshot is of the record that stands at its offset.
    """
    index = snapshots(tmp_path, monkeypatch)
    text(played("bad_day"), "--record 1:24", index)
    other = played("nothing")

    assert text(other, "--record 1:24", index) == text(other, "--record 1:24")


def test_a_snapshot_that_is_damaged_is_as_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is replayed then."""
    log, index = played("bad_day"), snapshots(tmp_path, monkeypatch)
    expected = text(log, CLIMB, index)
    for path in tmp_path.rglob("*.snapshot"):
        path.write_bytes(b"nonsense")

    assert text(log, CLIMB, index) == expected


def expired(log: FakeLog, partition: int, start: int, *, checkpoints: bool = True) -> FakeLog:
    """The log when a partition's journal is kept from an offset on only, with or without the changelog."""
    kept = FakeLog(log.at_ms)
    kept.topics = dict(log.topics)
    journal = ("tocsin.journal", partition)
    kept.topics[journal] = [one for one in log.topics[journal] if one.offset >= start]
    if not checkpoints:
        kept.topics.pop(("tocsin.state", partition))
    return kept


def test_the_changelog_where_the_journal_begins_later() -> None:
    """What is not in the journal any more is known from a checkpoint.

    The answer is the same, but for what is gone.
    """
    log = played("bad_day")
    whole, kept = text(log, CLIMB), text(expired(log, 4, 139), CLIMB)

    assert [line for line in kept if "timer" in line] == [line for line in whole if "timer" in line]
    assert any("checked     replay gives the same bytes" in line for line in kept)


@pytest.mark.parametrize(
    ("ahead", "done", "lacks"),
    [
        (0, 0.3, False),
        (0, 1.0, False),
        (3, 0.3, False),  # what changed again had not been dropped yet
        (3, 1.0, True),
        (1000, 0.3, True),
        (1000, 0.6, True),
        (1000, 1.0, True),
    ],
)
def test_a_changelog_that_is_being_compacted(ahead: int, done: float, *, lacks: bool) -> None:
    """A checkpoint that lacks keys is no state.

    The answer is the same, or it says that what was before is missing.
    """
    log = expired(played("bad_day"), 4, 139)
    expected = text(log, CLIMB)
    topic = ("tocsin.state", 4)
    records = log.topics[topic]
    offsets = [
        orjson.loads(one.value or b"")["offset"] if one.key == META else -1 for one in records
    ]
    known = next((n + 1 for n, one in enumerate(offsets) if one >= 139 + ahead), len(records))
    log.topics[topic] = cleaned(records, known, round(known * done))
    shown = text(log, CLIMB)

    assert any("what was known before that is missing here" in line for line in shown) == lacks
    assert (shown == expected) == (not lacks)


def test_nothing_before_is_known() -> None:
    """Without a checkpoint it begins with what is kept, and says so."""
    shown = "\n".join(text(expired(played("bad_day"), 4, 134, checkpoints=False), "--record 4:136"))

    assert (
        "the journal keeps 4:134 and after, so what was known before that is missing here" in shown
    )


def test_effects_outlive_the_journal() -> None:
    """Effects are kept for longer than records.

    What they say is told, and what is gone is said to be gone.
    """
    log = played("bad_day")
    kept = expired(log, 5, 130, checkpoints=False)
    gone = "there is no record 5:81: the journal keeps 5:130 to"

    for words in ("INC-20250615T153640Z-0529", "5-89-5"):
        shown = text(kept, words)
        assert any(gone in line or gone.replace("81", "89") in line for line in shown)
        assert any("PostgreSQLDown on postgres" in line for line in shown)


def test_a_fault_of_ours_is_passed_over_as_then(monkeypatch: pytest.MonkeyPatch) -> None:
    """A record that made the engine raise became a dead letter.

    The trace says the same, and goes on after it.
    """
    on_alert = dedup.on_alert

    def raising(turn: Turn, document: dict[str, Any], key: str) -> None:
        on_alert(turn, document, key)
        assert document["labels"]["alertname"] != "Poison"

    monkeypatch.setattr(dedup, "on_alert", raising)
    log = FakeLog(START_MS)
    alerts = [("ServiceDown", "a"), ("Poison", "a"), ("ServiceDown", "a"), ("HighErrorRate", "a")]

    async def play() -> None:
        player = Player(log, CONFIG, shipped(), lambda now_ms: setattr(log, "at_ms", now_ms))
        await player.start()
        labels = [
            {"alertname": name, "component": component, "severity": "high"}
            for name, component in alerts
        ]
        await player.play(
            [alert_record(START_MS + 1000 * number, one, "a") for number, one in enumerate(labels)]
        )
        await player.stop()

    asyncio.run(play())
    partition = partition_of(b"a", CONFIG.partitions)
    journal = log.topics["tocsin.journal", partition]
    _, poison, repeat, _ = (
        one.offset for one in journal if (one.value or b"").startswith(ALERT_START)
    )
    letter, after = (text(log, f"--record {partition}:{offset}") for offset in (poison, repeat))

    assert any("Refused: dead letter, poison: it made Tocsin fail" in line for line in letter)
    assert any("1 effect in the topics, same bytes in replay" in line for line in letter)
    assert any("a repeat, record number 2 of the alert" in line for line in after)


def test_what_became_of_a_message() -> None:
    """A notification has what its notifier said of it last."""
    log = FakeLog(START_MS)

    async def play() -> tuple[str, str]:
        player = Player(log, CONFIG, shipped(), lambda now_ms: setattr(log, "at_ms", now_ms))
        await player.start()
        labels = {"alertname": "ServiceDown", "component": "a", "severity": "critical"}
        await player.play([alert_record(START_MS, labels, "a")])
        partition = partition_of(b"a", CONFIG.partitions)
        first, second, *_ = (
            orjson.loads(one.value or b"") for one in log.topics["tocsin.notifications", partition]
        )
        for state, detail in (("failed", "mailbox full"), ("delivered", "")):
            receipt = encode_receipt(first["id"], first["incident"], state, detail)
            await player.append(partition, [NewRecord(b"", receipt)])
        await player.settled()
        await player.stop()
        return first["id"], second["id"]

    told, untold = asyncio.run(play())

    assert explained(log, told).facts["delivery"].startswith("delivered, at 2025-06-15T15:06:40")
    assert explained(log, untold).facts["delivery"] == "no receipt from a notifier"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("4-141-99", "there is no effect 4-141-99: record 4:141 emitted 4-141-0 to 4-141-4"),
        (
            "4-122-0",
            "there is no effect 4-122-0: record 4:122 emitted none (why: tocsin explain --record 4:122). Newest",
        ),
        ("9-1-1", "there is no effect 9-1-1: there is no partition 9: the journal has 0 to 7"),
        (
            "4-999999-0",
            "there is no effect 4-999999-0: there is no record 4:999999: the journal keeps 4:0 to 4:",
        ),
        (
            "INC-20250615T151140Z-00C",
            "there is no incident 'INC-20250615T151140Z-00C",
        ),
        (
            "INC-20250615T151140Z-00B.x",
            "there is no task 'INC-20250615T151140Z-00B.x'. Newest: ",
        ),
        (
            "x y"[:1],
            "'x' is no known id, must be an effect such as 3-1207-4, an incident such as INC-",
        ),
        ("--record 4:999999", "there is no record 4:999999: the journal keeps 4:0 to 4:"),
        ("--record four", "--record is 'four', must be PARTITION:OFFSET such as 3:1207"),
    ],
)
def test_what_there_is_instead(words: str, expected: str) -> None:
    """Who asks for what there is not hears what there is."""
    with pytest.raises(NotRetained) as refused:
        explained(played("bad_day"), words)

    assert str(refused.value).startswith(expected)


def test_places_of_compacted_topics() -> None:
    """Where compaction has left holes, an effect is found if it is kept, and the next one if it is not."""
    log = played("bad_day")
    kept = FakeLog(log.at_ms)
    topic = ("tocsin.incidents", 0)
    kept.topics = log.topics | {topic: log.topics[topic][::7]}
    archive = Archive(Source(kept, CONFIG, "the log"))

    async def first(position: Position) -> bytes | None:
        async for one in archive.effects(Stream.INCIDENTS, 0, position):
            return one.value
        return None

    for before, record in zip([None, *kept.topics[topic]], kept.topics[topic], strict=False):
        offset, number = (int(part) for part in record.headers[0][1].split(b"-"))
        assert asyncio.run(first(Position(offset, number))) == record.value
        if before is not None:
            offset, number = (int(part) for part in before.headers[0][1].split(b"-"))
            assert asyncio.run(first(Position(offset, number + 1))) == record.value


def test_grounds_are_those_of_the_verdict() -> None:
    """The place that is named for a severity or an owner says the very severity or owner that the verdict has."""
    rules = shipped()
    judged = 0
    for path in (HERE / "scenarios").glob("*.txt"):
        for record in read(path, rules)[0]:
            document = orjson.loads(record.value or b"")
            if "alert" in document:
                judged += 1
                verdict, grounds = (
                    rules.evaluate(document["labels"]),
                    rules.decision_places(document["labels"]),
                )
                assert _said(rules, grounds.severity, "severity") == verdict.severity
                assert _said(rules, grounds.owner, "team") == verdict.owner
                assert (grounds.incident_class is None) == (verdict.incident_class == "operations")
    assert judged > 200


def _said(rules: CompiledPolicy, where: tuple[str | int, ...], name: str) -> object:
    found: object = rules.document
    for key in where:
        found = found[key]  # type: ignore[index]
    return found[name] if isinstance(found, dict) else found


def test_other_peoples_texts_drive_no_terminal() -> None:
    """Labels, comments and names are shown inert."""
    log = FakeLog(START_MS)
    log.topics = dict(played("bad_day").topics)
    hostile = b"\\u001b[2J\\u202e"
    for key, records in log.topics.items():
        for record in records if key[0] == "tocsin.journal" else ():
            assert record.value is not None
            record.value = record.value.replace(b"Login from a stolen key", hostile)
    try:
        shown = text(log, "--record 4:128")
    finally:
        played.cache_clear()

    assert any("annotations" in line for line in shown)
    assert all(line.isprintable() for line in shown)


async def _play(folder: Path) -> None:
    clock = Clock(driven=True)
    clock.set(START_MS)
    log, policy = SqliteLog(folder, clock), shipped()
    await log.start()
    player = Player(log, CONFIG, policy, clock.set)
    await player.start()
    await player.play(read(HERE / "scenarios" / "digest.txt", policy)[0])
    await player.append(0, [NewRecord(b"x", b"no record")])
    await player.settled()
    await player.stop()
    await log.stop()


def test_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On an embedded journal that is named, as text and for programs.

    What is none is refused with status 1, or 2.
    """
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "journal"
    asyncio.run(_play(folder))
    journal = ["--journal", str(folder)]

    assert main(["explain", *journal, "6-23-0"]) == 0
    assert "digest for Ops Team by chat" in capsys.readouterr().out
    assert main(["explain", "--journal", str(folder / "journal.db"), "6-23-0", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["kind"], told["position"], told["because"][0]["kind"]) == (
        "notifications",
        "6-23-0",
        "timer",
    )
    assert main(["explain", *journal, "nobody"]) == 1
    assert "'nobody' is no known id" in capsys.readouterr().err
    assert main(["explain", "--journal", str(tmp_path), "6-23-0"]) == 1
    assert (
        "it has to be the folder of an embedded journal, or a recording; --journal names it"
        in capsys.readouterr().err
    )
    assert main(["explain", *journal]) == 2
    assert main(["explain", *journal, "6-23-0", "--record", "6:23"]) == 2


def test_a_snapshot_is_of_the_code_that_made_it() -> None:
    """Each module of the core and of the models counts, in whichever folder it stands."""
    root = HERE.parent
    modules = [*(root / "app" / "core").rglob("*.py"), *(root / "models").rglob("*.py")]

    assert sorted(modules) == code_files()
