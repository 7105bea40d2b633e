"""A silence: for a while, what matches is known about, and told to nobody."""

from dataclasses import dataclass, field

from models.alert import Labels
from models.matcher import Matcher


@dataclass(frozen=True, slots=True)
class Silence:
    """One silence, validated.

    Times are milliseconds since 1970, in UTC. All matchers have to match.
    """

    id: str
    matchers: tuple[Matcher, ...]
    starts_ms: int
    ends_ms: int  # from then on it silences nothing; expiring one is a record with an earlier end
    by: str
    comment: str
    annotations: Labels = field(default_factory=dict[str, str])  # they decide nothing
    at_ms: int = field(
        default=0, compare=False
    )  # when a partition heard of it; the border leaves it 0
