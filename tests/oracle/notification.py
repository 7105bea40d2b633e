"""Who is told what by the oracle, and how an incident climbs."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from tests.oracle import digests
from tests.oracle.deadlines import is_somebody_called
from tests.oracle.facts import Happened, Known, also_notified, firing_alerts, place, urgent

if TYPE_CHECKING:
    from tests.oracle.oracle import Naive

# The kinds whose episode is compared: of what comes in the same moment, the order is not told.
RINGS = ("opened", "escalated", "severity_raised", "repeated", "resolved")


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
    team = naive.policy["teams"][incident.owner]["contact"]
    known: list[str] = []  # where the team is, which has it already
    if kind == "escalated" and "pager" in channels:
        known = [name for name in channels if name != "pager" and whom[name] == team.get(name)]
        channels = [name for name in channels if name not in known]
    if kind in ("resolved", "lost") and "pager" in channels:
        channels = [name for name in channels if name != "email"]
    send(naive, incident, kind, whom, channels or ["email", "chat", "pager"])
    if "chat" in known:
        send(naive, incident, kind, whom, ["chat"], alone=False)


def taken(naive: "Naive", incident: Happened) -> None:
    """Tell that somebody has it, and stop every pager that was called."""
    channels = naive.policy["notify"].get("acknowledged", ["chat"])
    owner(naive, incident, "acknowledged", channels)
    roles = naive.policy["teams"][incident.owner]["chain"][1 : incident.highest]
    called = [naive.policy["contacts"][role] for role in roles]
    others = [one for one in also_notified(naive.policy, incident) if one not in called]
    for whom in [*called, *others] if "pager" in channels else []:
        send(naive, incident, "acknowledged", whom, ["pager"])


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
    unnamed, kind = naive.unnamed(incident), ""
    if not notified_ms:
        incident.since["step"] = naive.now_ms
        word(incident, naive.now_ms)
        incident.first_told = naive.now_ms
        incident.restart_clocks(naive.now_ms)
        kind = "opened"
    elif incident.notified_owner != incident.owner:
        naive.reached.add("handed over to another team")
        incident.since["step"] = naive.now_ms
        kind = "opened"
    elif incident.is_told_anew:
        naive.reached.add("told anew")
        incident.since["step"] = naive.now_ms
        kind = "opened"
    elif unnamed and incident.anew_ms and not incident.flapping_ms:
        naive.reached.add("fires anew")
        incident.state, incident.step, incident.since["step"] = "open", 1, naive.now_ms
        word(incident, naive.now_ms)
        kind = "opened"
    elif incident.severity < notified_severity:
        kind = "severity_raised"
    elif unnamed:
        naive.reached.add("named later")
        waiting = [
            one for one in firing_alerts(naive.alerts, incident) if one.waits and not one.named
        ]
        also = [one for one in waiting if urgent(one.severity)]
        _name(naive, incident, [*unnamed, *also])
    else:
        kind = "updated" if incident.size > notified_alerts else "repeated"
    if kind in ("opened", "severity_raised", "repeated"):
        incident.rings_anew()
    if incident.state == "acknowledged" and kind in ("updated", "repeated"):
        channels = ["chat"]
    if kind:
        owner(naive, incident, kind, channels)
    if kind in ("opened", "severity_raised"):
        for one in also_notified(naive.policy, incident):
            contact(naive, incident, kind, one)
    if notified_ms and incident.notified_owner != incident.owner:
        before = naive.policy["teams"][incident.notified_owner]["contact"]
        send(naive, incident, "handed_over", before, ["chat"])
    incident.notified_owner = incident.owner
    incident.anew = False
    waiting = [
        one
        for one in firing_alerts(naive.alerts, incident)
        if one.waits and urgent(one.severity) and not one.named
    ]
    for alert in [*unnamed, *waiting]:
        if not isinstance(alert, Happened):
            alert.named = True
            incident.places.add(place(alert))
    name_what_is_over(naive, incident)
    incident.over_unnamed = []
    incident.anew_ms = 0
    incident.told = (naive.now_ms, incident.size, incident.severity)


def _name(naive: "Naive", incident: Happened, unnamed: list[Known | Happened]) -> None:
    """Name what is urgent and joined it: it wakes while nobody knows, or the first time that it is elsewhere."""
    taken, channels = incident.state == "acknowledged", channels_of(naive.policy, incident)
    there = {"" if isinstance(one, Happened) else place(one) for one in unnamed}
    wakes = not incident.joined and not there <= incident.places if taken else True
    if incident.flapping_ms and incident.acknowledged[0]:
        wakes = False
    if taken:
        channels = naive.policy["notify"]["channels"][min(one.severity for one in unnamed)]
    incident.joined = taken
    if wakes:
        incident.rings_anew()
    owner(naive, incident, "opened" if wakes else "updated", channels)


def note_over(naive: "Naive", incident: Happened, alert: Known) -> None:
    """An urgent alert is over before a message named it, and nothing kept it quiet."""
    if not alert.named and not naive.is_explained(alert):
        incident.over_unnamed.append(alert)


def name_what_is_over(naive: "Naive", incident: Happened) -> None:
    """A message names what was over before it could be named, and does not fire again."""
    gone = _gone(incident)
    if gone and any(where[0] == incident.id for where in naive.posted):
        naive.reached.add("named when over")
        incident.named_over.add((naive.now_ms, tuple(gone)))


def _gone(incident: Happened) -> list[str]:
    """The names of what was over before it could be named, and does not fire again."""
    gone = {one.fingerprint: one for one in incident.over_unnamed if not one.firing}
    return sorted(one.labels["alertname"] for one in gone.values())


def untold_over(naive: "Naive", incident: Happened) -> None:
    """An incident is over that nobody was told of: what was urgent in it is named by a digest."""
    if _gone(incident) and naive.next_told(incident, naive.now_ms) == naive.now_ms:
        naive.reached.add("over before anybody was told")
        has = naive.policy["teams"][incident.owner]["contact"]
        for channels in (naive.policy["notify"].get("updates", ["chat"]), ["email", "chat"]):
            there = [name for name in channels if name == "pager" or name in has]
            if there:
                owner(naive, incident, "over", there)
                return
        owner(naive, incident, "over", ["pager"])


def over(naive: "Naive", incident: Happened) -> None:
    """Tell everybody who was told of an incident that it is over, or lost."""
    kind = "lost" if incident.lost else "resolved"
    owner(naive, incident, kind, channels_of(naive.policy, incident))
    chain = naive.policy["teams"][incident.owner]["chain"][1 : incident.highest]
    called = [naive.policy["contacts"][role] for role in chain]
    for one in [
        *called,
        *(one for one in also_notified(naive.policy, incident) if one not in called),
    ]:
        contact(naive, incident, kind, one)
    name_what_is_over(naive, incident)


def climb(
    naive: "Naive",
    incident: Happened,
    rule: str,
    records: Iterable[int],
    step: int | None = None,
) -> None:
    """Climb to the next step of the chain, or to the one named.

    Whoever is called there should not be the first to hear of it.
    """
    if not incident.told[0] or incident.notified_owner != incident.owner:
        news(naive, incident)
    chain = naive.policy["teams"][incident.owner]["chain"]
    incident.step = min(step or incident.step + 1, len(chain))
    incident.highest = max(incident.highest, incident.step)
    incident.since["step"] = naive.now_ms
    whom = naive.policy["contacts"][chain[incident.step - 1]]
    incident.escalations.append(
        (rule, incident.step, whom["name"], tuple(dict.fromkeys(records)), naive.now_ms)
    )
    incident.tell("Escalated", naive.now_ms)
    incident.rings_anew()
    contact(naive, incident, "escalated", whom)


def clock(naive: "Naive", incident: Happened, kind: str, which: str) -> None:
    """Tell that a target is near or missed, where the climb does not tell it."""
    waits = incident.state == "open" or bool(left(naive, incident))
    if which == "acknowledge" and is_somebody_called(naive.policy, incident, waits=waits):
        naive.reached.add("the climb tells it")
        return
    if kind == "clock_warned" and not urgent(incident.severity):
        return
    if incident.told[0] and not incident.quiet:
        naive.say(incident, kind)


def left(naive: "Naive", incident: Happened) -> list[Known]:
    """What fires, is loud, and was not meant when somebody took the incident."""
    firing = firing_alerts(naive.alerts, incident)
    meant = [one for one in firing if one.fingerprint in incident.not_meant]
    return [one for one in meant if not naive.is_held(one)]


def word(incident: Happened, now_ms: int) -> None:
    """Somebody said something."""
    incident.since["word"], incident.reminded = now_ms, 0


# Messages of one step to one address that become one; whatever stands first in a row is told.
TOGETHER = (
    "opened severity_raised escalated repeated clock_breached clock_warned reminder",
    "resolved lost root_cause_wanted",
)


# Messages that say what was over before it could be named.
NAMES_WHAT_IS_OVER = frozenset(
    ["opened", "handed_over", "severity_raised", "updated", "repeated", "resolved", "lost", "over"]
)


def send(
    naive: "Naive",
    incident: Happened,
    kind: str,
    whom: Mapping[str, str],
    channels: Iterable[str],
    *,
    alone: bool = True,
) -> None:
    """A message to a contact through each of these channels that it has.

    One address hears of an incident once in a step. If not `alone`, only together with something else.
    """
    digest = naive.policy["notify"].get("digest")
    waits = kind in ("over", "task_reminder") or (
        bool(digest) and incident.severity in digest["severity"]
    )
    over = set(_gone(incident)) if kind in NAMES_WHAT_IS_OVER else set[str]()
    naive.has_digests = naive.has_digests or waits
    for channel in channels:
        if not whom.get(channel):
            continue
        episode = incident.episode if kind in RINGS else 0
        page = digests.Page(incident, incident.severity, kind, channel, whom["name"], episode, over)
        where = (incident.id, channel, whom[channel], waits)
        before, index = naive.posted.get(where, (None, -1))
        if before is not None and _is_told_with(before.kind, kind):
            naive.reached.add("told together")
            before.over = before.over | over
            if _weight(kind) >= _weight(before.kind):
                continue
            before.kind, before.receiver, before.episode = kind, whom["name"], episode
            if not waits:
                incident.notifications[index] = _told(naive, before)
        elif not alone:
            naive.reached.add("known where the team is")
        elif waits:
            naive.messages.append((digests.note_page, naive, page))  # through the receiver's actor
            naive.posted[where] = page, -1
        else:
            incident.notifications.append(_told(naive, page))
            naive.posted[where] = page, len(incident.notifications) - 1


def _told(naive: "Naive", page: digests.Page) -> tuple[str, str, str, int, int]:
    return page.kind, page.channel, page.receiver, page.episode, naive.now_ms


def _is_told_with(first: str, second: str) -> bool:
    rows = [row.split() for row in TOGETHER]
    return first == second or any(first in row and second in row for row in rows)


def _weight(kind: str) -> int:
    row = next((row.split() for row in TOGETHER if kind in row.split()), [kind])
    return row.index(kind)
