"""State that an older Tocsin wrote."""

from pathlib import Path

import orjson
import pytest

from app.core.changelog import META, POLICY
from app.core.engine import FORMAT, Engine, NewerFormat
from app.policy_file import load
from app.transport.log import StoredRecord
from models.journal import TICK
from tests.scenario import keep, tell

MINUTE_MS = 60_000


def _items() -> dict[bytes, bytes]:
    """The state of format 1 of a worker that had heard of four agents that are down."""
    document = orjson.loads((Path(__file__).parent / "data" / "state_format_1.json").read_bytes())
    items = {key.encode(): orjson.dumps(value) for key, value in document.items()}
    return items | {POLICY: orjson.dumps(load().document)}


def test_format_1_goes_on() -> None:
    """Incidents of format 1 are there, everything counts from their opening, and nothing is told a second time."""
    engine = Engine.restore(0, load(), _items())
    offset, now_ms = engine.applied_offset + 1, engine.state.now_ms
    before = {incident.id: (incident.state, incident.severity) for incident in engine.state.incidents.values()}

    effects = engine.apply([StoredRecord(offset, now_ms + MINUTE_MS, None, TICK)])

    assert sorted(str(severity) for _, severity in before.values()) == ["P1", "P2", "P2", "P2", "P2"]
    assert " opened " not in tell(effects)
    again: dict[bytes, bytes] = _items()
    keep(again, engine)
    assert orjson.loads(again[META])["format"] == FORMAT
    assert Engine.restore(0, load(), again).state.incidents.keys() == engine.state.incidents.keys()


def test_a_newer_format_is_refused() -> None:
    """State of a version to come is left alone, and the message says what to run."""
    items = _items()
    items[META] = orjson.dumps(orjson.loads(items[META]) | {"format": FORMAT + 1})

    with pytest.raises(NewerFormat, match=f"has format {FORMAT + 1}, this Tocsin reads up to {FORMAT}"):
        Engine.restore(0, load(), items)
