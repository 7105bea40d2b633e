"""Silences, from all that was ever said of them: which are active at a time, and what they match."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.naive.policy import holds


@dataclass(frozen=True)
class Silence:
    """What one record said of a silence. The newest record of an id is the silence."""

    id: str
    matchers: list[list[str]]
    starts_ms: int
    ends_ms: int
    by: str
    at_ms: int

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether all its matchers match."""
        return all(holds(label, operator, value, labels) for label, operator, value in self.matchers)

    def covers(self, several: list[Mapping[str, str]]) -> bool:
        """Whether it matches all of these, and they are not none."""
        return bool(several) and all(map(self.matches, several))

    def is_active(self, now_ms: int) -> bool:
        """Whether it keeps quiet what it matches."""
        return self.starts_ms <= now_ms < self.ends_ms

    def says(self, other: "Silence") -> bool:
        """Whether another record says the same."""
        mine = (self.id, self.matchers, self.starts_ms, self.ends_ms, self.by)
        return mine == (other.id, other.matchers, other.starts_ms, other.ends_ms, other.by)


def read(document: Mapping[str, Any], now_ms: int) -> Silence:
    """The silence of a journal record."""
    times = (document["starts_ms"], document["ends_ms"])
    return Silence(document["silence"], document["matchers"], *times, document["by"], now_ms)
