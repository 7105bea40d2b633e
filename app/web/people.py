"""Who was told of an incident, through what, and who is next."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from app.core.rules.compiled_policy import CompiledPolicy
from models.incident import State
from models.severity import Severity
from models.text.instant import milliseconds

TOLD_MAX = 30  # occasions that a page shows

Document = dict[str, Any]

_BEGINS_WAIT = ("Escalated", "SeverityRaised", "SeverityLowered", "OwnerChanged", "Reopened")


@dataclass(frozen=True, slots=True)
class Message:
    """A message to one receiver through one channel."""

    receiver: str
    channel: str
    wakes: bool
    delivery: str  # delivered, failed or pending
    detail: str


@dataclass(frozen=True, slots=True)
class Occasion:
    """The messages that one event caused."""

    at: str
    words: str
    messages: tuple[Message, ...]

    @property
    def has_receipt(self) -> bool:
        """Whether a notifier has said of any of them what became of it."""
        return any(message.delivery != "pending" for message in self.messages)


@dataclass(frozen=True, slots=True)
class NextCall:
    """Who is called next if nobody takes it. `at_ms` is the earliest time; None: nobody says when."""

    name: str
    step: int
    steps: int
    at_ms: int | None


def occasions_of(notifications: Iterable[Document]) -> tuple[list[Occasion], int]:
    """The newest occasions, the newest first, and how many older ones there are.

    `notifications` are those of a report, each with its delivery.
    """
    occasions = [
        Occasion(at, str(kind).replace("_", " "), tuple(map(_message, group)))
        for (at, kind), group in groupby(notifications, key=lambda item: (item["at"], item["kind"]))
    ]
    occasions.reverse()
    return occasions[:TOLD_MAX], max(len(occasions) - TOLD_MAX, 0)


def _message(document: Document) -> Message:
    return Message(
        str(document["receiver"]),
        str(document["channel"]),
        bool(document.get("wakes")),
        document["delivery"],
        document["delivery_detail"],
    )


def next_call(
    snapshot: Document, timeline: Sequence[Document], policy: CompiledPolicy
) -> NextCall | None:
    """Who is called next, by the policy of now; None when nobody is.

    The engine may call somebody later: at night, where the team's hours have to come first.
    """
    if snapshot["state"] != State.OPEN or snapshot["suppressed_by"] or not snapshot["notified_at"]:
        return None
    owner, step = policy.owner_known(snapshot["owner"]), int(snapshot["escalation_step"])
    chain = policy.chain(owner)
    if step >= len(chain):
        return None
    wait_ms = policy.escalate_after_ms(owner, Severity(snapshot["severity"]), max(step, 1))
    begins = [
        snapshot["notified_at"],
        *(item["at"] for item in timeline if item["kind"] in _BEGINS_WAIT),
    ]
    at_ms = milliseconds(max(begins)) + wait_ms if wait_ms is not None else None
    return NextCall(chain[step].name, step + 1, len(chain), at_ms)
