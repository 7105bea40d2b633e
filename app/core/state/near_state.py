"""What a rule of kind nearness remembers in one group, with its bounds, and its form in the changelog.

Three maps forget what was touched longest ago first. Each value carries the number of its last
touch, so that the order survives a restart. A token, an alert and a group each have a key of the
changelog, and all that is left has the key `m`.
"""

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from app.core.state.near_evidence import BUCKETS, Evidence

TOKENS_MAX = 50_000
ALERTS_MAX = 200_000
GROUPS_MAX = 50_000
GROUPS_OF_TOKEN_MAX = 8  # the newest groups that a token remembers
SEVERITIES_OF_GROUP_MAX = 8  # that a group remembers
META = "m"


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much is remembered."""

    tokens: int = TOKENS_MAX
    alerts: int = ALERTS_MAX
    groups: int = GROUPS_MAX


class Firing(StrEnum):
    """What is known of an alert now."""

    YES = "yes"
    EXPIRED = "expired"  # nobody has sent it for its time to live: nobody knows
    RESOLVED = "resolved"


@dataclass(slots=True)
class Token:
    """A place or a kind: in how many slots it fired, and the groups in which it fired last.

    Places are counted in slots of `near_ms`, and at the beginning in minutes too; kinds in hours.
    `groups` maps a group to the time of the last firing in it, the newest last.
    """

    slots: int = 0
    slot: int = -1
    minutes: int = 0
    minute: int = -1
    groups: dict[int, int] = field(default_factory=dict)
    touch: int = 0

    def count(self, slot: int) -> None:
        """Count a firing in this slot."""
        if slot != self.slot:
            self.slots, self.slot = self.slots + 1, slot

    def count_minute(self, minute: int) -> None:
        """Count a firing in this minute."""
        if minute != self.minute:
            self.minutes, self.minute = self.minutes + 1, minute

    def add_group(self, group: int, at_ms: int) -> None:
        """Remember that something with this token fired in the group."""
        self.groups.pop(group, None)
        self.groups[group] = at_ms
        if len(self.groups) > GROUPS_OF_TOKEN_MAX:
            del self.groups[next(iter(self.groups))]


@dataclass(slots=True)
class AlertMemory:
    """An alert: when it began to fire last, and in which group."""

    last_ms: int = -1
    group: int = 0
    firing: Firing = Firing.RESOLVED
    touch: int = 0


@dataclass(slots=True)
class Group:
    """Alerts that belong together: how many fire, how many expired, and what they have in common.

    `root` is the incident to which the others belong, and `root_key` its component's key in the
    journal; both are empty when it has ended. `first` is the first incident that was the root.
    """

    firing: int = 0
    expired: int = 0
    severities: dict[str, None] = field(default_factory=dict)
    labels: dict[int, None] = field(default_factory=dict)
    root: str = ""
    root_key: str = ""
    first: str = ""
    touch: int = 0


@dataclass(slots=True)
class NearState:
    """All that is remembered."""

    bounds: Bounds = field(default_factory=Bounds)
    since_ms: int = -1  # the first firing
    now_ms: int = -1
    groups_opened: int = 0
    touches: int = 0
    background: int = 0  # the group, 0 for none
    background_ms: int = -1
    places: Evidence = field(default_factory=Evidence)
    kinds: Evidence = field(default_factory=Evidence)
    tokens: OrderedDict[str, Token] = field(default_factory=OrderedDict)
    alerts: OrderedDict[str, AlertMemory] = field(default_factory=OrderedDict)
    groups: OrderedDict[int, Group] = field(default_factory=OrderedDict)
    dirty: dict[str, None] = field(default_factory=dict)

    @property
    def number_of_keys(self) -> int:
        """How many keys it has in the changelog."""
        return 1 + len(self.tokens) + len(self.alerts) + len(self.groups)

    def touch_token(self, name: str) -> Token:
        """The token, made if need be, as the one that was touched last."""
        token = self.tokens.get(name)
        if token is None:
            token = self.tokens[name] = Token()
            if len(self.tokens) > self.bounds.tokens:
                self.dirty[f"t/{self.tokens.popitem(last=False)[0]}"] = None
        else:
            self.tokens.move_to_end(name)
        self.touches += 1
        token.touch = self.touches
        self.dirty[f"t/{name}"] = None
        return token

    def touch_alert(self, fingerprint: str) -> AlertMemory:
        """What is remembered of the alert, as the one that was touched last."""
        alert = self.alerts.get(fingerprint)
        if alert is None:
            alert = self.alerts[fingerprint] = AlertMemory()
            if len(self.alerts) > self.bounds.alerts:
                self.dirty[f"a/{self.alerts.popitem(last=False)[0]}"] = None
        else:
            self.alerts.move_to_end(fingerprint)
        self.touches += 1
        alert.touch = self.touches
        self.dirty[f"a/{fingerprint}"] = None
        return alert

    def touch_group(self, number: int) -> Group:
        """The group, made if need be, as the one that was touched last."""
        group = self.groups.get(number)
        if group is None:
            group = self.groups[number] = Group()
            if len(self.groups) > self.bounds.groups:
                self.dirty[f"g/{self.groups.popitem(last=False)[0]}"] = None
        else:
            self.groups.move_to_end(number)
        self.touches += 1
        group.touch = self.touches
        self.dirty[f"g/{number}"] = None
        return group


def changes(state: NearState) -> list[tuple[str, list[Any] | None]]:
    """What changed since the last call, as key and JSON value; None means forgotten."""
    if not state.dirty:
        return []
    records = [(key, _value(state, key)) for key in state.dirty]
    state.dirty.clear()
    return [*records, (META, _meta(state))]


def restore(items: Iterable[tuple[str, list[Any]]], bounds: Bounds | None = None) -> NearState:
    """The state of the newest value of each key, in whatever order they come.

    Raises AssertionError, TypeError or ValueError for what was not written by `changes`.
    """
    state, values = NearState(bounds or Bounds()), dict(items)
    _read_meta(state, values.pop(META))
    for key, value in sorted(values.items(), key=lambda item: int(item[1][0])):
        kind, name = key[:2], key[2:]
        if kind == "t/":
            state.tokens[name] = _token_of(value)
        elif kind == "a/":
            touch, last_ms, group, firing = value
            check_numbers(touch, last_ms, group)
            state.alerts[name] = AlertMemory(last_ms, group, Firing(firing), touch)
        else:
            assert kind == "g/", f"the key is {key!r:.80}, must begin with t/, a/ or g/"
            state.groups[int(name)] = _group_of(value)
    return state


def check_numbers(*numbers: object) -> None:
    """Raise AssertionError for what is not an integer."""
    assert all(type(number) is int for number in numbers), f"{numbers!r:.80} must be integers"


def _check_texts(*texts: object) -> None:
    assert all(type(text) is str for text in texts), f"{texts!r:.80} must be texts"


def _value(state: NearState, key: str) -> list[Any] | None:
    kind, name = key[:2], key[2:]
    if kind == "t/" and (token := state.tokens.get(name)):
        counts = [token.slots, token.slot, token.minutes, token.minute]
        return [token.touch, *counts, list(token.groups.items())]
    if kind == "a/" and (alert := state.alerts.get(name)):
        return [alert.touch, alert.last_ms, alert.group, alert.firing]
    if kind == "g/" and (group := state.groups.get(int(name))):
        shared = [list(group.severities), list(group.labels)]
        roots = [group.root, group.root_key, group.first]
        return [group.touch, group.firing, group.expired, *shared, *roots]
    return None


def _token_of(value: list[Any]) -> Token:
    touch, slots, slot, minutes, minute, groups = value
    check_numbers(touch, slots, slot, minutes, minute, *(part for pair in groups for part in pair))
    return Token(slots, slot, minutes, minute, dict(groups), touch)


def _group_of(value: list[Any]) -> Group:
    touch, firing, expired, severities, labels, *roots = value
    root, root_key, first = roots
    check_numbers(touch, firing, expired, *labels)
    _check_texts(*roots, *severities)
    known = dict.fromkeys(severities), dict.fromkeys(labels)
    return Group(firing, expired, *known, root, root_key, first, touch)


def _meta(state: NearState) -> list[Any]:
    evidence = [[kind.far, kind.near] for kind in (state.places, state.kinds)]
    times = [state.since_ms, state.now_ms, state.groups_opened, state.touches]
    return [*times, state.background, state.background_ms, *evidence]


def _read_meta(state: NearState, value: list[Any]) -> None:
    *numbers, places, kinds = value
    check_numbers(*numbers)
    state.since_ms, state.now_ms, state.groups_opened, state.touches = numbers[:4]
    state.background, state.background_ms = numbers[4:]
    state.places, state.kinds = _evidence_of(*places), _evidence_of(*kinds)


def _evidence_of(far: int, near: list[int]) -> Evidence:
    check_numbers(far, *near)
    assert len(near) == BUCKETS
    return Evidence(far, near, far + sum(near))
