"""Who is told what by the oracle, and how an incident climbs."""

from collections.abc import Iterable, Mapping
from typing import Any

from tests.naive.facts import Happened, besides


def owner(policy: Mapping[str, Any], incident: Happened, kind: str, channels: Iterable[str], now_ms: int) -> None:
    """Tell the team; by pager its first on call."""
    team = policy["teams"][incident.owner]
    for channel in channels:
        contact = policy["contacts"][team["chain"][0]] if channel == "pager" else team["contact"]
        _send(incident, kind, contact, [channel], now_ms)


def contact(policy: Mapping[str, Any], incident: Happened, kind: str, whom: Mapping[str, str], now_ms: int) -> None:
    """Tell one contact through the severity's channels; one that has none of them through those that it has."""
    channels = [name for name in channels_of(policy, incident) if whom.get(name)]
    _send(incident, kind, whom, channels or ["email", "chat", "pager"], now_ms)


def channels_of(policy: Mapping[str, Any], incident: Happened) -> list[str]:
    """The channels of an incident's severity."""
    channels: list[str] = policy["notify"]["channels"][incident.severity]
    return channels


def news(policy: Mapping[str, Any], incident: Happened, now_ms: int) -> None:
    """Tell an incident as a whole: that it is there, became worse, or larger, or still waits for somebody."""
    channels = channels_of(policy, incident)
    told_ms, told_alerts, told_severity = incident.told
    if not told_ms:
        incident.since["step"] = now_ms
        word(incident, now_ms)
        incident.first_told = now_ms
        kind = "opened"
    elif incident.severity < told_severity:
        kind = "severity_raised"
    else:
        kind = "updated" if incident.size > told_alerts else "repeated"
    if incident.state == "acknowledged" and kind in ("updated", "repeated"):
        channels = ["chat"]
    owner(policy, incident, kind, channels, now_ms)
    if kind in ("opened", "severity_raised"):
        for one in besides(policy, incident):
            contact(policy, incident, kind, one, now_ms)
    incident.told = (now_ms, incident.size, incident.severity)


def over(policy: Mapping[str, Any], incident: Happened, now_ms: int) -> None:
    """Tell everybody who was told of an incident that it is over."""
    owner(policy, incident, "resolved", channels_of(policy, incident), now_ms)
    chain = policy["teams"][incident.owner]["chain"][1 : incident.step]
    called = [policy["contacts"][role] for role in chain]
    for one in [*called, *(one for one in besides(policy, incident) if one not in called)]:
        contact(policy, incident, "resolved", one, now_ms)


def climb(policy: Mapping[str, Any], incident: Happened, rule: str, records: Iterable[int], now_ms: int) -> None:
    """Climb to the next step of the chain; whoever is called there should not be the first to hear of it."""
    if not incident.told[0]:
        news(policy, incident, now_ms)
    chain = policy["teams"][incident.owner]["chain"]
    incident.step = min(incident.step + 1, len(chain))
    incident.since["step"] = now_ms
    whom = policy["contacts"][chain[incident.step - 1]]
    incident.escalations.append((rule, incident.step, whom["name"], tuple(records), now_ms))
    incident.tell("Escalated", now_ms)
    contact(policy, incident, "escalated", whom, now_ms)


def word(incident: Happened, now_ms: int) -> None:
    """Somebody said something."""
    incident.since["word"], incident.reminded = now_ms, 0


def _send(incident: Happened, kind: str, whom: Mapping[str, str], channels: Iterable[str], now_ms: int) -> None:
    for channel in channels:
        if whom.get(channel):
            incident.notifications.append((kind, channel, whom["name"], now_ms))
