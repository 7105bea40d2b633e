"""What the bridge takes has bounds: below one and at it the request is taken, above it refused with a reason and counted.

The engine's are in `tests/unit/core/test_bounds.py`.
"""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from app.core.rules.compiled_policy import CompiledPolicy
from app.files.policy_file import BadPolicy, default_path, load_policy
from app.files.yaml_file import MAX_BYTES
from app.history.entries_view import ENTRIES_BYTES_MAX, ENTRIES_MAX, Entries, EntriesView
from app.transport.log import NewRecord
from models.effect import Position
from models.topics import Topics
from tests.support.bridge_bounds import BRIDGE_LIMITS, silence_body
from tests.support.bridge_metrics import refused_count
from tests.support.fake_log import FakeLog
from tests.support.policy_bounds import POLICY_LIMITS
from tests.support.served_bridge import INCIDENT, with_bridge
from tests.support.shipped_policy import shipped


@pytest.mark.parametrize("more", [-1, 0, 1], ids=["below", "at", "above"])
@pytest.mark.parametrize("name", BRIDGE_LIMITS)
def test_what_is_taken_has_a_bound(name: str, more: int) -> None:
    """Up to the limit a request is taken and in the journal.

    Above it nothing of it is, and the reason is counted.
    """
    row, log = BRIDGE_LIMITS[name], FakeLog()
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
    monkeypatch.setattr("app.bridge.alertmanager.silence_routes.LIVE_MAX", 1000 if over else 5)
    policy = CompiledPolicy(shipped().document | ({"bounds": {"silences": 5}} if over else {}))
    log, before = FakeLog(), refused_count("bound_reached")
    times = {"startsAt": "2026-04-12T10:00:00Z", "endsAt": "2026-04-12T11:00:00Z"} if over else {}

    async def talk(client: Any) -> list[int]:
        bodies = [
            silence_body([{"name": "l", "value": f"x{one}"}], **times) for one in range(5 + more)
        ]
        return [(await client.ask("POST", "/api/v1/silences", body))[0] for body in bodies]

    statuses = with_bridge(log, talk, policy=policy)
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


@pytest.mark.parametrize("more", [-1, 0, 1], ids=["below", "at", "above"])
@pytest.mark.parametrize("name", POLICY_LIMITS)
def test_what_a_policy_says_has_a_bound(name: str, more: int) -> None:
    """A policy that says more is refused before it is used."""
    limit, said = POLICY_LIMITS[name]
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
        assert load_policy(file).fingerprint == shipped().fingerprint
        return
    with pytest.raises(BadPolicy, match=f"has more than {MAX_BYTES} bytes"):
        load_policy(file)
