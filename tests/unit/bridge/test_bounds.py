"""What the bridge takes has bounds: below one and at it the request is taken, above it refused with a reason and counted.

The engine's are in `tests/unit/core/test_bounds.py`.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest

from app.bridge.limits import BODY_BYTES_MAX
from app.core.rules.compiled_policy import Rulebook
from app.files.policy_file import BadPolicy, default_path, load
from app.files.yaml_file import MAX_BYTES
from app.history.entries_view import ENTRIES_BYTES_MAX, ENTRIES_MAX, Entries, EntriesView
from app.intake.normalise import ALERTS_MAX
from app.transport.log import NewRecord
from models import wire
from models.effect import Position
from models.policy import LINE_CHARACTERS_MAX, RULES_MAX, STEPS_MAX, Guide, Policy
from models.policy_types import NAME_CHARACTERS_MAX
from models.topics import Topics
from tests.support.fake_log import FakeLog
from tests.support.shipped_policy import shipped
from tests.unit.bridge.test_resources import INCIDENT, refused_count, with_bridge

ALERTS = "/api/v2/alerts"
NOTE = f"/api/v1/incidents/{INCIDENT}/note"
SILENCES = "/api/v2/silences"
RECEIPTS = "/api/v1/receipts"


def _alert(**fields: Any) -> list[dict[str, Any]]:
    return [{"labels": {"alertname": "A"}} | fields]


def _labels(number: int) -> Any:
    return _alert(labels={f"l{one}": "x" for one in range(number)})


def _label_bytes(number: int) -> Any:
    return _alert(labels={"alertname": "x" * (number - len("alertname"))})


def _name_bytes(number: int) -> Any:
    return _alert(labels={"x" * number: "x"})


def _annotation_bytes(number: int) -> Any:
    return _alert(annotations={"summary": "x" * (number - len("summary"))})


def _url_bytes(number: int) -> Any:
    return _alert(generatorURL="x" * number)


def _time_characters(number: int) -> Any:
    start, end = "2026-04-12T13:00:00.", "Z"
    return _alert(startsAt=start + "0" * (number - len(start + end)) + end)


def _alerts(number: int) -> Any:
    return _alert() * number


def _body_bytes(number: int) -> Any:
    return orjson.dumps(_alert()).rjust(number)


def _note(number: int) -> Any:
    return {"by": "ann", "text": "x" * number}


def _person(number: int) -> Any:
    return {"by": "x" * number, "text": "looking"}


def _silence(matchers: list[dict[str, str]], **fields: str) -> dict[str, Any]:
    return {"matchers": matchers, "endsAt": "1h", "createdBy": "ann", "comment": "known"} | fields


def _matchers(number: int) -> Any:
    return _silence([{"name": f"l{one}", "value": "x"} for one in range(number)])


def _matcher_bytes(number: int) -> Any:
    return _silence([{"name": "l", "value": "x" * (number - 1)}])


def _comment(number: int) -> Any:
    return _silence([{"name": "l", "value": "x"}], comment="x" * number)


def _receipts(number: int) -> Any:
    return [{"notification": "0-1-2", "incident": INCIDENT, "state": "delivered"}] * number


@dataclass
class Limit:
    """A row of the table.

    The limit, where a request is posted, what it is, and why it is refused.
    """

    limit: int
    path: str
    body: Callable[[int], Any]
    reason: str
    status: int = 400


LIMITS = {
    "LABELS_MAX": Limit(wire.LABELS_MAX, ALERTS, _labels, "too_large"),
    "NAME_BYTES_MAX": Limit(wire.NAME_BYTES_MAX, ALERTS, _name_bytes, "bad_label"),
    "LABELS_BYTES_MAX": Limit(wire.LABELS_BYTES_MAX, ALERTS, _label_bytes, "too_large"),
    "ANNOTATIONS_BYTES_MAX": Limit(
        wire.ANNOTATIONS_BYTES_MAX, ALERTS, _annotation_bytes, "too_large"
    ),
    "URL_BYTES_MAX": Limit(wire.URL_BYTES_MAX, ALERTS, _url_bytes, "too_large"),
    "TIME_CHARACTERS_MAX": Limit(wire.TIME_CHARACTERS_MAX, ALERTS, _time_characters, "bad_time"),
    "ALERTS_MAX": Limit(ALERTS_MAX, ALERTS, _alerts, "too_large", 413),
    "BODY_BYTES_MAX": Limit(BODY_BYTES_MAX, ALERTS, _body_bytes, "too_large", 413),
    "NOTE_CHARACTERS_MAX": Limit(wire.NOTE_CHARACTERS_MAX, NOTE, _note, "malformed"),
    "NOTE_CHARACTERS_MAX, comment": Limit(
        wire.NOTE_CHARACTERS_MAX, SILENCES, _comment, "malformed"
    ),
    "PERSON_CHARACTERS_MAX": Limit(wire.PERSON_CHARACTERS_MAX, NOTE, _person, "malformed"),
    "MATCHERS_MAX": Limit(wire.MATCHERS_MAX, SILENCES, _matchers, "malformed"),
    "LABELS_BYTES_MAX, matchers": Limit(
        wire.LABELS_BYTES_MAX, SILENCES, _matcher_bytes, "too_large"
    ),
    "RECEIPTS_MAX": Limit(wire.RECEIPTS_MAX, RECEIPTS, _receipts, "too_large", 413),
}


@pytest.mark.parametrize("more", [-1, 0, 1], ids=["below", "at", "above"])
@pytest.mark.parametrize("name", LIMITS)
def test_what_is_taken_has_a_bound(name: str, more: int) -> None:
    """Up to the limit a request is taken and in the journal.

    Above it nothing of it is, and the reason is counted.
    """
    row, log = LIMITS[name], FakeLog()
    before = refused_count(row.reason)
    status, answer = with_bridge(
        log, lambda client: client.ask("POST", row.path, row.body(row.limit + more))
    )

    taken = more <= 0
    assert (status < 300) is taken
    assert status == row.status or taken
    assert bool(log.batches) is taken
    assert refused_count(row.reason) - before == (not taken)
    assert taken or (answer if isinstance(answer, str) else answer["reason"])


@pytest.mark.parametrize("more", [-1, 0, 1], ids=["below", "at", "above"])
@pytest.mark.parametrize("over", [False, True], ids=["LIVE_MAX", "bounds.silences"])
def test_silences_have_bounds(over: bool, more: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """So many may not have ended, and so many more that were over when they were made, as the procedure's curl makes them."""
    monkeypatch.setattr("app.bridge.silence_routes.LIVE_MAX", 1000 if over else 5)
    policy = Rulebook(shipped().document | ({"bounds": {"silences": 5}} if over else {}))
    monkeypatch.setattr("tests.unit.bridge.test_resources.shipped", lambda: policy)
    log, before = FakeLog(), refused_count("bound_reached")
    times = {"startsAt": "2026-04-12T10:00:00Z", "endsAt": "2026-04-12T11:00:00Z"} if over else {}

    async def talk(client: Any) -> list[int]:
        bodies = [_silence([{"name": "l", "value": f"x{one}"}], **times) for one in range(5 + more)]
        return [(await client.ask("POST", "/api/v1/silences", body))[0] for body in bodies]

    statuses = with_bridge(log, talk)
    assert statuses == [200] * (5 + min(more, 0)) + [400] * max(more, 0)
    assert refused_count("bound_reached") - before == max(more, 0)


