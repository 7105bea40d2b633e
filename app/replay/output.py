"""Where a replay's effects go: a file of JSON lines, scratch topics, the terminal.

A line has the stream, the partition, the position and the key, and last the effect, with the very
bytes that the topic has. Each partition's lines are written to a file of their own while it is
replayed, by whichever process does it. So the order of a whole output is that of partitions and
positions, however the work was shared out.
"""

import heapq
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import orjson

from app.history.not_retained import NotRetained
from app.transport.log import Log, NewRecord, append_all
from models.effect import EFFECTS, Effect, Position, Stream
from models.topics import Topics

_EFFECT = b',"effect":'  # stands once in a line outside of the effect: a quote within a text has a backslash before it
_TOMBSTONE = b"null"
BATCH = 1000  # effects that are sent to a scratch topic at a time


def encode_line(partition: int, effect: Effect) -> bytes:
    """The line of an effect."""
    position = f"{effect.position.offset}-{effect.position.number}"
    key = None if effect.key is None else effect.key.decode(errors="replace")
    head = orjson.dumps(
        {"stream": effect.stream, "partition": partition, "position": position, "key": key}
    )
    return b"%s%s%s}\n" % (head[:-1], _EFFECT, effect.value or _TOMBSTONE)


def decode_line(line: bytes) -> tuple[int, Effect]:
    """The partition and the effect of a line."""
    head, _, value = line.partition(_EFFECT)
    text = value.rstrip(b"\n")[:-1]
    document = orjson.loads(head + b"}")
    offset, number = document["position"].split("-")
    key = None if document["key"] is None else document["key"].encode()
    effect = Effect(
        Stream(document["stream"]),
        key,
        b"" if text == _TOMBSTONE else text,
        Position(int(offset), int(number)),
    )
    return int(document["partition"]), effect


def write_file(parts: Sequence[Path], path: Path) -> None:
    """Put the partitions' lines into one file, which is there when it is whole."""
    temporary = path.with_name(f"{path.name}.part")
    try:
        with temporary.open("wb") as file:
            for part in parts:
                with part.open("rb") as lines:
                    while data := lines.read(1024 * 1024):
                        file.write(data)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def by_time(parts: Sequence[Path]) -> Iterator[tuple[int, Effect]]:
    """All partitions' effects in the order of their time; of one moment in the order of partitions and positions.

    Messages between actors and tombstones are left out: they have no time, and tell nobody
    anything.
    """
    for _, partition, effect in heapq.merge(
        *(_in_time_order(part) for part in parts), key=lambda item: item[0]
    ):
        yield partition, effect


def _in_time_order(part: Path) -> Iterator[tuple[tuple[str, int, Position], int, Effect]]:
    with part.open("rb") as lines:
        for line in lines:
            partition, effect = decode_line(line)
            if effect.stream is not Stream.JOURNAL and effect.value:
                yield (
                    (str(orjson.loads(effect.value)["at"]), partition, effect.position),
                    partition,
                    effect,
                )


class ScratchTopics:
    """Topics of another prefix, with the effects of a replay; messages between actors are left out.

    They begin empty: consumers of the live topics never see them, and nothing that is there is
    added to.
    """

    def __init__(self, log: Log, prefix: str, partitions: int) -> None:
        self._log = log
        self._topics = Topics(prefix)
        self._partitions = partitions

    async def start(self) -> None:
        """Make the topics. Raises NotRetained when one has records."""
        names = {getattr(self._topics, stream) for stream in EFFECTS}
        existing = names & set(await self._log.list_topics())
        for name in sorted(existing):
            for partition in range(self._partitions):
                end = await self._log.end_offset(name, partition)
                if end > 0:
                    raise NotRetained(
                        f"the topic {name} has {end} records in partition {partition}: a replay writes to empty topics only; "
                        "name another prefix"
                    )
        await self._log.ensure_topics(
            [spec for spec in self._topics.specs(self._partitions) if spec.name in names]
        )

    async def send(self, partition: int, effects: Iterable[Effect]) -> None:
        """Append effects of a partition, in order, to the same partition of their topics."""
        batches: dict[Stream, list[NewRecord]] = {}
        for effect in effects:
            if effect.stream is not Stream.JOURNAL:
                record = NewRecord(effect.key, effect.kept_value, (effect.position.header(),))
                batches.setdefault(effect.stream, []).append(record)
        for stream, records in batches.items():
            await append_all(self._log, getattr(self._topics, stream), partition, records)

    async def send_file(self, part: Path) -> None:
        """Append what a partition's file has."""
        waiting: list[Effect] = []
        partition = 0
        with part.open("rb") as lines:
            for line in lines:
                partition, effect = decode_line(line)
                waiting.append(effect)
                if len(waiting) == BATCH:
                    await self.send(partition, waiting)
                    waiting = []
        await self.send(partition, waiting)
