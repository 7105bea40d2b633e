"""What the doctor says of one thing."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from enum import StrEnum


class Level(StrEnum):
    """How bad it is."""

    GOOD = "good"
    DOUBTFUL = "doubtful"  # it works, and perhaps not as it is meant
    WRONG = "wrong"  # it does not work, or will not for long


@dataclass(frozen=True, slots=True)
class Finding:
    """A thing and what is known of it. `remedy` says what to do; empty when nothing is to be done."""

    subject: str
    level: Level
    text: str
    remedy: str = ""

    def document(self) -> dict[str, str]:
        """As programs read it."""
        return asdict(self)


def is_wrong(findings: Iterable[Finding]) -> bool:
    """Whether something does not work."""
    return any(finding.level is Level.WRONG for finding in findings)
