"""Silences, from all that was ever said of them.

Which are active at a time, and what they match.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.oracle.facts import Happened, firing_alerts
from tests.oracle.policy import holds

if TYPE_CHECKING:
    from tests.oracle.oracle import Naive


@dataclass(frozen=True)
class Silence:
    """What one record said of a silence. The newest record of an id is the silence."""

    id: str
    matchers: list[list[str]]
    starts_ms: int
    ends_ms: int
    by: str
    comment: str
    at_ms: int
    notes: Mapping[str, str]

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether all its matchers match."""
        return all(
            holds(label, operator, value, labels) for label, operator, value in self.matchers
        )

    def covers(self, several: list[Mapping[str, str]]) -> bool:
        """Whether it matches all of these, and they are not none."""
        return bool(several) and all(map(self.matches, several))

    def is_active(self, now_ms: int) -> bool:
        """Whether it keeps quiet what it matches."""
        return self.starts_ms <= now_ms < self.ends_ms

    def says(self, other: "Silence") -> bool:
        """Whether another record says the same."""
        mine = (self.id, self.matchers, self.starts_ms, self.ends_ms, self.by, self.comment)
        return mine == (
            *(other.id, other.matchers, other.starts_ms, other.ends_ms),
            *(other.by, other.comment),
        ) and dict(self.notes) == dict(other.notes)


def read(document: Mapping[str, Any], now_ms: int) -> Silence:
    """The silence of a journal record."""
    times, words = (
        (document["starts_ms"], document["ends_ms"]),
        (document["by"], document["comment"]),
    )
    return Silence(
        document["silence"],
        document["matchers"],
        *times,
        *words,
        now_ms,
        document.get("annotations", {}),
    )


def acknowledges(naive: "Naive", silence: Silence, incident: Happened) -> bool:
    """Whether a silence takes an open incident: it says so, and is about the worst that fires."""
    words = naive.policy.get("silences", {}).get("acknowledge_comments", ["Investigating", "ACK!"])
    if not any(silence.comment.startswith(word) for word in words):
        return False
    if incident.rule:
        return silence.covers(naive.firing_labels(incident))
    firing = firing_alerts(naive.alerts, incident)
    worst = min((alert.severity for alert in firing), default="")
    return any(silence.matches(alert.labels) for alert in firing if alert.severity == worst)


def said(naive: "Naive", silence: Silence) -> None:
    """A silence was made, changed or ended early.

    It acknowledges what it matches when it begins for the first time.
    """
    known = naive.known_silences().get(silence.id)
    if known is not None and known.says(silence):
        return
    naive.silences = [*(one for one in naive.silences if one.id != silence.id), silence]
    begins = known is None or (known.starts_ms > naive.now_ms and silence.is_active(naive.now_ms))
    begin_or_end(
        naive,
        [silence] if begins and silence.starts_ms <= naive.now_ms else [],
        lifts=known is not None,
    )


def begin_or_end(naive: "Naive", begun: list[Silence], *, lifts: bool) -> None:
    """What silences match is quiet now, or need not be any more.

    Those that begin acknowledge what they cover.
    """
    active = [one for one in naive.known_silences().values() if one.is_active(naive.now_ms)]
    firing = [alert for alert in naive.alerts if alert.firing]
    if any(sum(one.matches(alert.labels) for one in active) > 1 for alert in firing):
        naive.reached.add("silences overlap")
    opened = [one for one in naive.incidents if one.state == "open"]
    covered = [
        (silence, one) for silence in begun for one in opened if acknowledges(naive, silence, one)
    ]
    for incident in sorted(
        naive.incidents, key=lambda one: (_phase(naive, one, lifts=lifts), _by_alert(naive, one))
    ):
        naive.look_at(incident)
    for silence, incident in sorted(
        covered, key=lambda one: (one[0].id, naive.order.get(one[1].id, "~"))
    ):
        if incident.state == "open":
            naive.reached.add("acknowledged by a silence")
            naive.acknowledged(incident, silence.by)
            incident.not_meant = {
                alert.fingerprint
                for alert in firing_alerts(naive.alerts, incident)
                if alert.severity in ("P0", "P1") and not silence.matches(alert.labels)
            }
            if incident.not_meant:
                naive.reached.add("a silence leaves an urgent alert")


def _phase(naive: "Naive", incident: Happened, *, lifts: bool) -> int:
    """What becomes loud comes before what becomes quiet.

    What a rule opened comes after what silences lift, else last.
    """
    if incident.rule:
        return 1 if lifts else 3
    return 2 if naive.is_quiet(incident) else 0


def _by_alert(naive: "Naive", incident: Happened) -> str:
    """Silences go through alerts in the order of names: the last one makes an incident quiet, the first one loud.

    One that was reopened quietly is said to be quiet with the first that is explained.
    """
    alerts = firing_alerts(naive.alerts, incident)
    if incident.reopened_unexplained:
        telling = [alert for alert in alerts if naive.is_explained(alert)]
    else:
        telling = [alert for alert in alerts if alert.quiet != naive.is_held(alert)]
    names = sorted(alert.fingerprint for alert in telling or alerts)
    last = naive.is_quiet(incident) and not incident.reopened_unexplained
    return (names[-1] if last else names[0]) if names else "~" + incident.id
