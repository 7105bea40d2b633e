"""The example of a consumer, run as a process of its own, and messages for it."""

import os
import subprocess
import sys
from pathlib import Path

from app.transport.log import Log, NewRecord
from models.effect import Effect, Stream
from models.topics import Topics
from tests.support.alerts import effects_of, record

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "docs" / "examples" / "consumer.py"
FIRST = """\
Z RING On-call SRE: [P0] PodRestarts: store/basket-5f8d
    PodRestarts: store/basket-5f8d: A pod restarts again and again.
    why: first on call of the team infrastructure
    runbook: https://wiki.example.org/runbooks/pods
    dashboard: https://grafana.example.org/d/pods
    graph: https://prometheus.example.org/graph?g0.expr=restarts
"""


async def write_messages(log: Log) -> int:
    """Write the messages of an incident into partition 1, the first of them twice; how many they are."""
    sent = [one for one in effects_of(record()) if one.stream is Stream.NOTIFICATIONS]
    await log.ensure_topics(Topics().specs(2))
    records = [_record(one) for one in (sent[0], *sent)]
    await log.append(Topics().notifications, 1, records)
    return len(sent)


def consumed(where: str) -> str:
    """What the example prints."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(EXAMPLE), where]
    done = subprocess.run(
        command, capture_output=True, text=True, env=environment, check=False, timeout=300
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def _record(effect: Effect) -> NewRecord:
    return NewRecord(effect.key, effect.value, (effect.position.header(),))
