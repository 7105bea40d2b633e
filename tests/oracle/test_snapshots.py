"""Snapshots tell what happened in time, and no more often than they have to: from the effects alone."""

from collections import defaultdict
from datetime import datetime
from itertools import pairwise
from random import Random
from typing import Any

import orjson
import pytest

from models.effect import Stream
from tests.oracle import journals as j
from tests.oracle.policies import POLICIES
from tests.support.example_counts import examples

SECOND_MS = 1000
# What a snapshot says of the alerts that belong to an incident, and what each effect has.
OF_ALERTS = {"alerts", "alerts_omitted", "alerts_firing", "alerts_total", "common_labels", "links"}
OF_ALERTS |= {"alert_names", "members", "id", "at", "policy"}
# Entries of the timeline that are about what people act on.
ACTED_ON = ("Opened", "Acknowledged", "Resolved", "Reopened", "Closed", "Escalated")
GROWN = ("AlertFired", "AlertEnded", "MemberFired", "MemberEnded")
KINDS = j.Kinds(
    "fire fire fire fire request again flap end end tick command silence",
    alerts=(*j.FEW, *j.AGENTS * 2, *j.URGENT),
    waits=(0, 0, 0, 1, 100, 400, 999, 1000, 1001, 20_000, 300_000),
    holds=(60_000, *j.LONG),
)
Documents = dict[str, list[dict[str, Any]]]


def _told(policy: str, place: int) -> tuple[Documents, Documents]:
    """The snapshots of each incident, and its entries of the timeline, with their millisecond."""
    snapshots: Documents = defaultdict(list)
    entries: Documents = defaultdict(list)
    told = j.told(POLICIES[policy], POLICIES, KINDS.journal(Random(f"snapshots/{place}")))
    for effect in told.effects:
        body = orjson.loads(effect.value or b"{}")
        if effect.stream in (Stream.INCIDENTS, Stream.TIMELINE):
            body["ms"] = round(datetime.fromisoformat(body["at"]).timestamp() * 1000)
            body["record"] = effect.position.offset
            to = snapshots if effect.stream is Stream.INCIDENTS else entries
            to[body["incident"]].append(body)
    return snapshots, entries


@pytest.mark.sampled
@pytest.mark.parametrize("policy", ["default", "linked", "hours"])
def test_snapshots_come_in_time_and_no_more_often(policy: str) -> None:
    """Growth is shown within a second and once a second; what people act on with its own record."""
    waited = 0
    for place in range(examples(25)):
        snapshots, entries = _told(policy, place)
        for incident, shown in snapshots.items():
            waited += _check_times(shown, entries[incident])
            _check_pace(shown, entries[incident])

    assert waited > 0


def _check_times(shown: list[dict[str, Any]], entries: list[dict[str, Any]]) -> int:
    """Each entry has its snapshot in time. Return how many entries waited for one."""
    waited = 0
    for entry in entries:
        later = [body["ms"] - entry["ms"] for body in shown if body["ms"] >= entry["ms"]]
        if entry["kind"] in ACTED_ON:
            assert later[:1] == [0], entry
        elif entry["kind"] in GROWN:
            waited_ms = min(later, default=j.HOURLY_MS)
            assert waited_ms <= SECOND_MS, entry
            waited += waited_ms > 0
    return waited


def _check_pace(shown: list[dict[str, Any]], entries: list[dict[str, Any]]) -> None:
    """Two snapshots within a second differ in what people act on, or a command asked for one."""
    answers = {entry["record"] for entry in entries if "command" in entry}
    for before, after in pairwise(shown):
        near = after["ms"] - before["ms"] < SECOND_MS
        assert not near or after["record"] in answers or _acted_on(before) != _acted_on(after), (
            after
        )


def _acted_on(body: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name not in {*OF_ALERTS, "ms", "record"}}
