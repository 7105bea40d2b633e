"""Which records are of one alert: labels that do not count, senders, and alerts that change their severity.

Two ids: the fingerprint is of all labels, as Alertmanager's. The identity is of those that count:
without the labels that only say who sent it (`identity.ignore`), without those that say so where
all else is alike (`identity.ignore_if_alike`). The first alert of an identity leads; those of
other senders follow it. It fires while any of them does.

Alerts that differ in their severity only are one alert that became better or worse: the newer one
replaces the older one.
"""

import re
from hashlib import blake2b

import orjson

from app.core.rules.compiled_policy import CompiledPolicy
from app.core.state.live_alert import LiveAlert
from app.core.state.turn import Turn
from models.alert import Labels

_KEY_BYTES = 16


def index(turn: Turn, alert: LiveAlert) -> None:
    """Make an alert known to those that are like it. Followers are known by whom they follow."""
    state = turn.state
    if alert.follows:
        state.followers.setdefault(alert.follows, {})[alert.fingerprint] = None
        return
    if not alert.kin:
        alert.kin = _key(turn, alert.labels)
    known, name = state.kin.get(alert.kin, ()), alert.fingerprint.encode()
    if name not in known:
        state.kin[alert.kin] = (*known, name)


def index_all(turn: Turn) -> None:
    """The same for all alerts, under a new policy or after a restart."""
    turn.state.kin.clear()
    turn.state.followers.clear()
    for alert in turn.state.alerts.values():
        alert.kin = b""
        index(turn, alert)


def leader_of(
    turn: Turn, fingerprint: str, labels: Labels, annotations: Labels
) -> LiveAlert | None:
    """The alert of the same identity that another sender sent first, if there is one."""
    severities = turn.rules.policy.severities.labels
    for other in _kin(turn, fingerprint, labels):
        same = all(other.labels.get(name) == labels.get(name) for name in severities)
        if same and _alike(turn.rules, other, labels, annotations):
            return other
    return None


def of_other_severity(
    turn: Turn, fingerprint: str, labels: Labels, annotations: Labels
) -> list[LiveAlert]:
    """The firing alerts that differ from these labels in their severity only."""
    return [
        other
        for other in _kin(turn, fingerprint, labels)
        if other.firing and not other.heartbeat and _alike(turn.rules, other, labels, annotations)
    ]


def followers(turn: Turn, leader: LiveAlert) -> list[LiveAlert]:
    """What other senders sent of an alert that leads."""
    known = turn.state.followers.get(leader.fingerprint, {})
    return [turn.state.alerts[name.encode()] for name in known]


def others_fire(turn: Turn, leader: LiveAlert) -> bool:
    """Whether any other sender says that it fires."""
    return any(follower.firing for follower in followers(turn, leader))


def _kin(turn: Turn, fingerprint: str, labels: Labels) -> list[LiveAlert]:
    """The alerts that lead whose labels are equal but for those that may not count, by name."""
    names = turn.state.kin.get(_key(turn, labels))
    if not names:  # nearly always, for an alert that is new
        return []
    own = fingerprint.encode()
    return [turn.state.alerts[name] for name in sorted(names) if name != own]


def _key(turn: Turn, labels: Labels) -> bytes:
    """What alerts have in common that may be one. A record asks for it several times."""
    rules, known, key = turn.kin
    if known is not labels or rules is not turn.rules:
        uncounted = turn.rules.uncounted
        counted = sorted([item for item in labels.items() if item[0] not in uncounted])
        key = blake2b(orjson.dumps(counted), digest_size=_KEY_BYTES).digest()
        turn.kin = turn.rules, labels, key
    return key


def _alike(rules: CompiledPolicy, known: LiveAlert, labels: Labels, annotations: Labels) -> bool:
    """Whether the labels that count only where all else is alike do not count here.

    They do where the texts of the two differ and one names its own value ("replica 2 is down").
    """
    names = rules.policy.identity.ignore_if_alike
    differing = [name for name in names if known.labels.get(name) != labels.get(name)]
    if not differing or known.annotations == annotations:
        return True
    return not any(
        _names(texts, given.get(name, ""))
        for name in differing
        for given, texts in ((known.labels, known.annotations), (labels, annotations))
    )


def _names(texts: Labels, value: str) -> bool:
    word = re.compile(rf"(?<!\w){re.escape(value)}(?!\w)")
    return bool(value) and any(word.search(text) for text in texts.values())
