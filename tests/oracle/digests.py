"""Storm digests, found anew from all messages that a receiver was ever sent through a channel."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from models.text.duration import parse_ms
from tests.oracle.facts import Happened

if TYPE_CHECKING:
    from tests.oracle.oracle import Naive


@dataclass(eq=False)
class Page:
    """A message on its way to a receiver."""

    incident: Happened
    severity: str
    kind: str
    channel: str
    receiver: str
    episode: int
    over: set[str]  # names of what was over before a message named it


def note_page(naive: "Naive", one: Page) -> None:
    """A message reaches its receiver's actor.

    It goes out, or one digest says later how many there were.
    """
    digest = naive.policy["notify"].get("digest")
    where = (one.receiver, one.channel)
    if one.kind in ("over", "task_reminder"):  # these wait for the digest in any case
        naive.waiting.setdefault(where, (naive.now_ms + _within(naive), []))[1].append(one)
        return
    if digest is not None:
        of_late = [
            at_ms
            for at_ms in naive.sent.get(where, [])
            if at_ms > naive.now_ms - parse_ms(digest["within"])
        ]
        if where in naive.waiting or len(of_late) >= digest["messages"]:
            naive.waiting.setdefault(where, (naive.now_ms + _within(naive), []))[1].append(one)
            return
        naive.sent.setdefault(where, []).append(naive.now_ms)
    one.incident.notifications.append(
        (one.kind, one.channel, one.receiver, one.episode, naive.now_ms)
    )


def send_digest(naive: "Naive", where: tuple[str, str]) -> None:
    """A digest goes out: so many messages of each severity and kind. It is a message too."""
    naive.reached.add("digest")
    _, pages = naive.waiting.pop(where)
    counts: dict[str, int] = {}
    for one in pages:
        what = f"{one.severity} {one.kind}"
        counts[what] = counts.get(what, 0) + 1
    worst, over = min(one.severity for one in pages), set[str]().union(*(one.over for one in pages))
    naive.digests.append((*where, naive.now_ms, worst, counts, tuple(sorted(over))))
    naive.sent[where] = [naive.now_ms]


def _within(naive: "Naive") -> int:
    """For how long a digest gathers."""
    notify = naive.policy["notify"]
    digest = notify.get("digest") or {"within": notify["group_interval"]}
    return parse_ms(digest["within"])