@pytest.mark.parametrize("more", [-1, 0, 1], ids=["below", "at", "above"])
def test_a_timeline_is_shown_with_its_newest_entries(more: int) -> None:
    """Of a longer one the oldest are left out, and how many is told; in number and in bytes."""
    few, large = Entries(whole=True), Entries(whole=True)
    for number in range(ENTRIES_MAX + more):
        few.add(b"%d" % number)
    large.add(b"x" * (ENTRIES_BYTES_MAX - 1))
    large.add(b"y" * (1 + more))

    assert (len(few.values), few.dropped) == (ENTRIES_MAX + min(more, 0), max(more, 0))
    assert few.values[-1] == b"%d" % (ENTRIES_MAX + more - 1)
    assert large.dropped == (more > 0)
    assert large.size == sum(map(len, large.values))


def test_a_long_timeline_says_that_it_is() -> None:
    """The answer has the newest entries and the number of the others, kept or read again."""
    log, topics = FakeLog(), Topics()
    header = (Position(0, 0).header(),)
    entries = [b"%07d" % number + b"x" * 1_000_000 for number in range(10)]
    for number, entry in enumerate(entries):
        header = (Position(number, 0).header(),)
        log.put(topics.timeline, 1, [NewRecord(INCIDENT.encode(), entry, header)])

    async def ask() -> list[Entries]:
        views = [EntriesView(log, topics.timeline, 2, bytes_max) for bytes_max in (0, 2**30)]
        return [await view.of(INCIDENT, 1) for view in views]

    for found in asyncio.run(ask()):
        assert (list(found.values), found.dropped) == (entries[2:], 2)


POLICY: dict[str, tuple[int, Callable[[int], object]]] = {
    "STEPS_MAX": (
        STEPS_MAX,
        lambda number: Guide.model_validate({"name": "g", "steps": ["x"] * number}),
    ),
    "LINE_CHARACTERS_MAX": (
        LINE_CHARACTERS_MAX,
        lambda number: Guide.model_validate({"name": "g", "steps": ["x" * number]}),
    ),
    "NAME_CHARACTERS_MAX": (
        NAME_CHARACTERS_MAX,
        lambda number: Guide.model_validate({"name": "g" * number, "steps": ["x"]}),
    ),
    "RULES_MAX": (
        RULES_MAX,
        lambda number: Policy.model_validate(
            shipped().document
            | {"escalations": [{"name": f"e{one}", "grew": True} for one in range(number)]}
        ),
    ),
}


@pytest.mark.parametrize("more", [-1, 0, 1], ids=["below", "at", "above"])
@pytest.mark.parametrize("name", POLICY)
def test_what_a_policy_says_has_a_bound(name: str, more: int) -> None:
    """A policy that says more is refused before it is used."""
    limit, said = POLICY[name]
    if more <= 0:
        assert said(limit + more)
        return
    with pytest.raises(ValueError, match=f"at most {limit}"):
        said(limit + more)


@pytest.mark.parametrize("more", [-1, 0, 1], ids=["below", "at", "above"])
def test_a_policy_file_has_a_bound(more: int, tmp_path: Path) -> None:
    """A file that is larger is not even parsed."""
    text = default_path().read_bytes() + b"\n#"
    file = tmp_path / "policy.yaml"
    file.write_bytes(text + b"x" * (MAX_BYTES + more - len(text)))
    if more <= 0:
        assert load(file).fingerprint == shipped().fingerprint
        return
    with pytest.raises(BadPolicy, match=f"has more than {MAX_BYTES} bytes"):
        load(file)
