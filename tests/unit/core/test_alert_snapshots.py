"""What `tocsin.alerts` says of an alert, and when it says nothing."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from models.effect import Effect, Stream
from tests.support.scenario import FEEDINGS, Feeding, one_by_one, play, read, tell
from tests.support.shipped_policy import shipped

REDIS = "alertname=RedisDown service=redis severity=critical"


def effects_of(path: Path, lines: str, feeding: Feeding = one_by_one) -> list[Effect]:
    """The effects of a scenario's records."""
    file = path / "scenario.txt"
    file.write_text(f"{lines}\n---\n")
    return play(shipped(), read(file, shipped())[0], feeding)[1]


def alerts_of(path: Path, lines: str) -> list[str]:
    """What the topic has of them, a line each, without the times."""
    told = tell(effects_of(path, lines), alerts=True).splitlines()
    return [line[8:].removeprefix("alerts ") for line in told if line[8:].startswith("alerts ")]


def bodies_of(path: Path, lines: str) -> list[dict[str, Any]]:
    """The topic's records that are no tombstones."""
    effects = effects_of(path, lines)
    return [orjson.loads(one.value) for one in effects if one.stream is Stream.ALERTS and one.value]


def test_an_alert_is_active_then_silenced_then_resolved_then_forgotten(tmp_path: Path) -> None:
    """A record follows each change, none follows a repeat, and a tombstone follows the last."""
    lines = f"""\
0s fire {REDIS}
1s fire {REDIS}
20s silence s1 10m ann alertname="RedisDown"
30s fire {REDIS}
10m20s tick
11m end {REDIS}
11m1s end {REDIS}
3h tick"""
    silenced = "Silenced by ann until 2025-06-15T15:17:00.000Z: Investigating"

    assert alerts_of(tmp_path, lines) == [
        "RedisDown alert 06dccfa3bc249765 active",
        f"RedisDown alert 06dccfa3bc249765 suppressed: {silenced}",
        "RedisDown alert 06dccfa3bc249765 active",
        "RedisDown alert 06dccfa3bc249765 resolved",
        "06dccfa3bc249765 forgotten",
    ]


def test_an_inhibited_alert_names_the_alert_that_inhibits_it(tmp_path: Path) -> None:
    """By its fingerprint, with the rule and the reason why nobody was notified."""
    lines = """\
0s fire alertname=NodeDown instance=n1 component=n1 severity=critical
1m fire alertname=DiskFull instance=n1 component=app severity=warning"""

    source, _, inhibited = bodies_of(tmp_path, lines)

    (by,) = inhibited["suppressed_by"]
    assert (inhibited["state"], inhibited["reason"]) == ("suppressed", "inhibited")
    assert (by["kind"], by["name"], by["source"]) == ("inhibition", "node-down", source["alert"])


@pytest.mark.parametrize(
    ("severity", "state", "reason"),
    [("critical", "active", None), ("info", "suppressed", "muted")],
)
def test_what_waits_for_its_hours_is_suppressed(
    tmp_path: Path, severity: str, state: str, reason: str | None
) -> None:
    """On a Sunday nobody is notified of a P3; its end keeps the reason. Of a P0 somebody is."""
    labels = f"alertname=Odd service=x severity={severity}"

    fired, ended = bodies_of(tmp_path, f"0s fire {labels}\n1m end {labels}")

    assert (fired["state"], fired["reason"]) == (state, reason)
    assert (ended["state"], ended["reason"], ended["suppressed_by"]) == ("resolved", reason, [])


def test_what_waits_for_its_hours_is_active_when_they_begin(tmp_path: Path) -> None:
    """Then somebody is notified."""
    lines = "0s fire alertname=Odd service=x severity=info\n17h tick"

    waiting, told = bodies_of(tmp_path, lines)

    assert [one["name"] for one in waiting["suppressed_by"]] == ["hours"]
    assert (told["state"], told["reason"]) == ("active", None)


def test_an_end_that_comes_first_is_the_reason(tmp_path: Path) -> None:
    """Of what ended before its message was due, and of what was never heard to fire."""
    labels = "alertname=Odd service=x severity=warning"
    lines = f"0s fire {labels}\n1s end {labels}\n2s end alertname=Unheard service=y"

    _, ended, unheard = bodies_of(tmp_path, lines)

    assert (ended["state"], ended["reason"]) == ("resolved", "ended_first")
    assert (unheard["reason"], unheard["fired_at"]) == ("ended_first", None)


def test_an_end_moved_by_seconds_is_no_news(tmp_path: Path) -> None:
    """Senders count ends from each repeat. What lives much longer is news."""
    labels = "alertname=Odd service=x severity=critical"
    lines = f"0s fire {labels} ttl=5m\n1m fire {labels} ttl=5m10s\n2m fire {labels} ttl=1h"

    assert [one["ttl_ms"] for one in bodies_of(tmp_path, lines)] == [300_000, 3_600_000]


def test_they_stand_behind_all_else_of_their_record(tmp_path: Path) -> None:
    """So they move no other effect's number; however the records are cut."""
    lines = f"0s fire {REDIS}\n11m end {REDIS}\n3h tick"
    told = [effects_of(tmp_path, lines, feeding) for feeding in FEEDINGS]

    assert told[0] == told[1] == told[2]
    last: dict[int, Stream] = {one.position.offset: one.stream for one in told[0]}
    assert set(last.values()) == {Stream.ALERTS}
