"""Who is told what by the oracle, and how an incident climbs."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from tests.oracle import digests
from tests.oracle.facts import Happened, also_notified

if TYPE_CHECKING:
    from tests.oracle.oracle import Naive


def owner(naive: "Naive", incident: Happened, kind: str, channels: Iterable[str]) -> None:
    """Tell the team; by pager its first on call."""
    team = naive.policy["teams"][incident.owner]
    for channel in channels:
        contact = (
            naive.policy["contacts"][team["chain"][0]] if channel == "pager" else team["contact"]
        )
        send(naive, incident, kind, contact, [channel])


def contact(naive: "Naive", incident: Happened, kind: str, whom: Mapping[str, str]) -> None:
    """Tell one contact through the severity's channels.

    One that has none of them through those that it has.
    """
    channels = [name for name in channels_of(naive.policy, incident) if whom.get(name)]
    send(naive, incident, kind, whom, channels or ["email", "chat", "pager"])


def channels_of(policy: Mapping[str, Any], incident: Happened) -> list[str]:
    """The channels of an incident's severity."""
    channels: list[str] = policy["notify"]["channels"][incident.severity]
    return channels


def news(naive: "Naive", incident: Happened) -> None:
    """Tell an incident as a whole.

    That it is there, became worse, or larger, or still waits for somebody.
    """
    channels = channels_of(naive.policy, incident)
    notified_ms, notified_alerts, notified_severity = incident.told
    if not notified_ms:
        incident.since["step"] = naive.now_ms
        word(incident, naive.now_ms)
        incident.first_told = naive.now_ms
        kind = "opened"
    elif incident.severity < notified_severity:
        kind = "severity_raised"
    else:
        kind = "updated" if incident.size > notified_alerts else "repeated"
    if incident.state == "acknowledged" and kind in ("updated", "repeated"):
        channels = ["chat"]
    owner(naive, incident, kind, channels)
    if kind in ("opened", "severity_raised"):
        for one in also_notified(naive.policy, incident):
            contact(naive, incident, kind, one)
    incident.told = (naive.now_ms, incident.size, incident.severity)


def over(naive: "Naive", incident: Happened) -> None:
    """Tell everybody who was told of an incident that it is over."""
    owner(naive, incident, "resolved", channels_of(naive.policy, incident))
    chain = naive.policy["teams"][incident.owner]["chain"][1 : incident.step]
    called = [naive.policy["contacts"][role] for role in chain]
    for one in [
        *called,
        *(one for one in also_notified(naive.policy, incident) if one not in called),
    ]:
        contact(naive, incident, "resolved", one)


def climb(naive: "Naive", incident: Happened, rule: str, records: Iterable[int]) -> None:
    """Climb to the next step of the chain.

    Whoever is called there should not be the first to hear of it.
    """
    if not incident.told[0]:
        news(naive, incident)
    chain = naive.policy["teams"][incident.owner]["chain"]
    incident.step = min(incident.step + 1, len(chain))
    incident.since["step"] = naive.now_ms
    whom = naive.policy["contacts"][chain[incident.step - 1]]
    incident.escalations.append((rule, incident.step, whom["name"], tuple(records), naive.now_ms))
    incident.tell("Escalated", naive.now_ms)
    contact(naive, incident, "escalated", whom)


def word(incident: Happened, now_ms: int) -> None:
    """Somebody said something."""
    incident.since["word"], incident.reminded = now_ms, 0


def send(
    naive: "Naive", incident: Happened, kind: str, whom: Mapping[str, str], channels: Iterable[str]
) -> None:
    """A message to a contact through each of these channels that it has."""
    digest = naive.policy["notify"].get("digest")
    for channel in channels:
        page = digests.Page(incident, incident.severity, kind, channel, whom["name"])
        if not whom.get(channel):
            continue
        if digest and incident.severity in digest["severity"]:
            naive.messages.append((digests.note_page, naive, page))  # through the receiver's actor
        else:
            incident.notifications.append((kind, channel, whom["name"], naive.now_ms))
