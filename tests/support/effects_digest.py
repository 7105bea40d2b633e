"""A digest of all effects and of the state, of every scenario and of many things at once."""

import hashlib

from app.core.engine import Engine
from app.transport.log import StoredRecord
from models.journal import TICK, encode_silence
from models.matcher import parse_matcher
from models.silence import Silence
from tests.support.engines import ROOT
from tests.support.scenario import (
    START_MS,
    across_restarts,
    alert_record,
    in_one_batch,
    keep,
    play,
    read,
)
from tests.support.shipped_policy import shipped

RESTARTS_MAX = 60  # a journal of more records is not restored after each
SERVICES = [f"service-{number}" for number in range(12)]


def silenced_at_once() -> list[StoredRecord]:
    """A dozen services fail, and an operator silences them all.

    Half of them end, and the silence too.
    """
    records = [
        alert_record(START_MS, {"alertname": "Down", "severity": "critical", "job": one}, one)
        for one in SERVICES
    ]
    until_ms = START_MS + 3_600_000
    matchers, begins_ms = (parse_matcher('alertname="Down"'),), START_MS + 1000
    silence = Silence("s", matchers, begins_ms, until_ms, "ann", "Investigating")
    records.append(StoredRecord(-1, START_MS + 1000, None, encode_silence(silence)))
    for one in SERVICES[::2]:
        labels = {"alertname": "Down", "severity": "critical", "job": one}
        records.append(alert_record(START_MS + 60_000, labels, one, firing=False))
    return [
        *records,
        *(StoredRecord(-1, until_ms + wait_ms, None, TICK) for wait_ms in (0, 7_200_000)),
    ]


def digest() -> str:
    """Of all effects and of the state, of every scenario and of many things at once."""
    policy, found = shipped(), hashlib.sha256()
    journals = [read(path, policy)[0] for path in sorted((ROOT / "tests/scenarios").glob("*.txt"))]
    for records in [*journals, silenced_at_once()]:
        journal, effects = play(policy, records, in_one_batch)
        engine, items = Engine(0, policy), dict[bytes, bytes]()
        engine.apply(journal)
        keep(items, engine)
        restarted = across_restarts(policy, journal) if len(journal) <= RESTARTS_MAX else []
        for effect in [*effects, *restarted]:
            found.update(effect.value)
        for key, value in sorted(items.items()):
            found.update(key + value)
    return found.hexdigest()
