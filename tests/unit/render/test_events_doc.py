"""What Tocsin emits is what docs/EVENTS.md and docs/events.schema.json say."""

import json
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any

import orjson
import pytest
from jsonschema import Draft202012Validator
from jsonschema.protocols import Validator

from app.render.events_doc import MARKDOWN, SCHEMA, events_markdown, schema_text
from models.effect import EFFECTS, Effect, Stream
from models.event_schema import CLASSES, json_name, topic
from models.events import NOTIFICATION_MEANINGS, NotificationKind
from models.events_timeline import DETAIL_FIELDS, TIMELINE, TimelineKind
from tests.support.alerts import effects_of, record
from tests.support.scenario import one_by_one, play, read
from tests.support.shipped_policy import shipped

ROOT = Path(__file__).parents[3]
SCENARIOS = sorted((ROOT / "tests" / "scenarios").glob("*.txt"))


@cache
def validator_of(stream: Stream) -> Validator:
    """A validator of a topic's events, by the schema that stands in docs."""
    whole = json.loads((ROOT / SCHEMA).read_text())
    return Draft202012Validator(whole | {"$ref": f"#/$defs/{topic(stream)}"})


def faults_in(effects: list[Effect]) -> list[str]:
    """What the schema says against the effects."""
    return [
        f"{effect.stream} {error.json_path}: {error.message:.300}"
        for effect in effects
        if effect.stream is not Stream.JOURNAL and effect.value
        for error in validator_of(effect.stream).iter_errors(orjson.loads(effect.value))
    ]


@pytest.mark.parametrize(
    ("path", "text"), [(MARKDOWN, events_markdown()), (SCHEMA, schema_text())], ids=str
)
def test_the_docs_are_up_to_date(path: Path, text: str) -> None:
    """They are what `python -m app.render.events_doc` writes."""
    assert (ROOT / path).read_text() == text


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_every_event_of_a_scenario_is_valid(path: Path) -> None:
    """Whatever happens, no event has a field, a type or a kind that the schema does not have."""
    policy = shipped()

    effects = play(policy, read(path, policy)[0], one_by_one)[1]

    assert effects
    assert faults_in(effects) == []


def test_a_large_alert_and_garbage_are_valid_events() -> None:
    """Also what is cut, and what is refused."""
    garbage = record()
    garbage.value = b"g" * 2_000_000
    large = record(labels={"alertname": "Large", "severity": "critical", "x": "\x01" * 60_000})

    effects = effects_of(garbage, large, record(1000, annotations={"summary": "s" * 200_000}))

    assert {Stream.DEADLETTER, Stream.NOTIFICATIONS} < {effect.stream for effect in effects}
    assert faults_in(effects) == []


@pytest.mark.parametrize("stream", [stream for stream in EFFECTS if stream in CLASSES])
def test_an_event_with_another_field_or_without_one_is_not_valid(stream: Stream) -> None:
    """The schema says of the examples that they are valid, and of anything else that it is not."""
    for kind in CLASSES[stream]:
        event: dict[str, Any] = {json_name(p): p.metadata["example"] for p in fields(kind)}

        assert list(validator_of(stream).iter_errors(event)) == []
        assert list(validator_of(stream).iter_errors(event | {"more": 1})) != []
        assert list(validator_of(stream).iter_errors(event | {"at": None})) != []
        without = {name: value for name, value in event.items() if name != "policy"}
        assert list(validator_of(stream).iter_errors(without)) != []


def test_every_kind_is_explained() -> None:
    """Each kind has a meaning, and each further field of the timeline is one of a kind."""
    names = {name.rstrip("?") for _, further in TIMELINE.values() for name in further}

    assert list(NOTIFICATION_MEANINGS) == list(NotificationKind)
    assert list(TIMELINE) == list(TimelineKind)
    assert names | {"late_ms"} == set(DETAIL_FIELDS)
