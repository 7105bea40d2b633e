"""An Alertmanager and Tocsin side by side: whom each of them notifies of the alerts that fire now.

Both are given as their API v2 has alerts. Alertmanager says itself which receivers an alert goes
to. What Tocsin does follows from the policy: the team and those notified beside it.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from app.core.rules.compiled_policy import CompiledPolicy

Document = dict[str, Any]
_NUMBERED = re.compile(r" \(\d+\)$")  # an import makes several contacts of a receiver
_REASONS = {
    "silencedBy": "silenced",
    "inhibitedBy": "inhibited",
    "mutedBy": "muted",
}


@dataclass(frozen=True, slots=True)
class Side:
    """What one of the two does with an alert: whom it notifies, or why nobody."""

    receivers: tuple[str, ...]
    why: str = ""  # nobody is notified: not received, silenced, inhibited, muted

    def __str__(self) -> str:
        return f"nobody ({self.why})" if self.why else ", ".join(self.receivers)


@dataclass(frozen=True, slots=True)
class Difference:
    """Alerts of which the two notify other receivers; labels of each."""

    alertmanager: Side
    tocsin: Side
    alerts: list[Mapping[str, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class SideBySide:
    """How many alerts there are on each side, of how many both do the same, and the differences."""

    alertmanager: int
    tocsin: int
    same: int
    heartbeats: int  # of which Tocsin notifies nobody while they are received, as it is meant
    differences: list[Difference]


NOT_RECEIVED = "not received"


def compare_sides(
    theirs: Sequence[Document], ours: Sequence[Document], policy: CompiledPolicy
) -> SideBySide:
    """Compare the alerts of an Alertmanager with those of Tocsin, by their fingerprints."""
    there = {str(alert["fingerprint"]): alert for alert in theirs}
    here = {str(alert["fingerprint"]): alert for alert in ours}
    same, heartbeats, differences = 0, 0, dict[tuple[Side, Side], Difference]()
    for fingerprint in sorted({*there, *here}):
        labels = (there.get(fingerprint) or here[fingerprint])["labels"]
        if policy.evaluate(labels).heartbeat and (fingerprint in there) == (fingerprint in here):
            heartbeats += 1
            continue
        left = _their_side(there.get(fingerprint))
        right = _our_side(here.get(fingerprint), labels, policy)
        if left == right or (left.why and right.why):
            same += 1
        else:
            difference = differences.setdefault((left, right), Difference(left, right))
            difference.alerts.append(labels)
    ordered = sorted(differences.values(), key=lambda difference: -len(difference.alerts))
    return SideBySide(len(there), len(here), same, heartbeats, ordered)


def _their_side(alert: Document | None) -> Side:
    why = _quiet_reason(alert)
    if alert is None or why:
        return Side((), why)
    return Side(_sorted_names(receiver["name"] for receiver in alert["receivers"]))


def _our_side(alert: Document | None, labels: Mapping[str, str], policy: CompiledPolicy) -> Side:
    decision, why = policy.evaluate(labels), _quiet_reason(alert)
    if why:
        return Side((), why)
    contacts = [
        policy.team_contact(decision.owner),
        *policy.also_notify(decision.severity, decision.incident_class),
    ]
    return Side(_sorted_names(contact.name for contact in contacts))


def _quiet_reason(alert: Document | None) -> str:
    """Why nobody is notified of an alert; empty when somebody is."""
    if alert is None:
        return NOT_RECEIVED
    status = alert["status"]
    return next((reason for key, reason in _REASONS.items() if status.get(key)), "")


def _sorted_names(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted({_NUMBERED.sub("", name) for name in names}))
