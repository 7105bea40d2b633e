"""Real Tocsin processes for tests, and the proof that what they left behind is what an undisturbed engine says."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import orjson

from app.core.engine import Engine
from app.core.state.changelog import META
from app.history.checkpoints import load_state
from app.history.policies import policy_in
from app.settings import Settings
from app.transport.log import Log, StoredRecord
from models.effect import Effect, Stream, position_from
from models.topics import Topics
from tests.support.scenario import keep
from tests.support.shipped_policy import shipped

ROOT = Path(__file__).parents[2]
SECONDS = 180  # that a process may take for anything; for a busy machine


class Tocsin:
    """A `tocsin COMMAND` process."""

    def __init__(self, command: str, **settings: str) -> None:
        environment = os.environ | {"TOCSIN_PORT": "0"} | settings
        arguments = [sys.executable, "-m", "app", command]
        self.process = subprocess.Popen(
            arguments, stdout=subprocess.PIPE, text=True, env=environment, cwd=ROOT
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            self._close()
        assert line, f"tocsin {command} ended with status {self.process.wait()} before it was ready"
        self.url: str = json.loads(line)["url"]

    def post(self, path: str, body: Any) -> tuple[int, dict[str, Any]]:
        """Status and answer."""
        data = body if isinstance(body, bytes) else orjson.dumps(body)
        request = urllib.request.Request(
            self.url + path, data, {"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=SECONDS) as response:
                return response.status, json.loads(response.read())
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())

    def wait_applied(self) -> None:
        """Return when everything that stands in the journal is applied, and its effects are sent."""

        def applied() -> bool:
            with urllib.request.urlopen(f"{self.url}/progress", timeout=SECONDS) as response:
                progress = json.loads(response.read())
            return bool(progress["applied"] == progress["journal_end"])

        wait_until(applied, "everything is applied")

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        self.process.wait()
        self._close()

    def stop(self) -> None:
        """End it as an operator would; it has to end well."""
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(SECONDS) == 0
        self._close()

    def _close(self) -> None:
        assert self.process.stdout is not None
        self.process.stdout.close()


def wait_until(condition: Callable[[], bool], what: str, seconds: float = SECONDS) -> None:
    """Return when the condition holds; fail when it does not in time."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, f"not within {seconds} s: {what}"
        time.sleep(0.02)


async def read_all(log: Log, topic: str, partition: int) -> list[StoredRecord]:
    """Every record of a partition."""
    found: list[StoredRecord] = []
    while records := await log.read(topic, partition, found[-1].offset + 1 if found else 0):
        found += records
    return found


async def assert_exactly_once(log: Log, config: Settings) -> dict[str, int]:
    """The effects topics hold, byte for byte and each once, what a fresh engine says of the journal; and the state too.

    Returns the engines' counts, summed.
    """
    topics, total = Topics(config.prefix), dict[str, int]()
    for partition in range(config.partitions):
        items = await load_state(log, topics.state, partition)
        applied = orjson.loads(items[META])["offset"]
        journal = await read_all(log, topics.journal, partition)
        engine = Engine(partition, policy_in(journal) or shipped())
        effects = engine.apply(journal[: applied + 1])
        expected: dict[bytes, bytes] = {}
        keep(expected, engine)
        assert expected == items
        effects = [*effects, *engine.apply(journal[applied + 1 :])]
        for stream in Stream:
            if stream is not Stream.JOURNAL:
                sent = await read_all(log, getattr(topics, stream), partition)
                assert [record.value for record in sent] == _values(effects, stream), (
                    f"{stream} {partition}"
                )
                positions = [position_from(tuple(record.headers)) for record in sent]
                assert positions == [
                    effect.position for effect in effects if effect.stream is stream
                ]
        for name, number in engine.counts.items():
            total[name] = total.get(name, 0) + number
    return total


def _values(effects: Iterable[Effect], stream: Stream) -> list[bytes | None]:
    return [effect.kept_value for effect in effects if effect.stream is stream]
