"""When something may be told: minute for minute, as the policy writes intervals."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from tests.oracle.facts import Happened, Known, always_escalates
from tests.oracle.policy import matches

MINUTE_MS = 60_000
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
NEVER_MS = 1 << 60


def next_told(
    policy: Mapping[str, Any], incident: Happened, alerts: Sequence[Known], at_ms: int, now_ms: int
) -> int:
    """The first time from then on, but not before now, at which an incident with these alerts may be told."""
    allowed, forbidden = _time_conditions(policy, incident, alerts)
    if not allowed and not forbidden:
        return at_ms
    at_ms = max(at_ms, now_ms)
    for minute in range(at_ms // MINUTE_MS, at_ms // MINUTE_MS + 8 * 24 * 60):
        inside = all(_is_in(one, minute) for one in allowed)
        if inside and not any(_is_in(one, minute) for one in forbidden):
            return max(at_ms, minute * MINUTE_MS)
    return NEVER_MS


def at_work(policy: Mapping[str, Any], owner: str, at_ms: int) -> int:
    """The first time from then on at which a team is at work. The time itself if it has no hours, or none come."""
    name = policy["teams"][owner].get("hours")
    if not name:
        return at_ms
    hours = json.dumps(policy["time_intervals"][name])
    for minute in range(at_ms // MINUTE_MS, at_ms // MINUTE_MS + 8 * 24 * 60):
        if _is_in(hours, minute):
            return max(at_ms, minute * MINUTE_MS)
    return at_ms


def _time_conditions(
    policy: Mapping[str, Any], incident: Happened, alerts: Sequence[Known]
) -> tuple[list[str], list[str]]:
    """Those in which it has to be, and those in which it must not."""
    if any(always_escalates(policy, alert) for alert in alerts):
        return [], []
    notify, named = policy["notify"], policy.get("time_intervals", {})
    hours = policy["teams"][incident.owner].get("hours")
    severity = incident.peak if incident.ended else incident.severity
    allowed = [hours] if hours and severity in notify.get("hours", []) else []
    labels = [alert.labels for alert in alerts] or [_labels_of(incident)]
    forbidden = []
    for mute in notify.get("mute", []):
        about = severity in mute.get("severity", [severity])
        if about and all(matches(mute.get("match", []), one) for one in labels):
            forbidden += mute["during"]
    return [json.dumps(named[name]) for name in allowed], [
        json.dumps(named[name]) for name in forbidden
    ]


def _labels_of(incident: Happened) -> dict[str, str]:
    known = {"component": incident.component, "owner": incident.owner}
    return {"alertname": incident.rule, "rule": incident.rule, **known}


@lru_cache(maxsize=100_000)
def _is_in(interval: str, minute: int) -> bool:
    return any(
        _contains_moment(span, datetime.fromtimestamp(minute * 60, UTC))
        for span in json.loads(interval)
    )


def _contains_moment(span: Mapping[str, Any], at: datetime) -> bool:
    local = at.astimezone(ZoneInfo(span.get("location", "UTC")))
    clock = local.strftime("%H:%M")
    times = span.get("times", [{"start_time": "00:00", "end_time": "24:00"}])
    days = span.get("weekdays", list(DAYS))
    return (
        DAYS[local.weekday()] in days
        and local.date().isoformat() not in span.get("except_dates", [])
        and any(one["start_time"] <= clock < one["end_time"] for one in times)
    )
