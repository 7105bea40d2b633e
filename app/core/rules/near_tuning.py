"""The reasons for which alerts are near, and the constants that a policy may change."""

from dataclasses import dataclass
from enum import StrEnum

MINUTE_MS, HOUR_MS = 60_000, 3_600_000


class Nearby(StrEnum):
    """Why an alert belongs to a group, in the order in which they are asked."""

    AGAIN = "again"  # the very same alert fired a short time ago
    BACKGROUND = "background"  # an event that comes all day and that nobody ever resolves
    PLACE = "place"  # the same component, host, or parent domain
    KIND = "kind"  # the same alertname elsewhere, in a group that is not over
    NEW = "new"  # none of these: a group of its own


@dataclass(frozen=True, slots=True)
class Tuning:
    """The constants. Times are in milliseconds, shares in parts in a million."""

    again: bool = True
    place: bool = True
    kind: bool = True
    near_ms: int = 15 * MINUTE_MS  # the same alert, the same place, the background
    same_severity_ms: int = 2 * HOUR_MS  # the same kind with the same severity
    other_severity_ms: int = 5 * MINUTE_MS  # the same kind with another severity
    expired_ms: int = HOUR_MS  # the same kind, when what was there expired and nothing fires
    chance_ppm: int = 200_000  # so near by accident, for any of an alert's places: at most this
    false_share_ppm: int = 100_000  # of all joins for a reason, at most this may be accidents
    place_share_ppm: int = 500_000  # a place in more slots than this tells nothing
    kind_share_ppm: int = 100_000  # a kind in more hours than this tells nothing
    background_hours: int = 8  # of the last 24
    place_labels: tuple[str, ...] = ("instance", "host", "hostname", "node", "pod")

    def __post_init__(self) -> None:
        """Refuse what the policy's own checks would have refused: it is our fault here."""
        assert 0 < self.chance_ppm < 1_000_000
        assert 0 <= self.false_share_ppm <= 1_000_000
        assert 0 <= self.place_share_ppm < 1_000_000
        assert 0 <= self.kind_share_ppm < 1_000_000
        assert 1 <= self.background_hours <= 24
        assert min(self.same_severity_ms, self.other_severity_ms, self.expired_ms) >= 0
        assert self.near_ms >= MINUTE_MS
