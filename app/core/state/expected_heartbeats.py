"""Heartbeats that the policy expects, and whether each was ever received.

What is kept of one stands where a heartbeat with its labels would stand.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from models.alert import Labels, fingerprint

if TYPE_CHECKING:
    from app.core.state.state import PartitionState


@dataclass(slots=True)
class ExpectedHeartbeat:
    """A heartbeat that is expected."""

    rule: str
    labels: Labels
    since_ms: int  # since when it is expected
    received: bool = False  # at some time
    raised: bool = False  # that it is missing; once

    @property
    def fingerprint(self) -> str:
        """That of the alert which says that it is missing."""
        return missing_fingerprint(self.rule, self.labels)


def missing_labels(rule: str, labels: Labels) -> dict[str, str]:
    """The labels of the alert that says that a heartbeat of a rule is missing."""
    return {**labels, "alertname": rule}


def missing_fingerprint(rule: str, labels: Labels) -> str:
    """And its fingerprint."""
    return fingerprint(missing_labels(rule, labels))


def put_expected(state: "PartitionState", expected: ExpectedHeartbeat) -> None:
    """Keep what is known of one."""
    state.expected[expected.fingerprint] = expected
    state.dirty[b"h/" + expected.fingerprint.encode()] = None


def drop_expected(state: "PartitionState", expected: ExpectedHeartbeat) -> None:
    """Forget one that is not expected any more."""
    del state.expected[expected.fingerprint]
    state.dirty[b"h/" + expected.fingerprint.encode()] = None
