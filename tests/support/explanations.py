"""Scenarios played on eight partitions, and what `tocsin explain` says of them.

The expected texts stand in `tests/explanations/`. `python -m tests.support.explanations` writes
them anew: read the difference before it is committed.
"""

import argparse
import asyncio
from functools import cache
from pathlib import Path

from app.explain.answer import answer
from app.explain.tree import Node
from app.history.archive import Archive
from app.history.snapshots import SnapshotIndex
from app.history.source import Source
from app.history.tracer import Tracer
from app.render.explanation_text import lines
from app.settings import Settings
from app.transport.log import NewRecord
from models.journal import FORMAT_HEADER, encode_resubmitted
from models.journal import Source as Cause
from models.topics import partition_of
from tests.support.fake_log import FakeLog
from tests.support.played_journals import Player
from tests.support.scenario import START_MS, alert_record, read
from tests.support.shipped_policy import shipped

HERE = Path(__file__).parents[1]
CASES = sorted((HERE / "explanations").glob("*.txt"))
CONFIG = Settings(partitions=8, checkpoint_ms=0)


async def _play(log: FakeLog, path: Path) -> None:
    def set_ms(now_ms: int) -> None:
        log.at_ms = now_ms

    policy = shipped()
    set_ms(START_MS)
    player = Player(log, CONFIG, policy, set_ms)
    await player.start()
    records, _ = read(path, policy)
    await player.play(records)
    if path.stem == "nothing":
        await _twice_and_broken(player, records[-1].timestamp)
    await player.stop()


async def _twice_and_broken(player: Player, now_ms: int) -> None:
    """A raw record that was copied twice, a record that is none, and the word that somebody sent it again."""
    source = Cause("raw", 2, 512)
    labels = {"alertname": "SlowDisk", "component": "web-2", "severity": "warning"}
    record = alert_record(now_ms, labels, "web-2")
    target = partition_of(b"web-2", CONFIG.partitions)
    for _ in range(2):
        await player.append(target, [NewRecord(record.key, record.value, (source.header(),))])
    await player.append(target, [NewRecord(b"web-2", b'{"alert":"nonsense"}')])
    await player.append(
        target, [NewRecord(b"web-2", encode_resubmitted("2-57-0", "ann"), ((FORMAT_HEADER, b"2"),))]
    )
    await player.settled()


@cache
def played(name: str) -> FakeLog:
    """The log after a scenario."""
    log = FakeLog(START_MS)
    folder = HERE / "explanations" if name == "nothing" else HERE / "scenarios"
    path = folder / ("nothing.records" if name == "nothing" else f"{name}.txt")
    asyncio.run(_play(log, path))
    return log


def explained(log: FakeLog, words: str, index: SnapshotIndex | None = None) -> Node:
    """The explanation that a command gives."""
    parser = argparse.ArgumentParser()
    parser.add_argument("id", nargs="?")
    parser.add_argument("--record")
    archive = Archive(Source(log, CONFIG, "the log"))
    tracer = Tracer(archive, shipped, index)
    asked = parser.parse_args(words.split())
    return asyncio.run(
        answer(archive, tracer, CONFIG.policy_file, asked.id or "", asked.record or "")
    )


def expected_of(path: Path) -> tuple[str, str, str]:
    """The scenario, the command's words and the text of a case."""
    above, text = path.read_text().split("\n---\n", 1)
    scenario, _, words = above.splitlines()[-1].partition(": tocsin explain ")
    return scenario, words, text


def text_of(scenario: str, words: str) -> str:
    """What a command prints of a scenario."""
    return "".join(f"{line}\n" for line in lines(explained(played(scenario), words)))


def main() -> None:
    """Write the expected texts anew."""
    for path in CASES:
        scenario, words, _ = expected_of(path)
        above = path.read_text().split("\n---\n", 1)[0]
        path.write_text(f"{above}\n---\n{text_of(scenario, words)}")


if __name__ == "__main__":
    main()
