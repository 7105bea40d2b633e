"""Alerts that are forgotten leave records without a value: a replay writes them too."""

from pathlib import Path

from app.core.engine import Engine
from app.replay.output import by_time, decode_line, encode_line
from app.transport.log import StoredRecord
from models.effect import Effect, Stream
from models.journal import TICK
from tests.support.scenario import START_MS, alert_record
from tests.support.shipped_policy import shipped

LABELS = {"alertname": "A", "component": "c"}
DAY_MS = 86_400_000


def effects_of_a_forgotten_alert() -> list[Effect]:
    """It was never heard to fire, and is forgotten a day later."""
    ended = alert_record(START_MS, LABELS, "c", firing=False)
    ended.offset = 0
    later = StoredRecord(1, START_MS + DAY_MS, None, TICK)
    return Engine(0, shipped()).apply([ended, later])


def test_a_line_has_null_for_what_is_forgotten(tmp_path: Path) -> None:
    """It is read back as it was. Where effects are told in the order of their time it has none."""
    effects = effects_of_a_forgotten_alert()
    lines = [encode_line(0, effect) for effect in effects]
    part = tmp_path / "part"
    part.write_bytes(b"".join(lines))

    assert (effects[-1].stream, effects[-1].kept_value) == (Stream.ALERTS, None)
    assert lines[-1].endswith(b'"effect":null}\n')
    assert [decode_line(line) for line in lines] == [(0, effect) for effect in effects]
    assert [effect for _, effect in by_time([part])] == effects[:-1]
