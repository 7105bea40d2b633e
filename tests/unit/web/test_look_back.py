"""Looking back: the picture, what woke people, targets, availability."""

import re
from typing import Any

import orjson

from models.effect import Stream
from tests.support.incident_documents import ALERT, INCIDENT, entry, log_of
from tests.support.served_page import see


def day() -> Any:
    """A log with one incident that woke somebody twice, once late."""
    sent = {"incident": INCIDENT, "wakes": True, "title": "<b>x</b>", "id": "0-1-1"}
    weapon = {**ALERT, "labels": {"alertname": "<script>alert(1)</script>"}}
    return log_of(
        {
            Stream.TIMELINE: [
                entry("Opened", "13:10:00", severity="P0", owner="ai", alert="4b6e"),
                entry("ClockBreached", "13:15:00", clock="acknowledge"),
                entry("ServiceDown", "13:10:00", service="ai-agents"),
            ],
            Stream.NOTIFICATIONS: [
                {**sent, "at": "2026-04-12T13:10:00.000Z", "alerts": [weapon]},
                {**sent, "at": "2026-04-12T01:10:00.000Z", "alerts": [weapon]},
            ],
        }
    )


def test_the_page() -> None:
    """It counts what came in and went out, and names what woke people, targets and services."""
    seen = see(day(), "/look-back")

    assert seen.status == 200
    assert "1 alert began to fire, 1 incident opened, 2 messages went out. 2 of them" in seen.words
    assert "<script>alert(1)</script> 2 1 1 0" in seen.words
    assert "P0 acknowledge 0 1 0.0 %" in seen.words
    assert re.search(r"ai-agents [\d.]+ % 99[\d.]* % 10m, down now", seen.words)
    assert "<script>alert" not in seen.text


def test_periods() -> None:
    """A day and a week are drawn by the hour, a month by the day; what is not known is a day."""
    day_bars, week_bars, month_bars = (
        len(re.findall(r'class="bar"', see(day(), f"/look-back?period={period}").text)) // 2
        for period in ("x", "7%20days", "31%20days")
    )

    assert (day_bars, week_bars, month_bars) == (4, 4, 3)
    assert "<title>2026-04-12 13:00: 1 message, 1 page</title>" in see(day(), "/look-back").text


def test_an_empty_log() -> None:
    """Where nothing happened the page says so."""
    words = see(log_of({}), "/look-back").words

    assert "Nobody was woken." in words
    assert "No target was met or missed this month." in words


def test_the_resource() -> None:
    """The API has the same figures; hours that are too many are refused."""
    document = orjson.loads(see(day(), "/api/v1/activity?hours=2").text)

    assert [hour["messages"] for hour in document["hours"]] == [0, 1]
    assert document["noise"] == [
        {
            "name": "<script>alert(1)</script>",
            "pages": 1,
            "at_night": 0,
            "incidents": 1,
            "untouched": 0,
        }
    ]
    assert document["targets"] == [
        {"severity": "P0", "clock": "acknowledge", "met": 0, "missed": 1}
    ]
    assert document["night"] == {"from": 22, "to": 7, "zone": "Europe/Berlin"}
    refused = see(day(), "/api/v1/activity?hours=999")
    assert (refused.status, "must be a whole number from 1 to 768" in refused.text) == (400, True)
