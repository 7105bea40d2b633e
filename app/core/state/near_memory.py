"""What a partition remembers for nearness: of its own alerts, and of the groups whose actor it is.

Of its own alerts it remembers in which of the last 24 hours they began, and whether somebody ever
resolved them. What comes all day and is never resolved is background.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import orjson

from app.core.state import near_state
from app.core.state.near_state import NearState, check_numbers
from models.text.json_bytes import json_bytes

BEGUN_MAX = 200_000  # alerts; also such as ended long ago
HOURS = 24
BEGUN_KEY, GROUP_KEY = b"b/", b"n/"


@dataclass(slots=True)
class BegunAlert:
    """An alert: the hours in which it began (a bit each, the newest lowest), and whether it is resolved."""

    hours: int = 0
    hour: int = 0
    resolves: bool = False  # somebody resolved it once: it is a state, and no event
    touch: int = 0

    def begin(self, hour: int) -> int:
        """In how many of the last 24 hours it began before; counts this hour too."""
        shift = hour - self.hour
        self.hours = (self.hours << shift) & (1 << HOURS) - 1 if shift < HOURS else 0
        before = self.hours.bit_count()
        self.hours, self.hour = self.hours | 1, hour
        return before


class NearMemory:
    """Both, and what of it changed since the last checkpoint."""

    def __init__(self, begun_max: int = BEGUN_MAX) -> None:
        self.begun: OrderedDict[str, BegunAlert] = OrderedDict()  # by fingerprint
        self.groups: dict[tuple[str, str], NearState] = {}  # by rule and group
        self._begun_max, self._touches = begun_max, 0
        self._dirty: dict[bytes, None] = {}
        self._loaded: dict[tuple[str, str], dict[str, list[Any]]] = {}

    def begin(self, fingerprint: str, hour: int) -> tuple[int, bool]:
        """An alert begins to fire: in how many of the last 24 hours it did before, and whether it resolves."""
        alert = self.begun.get(fingerprint)
        if alert is None:
            alert = self.begun[fingerprint] = BegunAlert(hour=hour)
            if len(self.begun) > self._begun_max:
                self._dirty[BEGUN_KEY + self.begun.popitem(last=False)[0].encode()] = None
        else:
            self.begun.move_to_end(fingerprint)
        self._touches += 1
        alert.touch = self._touches
        self._dirty[BEGUN_KEY + fingerprint.encode()] = None
        return alert.begin(hour), alert.resolves

    def resolve(self, fingerprint: str) -> None:
        """Somebody resolved an alert."""
        alert = self.begun.get(fingerprint)
        if alert is not None and not alert.resolves:
            alert.resolves = True
            self._dirty[BEGUN_KEY + fingerprint.encode()] = None

    def drop_group(self, rule: str, group: str) -> None:
        """Forget all that a rule remembers in a group."""
        state = self.groups.pop((rule, group))
        names = [near_state.META, *(f"t/{name}" for name in state.tokens)]
        names += [f"a/{name}" for name in state.alerts] + [f"g/{number}" for number in state.groups]
        for name in (*names, *state.dirty):
            self._dirty[_group_key(rule, group, name)] = None

    @property
    def number_of_keys(self) -> int:
        """How many keys it has in the changelog."""
        return len(self.begun) + sum(state.number_of_keys for state in self.groups.values())

    def changed_records(self) -> list[tuple[bytes, bytes | None]]:
        """What changed since the last call, as changelog records; None means forgotten."""
        records = [(key, self._begun_value(key)) for key in self._dirty]
        self._dirty.clear()
        for (rule, group), state in self.groups.items():
            for name, value in near_state.changes(state):
                encoded = None if value is None else json_bytes(value)
                records.append((_group_key(rule, group, name), encoded))
        return records

    def _begun_value(self, key: bytes) -> bytes | None:
        alert = self.begun.get(key[2:].decode()) if key.startswith(BEGUN_KEY) else None
        if alert is None:
            return None
        return json_bytes([alert.touch, alert.hours, alert.hour, alert.resolves])

    def load_begun(self, name: bytes, value: list[Any]) -> None:
        """Take over an alert from the changelog."""
        touch, hours, hour, resolves = value
        check_numbers(touch, hours, hour)
        assert type(resolves) is bool
        self.begun[name.decode()] = BegunAlert(hours, hour, resolves, touch)

    def load_group(self, name: bytes, value: list[Any]) -> None:
        """Take over a part of a group from the changelog."""
        rule, group, part = orjson.loads(name)
        assert part == near_state.META or type(value[0]) is int
        self._loaded.setdefault((rule, group), {})[part] = value

    def end_load(self) -> None:
        """All is taken over: put it into the order in which it was touched."""
        for where, parts in sorted(self._loaded.items()):
            self.groups[where] = near_state.restore(parts.items())
        self._loaded = {}
        self.begun = OrderedDict(sorted(self.begun.items(), key=lambda item: item[1].touch))
        self._touches = max((alert.touch for alert in self.begun.values()), default=0)


def _group_key(rule: str, group: str, part: str) -> bytes:
    return GROUP_KEY + json_bytes([rule, group, part])
