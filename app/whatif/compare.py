"""Two courses of the same events, compared: what one has and the other has not, and what is different in both.

Messages are compared for each matched incident, kind, receiver and channel, escalations for each
matched incident, rule and step: those of the same time first, the others in the order of time.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, TypeVar

from app.whatif.consequences import Times, missed, times, unpaged
from app.whatif.ids import without_ids
from app.whatif.incident_pairs import match
from app.whatif.outcomes import Escalated, Facts, Incident, Message
from models.instant import format_instant

Fact = Incident | Message | Escalated
One = TypeVar("One", bound=Fact)
Said = TypeVar("Said", bound=Message | Escalated)

BEFORE, AFTER = "before", "after"
ADDED, GONE, CHANGED, SAME = "added", "gone", "changed", "same"
KINDS = (
    "incidents",
    "pages",
    "messages",
    "escalations",
)  # pages are messages by pager, messages all others
DIGESTS = "(digests)"  # stands for the team of messages that are about many incidents


class Changed(NamedTuple):
    """What is different about two that are the same otherwise."""

    what: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Pair(Generic[One]):
    """The same of both runs, or one that only one of them has."""

    before: One | None
    after: One | None
    changes: tuple[Changed, ...] = ()

    @property
    def one(self) -> One:
        """The one that there is: that of the new policy, if both are there."""
        found = self.after if self.after is not None else self.before
        assert found is not None
        return found

    @property
    def verdict(self) -> str:
        """ADDED, GONE, CHANGED or SAME."""
        if self.before is None:
            return ADDED
        if self.after is None:
            return GONE
        return CHANGED if self.changes else SAME


AnyPair = Pair[Incident] | Pair[Message] | Pair[Escalated]


@dataclass(slots=True)
class Comparison:
    """What is the same and what is not, in the order of time."""

    incidents: list[Pair[Incident]]
    notifications: list[Pair[Message]]
    escalations: list[Pair[Escalated]]
    missed: list[Incident] = field(
        default_factory=list
    )  # of before: somebody was told of them, and nobody would be
    unpaged: list[Incident] = field(
        default_factory=list
    )  # somebody was called for them, and nobody would be
    times: dict[str, tuple[Times, Times]] = field(
        default_factory=dict
    )  # what it is until -> before and after
    refused: tuple[dict[str, int], dict[str, int]] = field(
        default_factory=lambda: ({}, {})
    )  # dead letters by reason

    def pairs(self, kind: str) -> Sequence[AnyPair]:
        """The pairs of one of KINDS, or of `notifications`: pages and messages."""
        match kind:
            case "incidents":
                return self.incidents
            case "notifications":
                return self.notifications
            case "pages":
                return [pair for pair in self.notifications if pair.one.page]
            case "messages":
                return [pair for pair in self.notifications if not pair.one.page]
            case _:
                return self.escalations

    @property
    def same(self) -> bool:
        """Whether nothing is different."""
        said = all(pair.verdict == SAME for kind in KINDS for pair in self.pairs(kind))
        return said and self.refused[0] == self.refused[1]


def compare(before: Facts, after: Facts) -> Comparison:
    """Compare two courses of the same events."""
    pairs = match(before.incidents, after.incidents)
    names = {new.id: old.id if old else f"new {new.id}" for old, new in pairs if new is not None}

    def same_incident(new: str) -> str:
        return names.get(new, new)

    return Comparison(
        [Pair(old, new, _incident_changes(old, new)) for old, new in pairs],
        list(
            _paired(before.messages, after.messages, same_incident, _message_key, _message_changes)
        ),
        list(
            _paired(
                before.escalations,
                after.escalations,
                same_incident,
                _escalation_key,
                _escalation_changes,
            )
        ),
        missed(pairs),
        unpaged(pairs),
        times(before, after),
        (before.refused, after.refused),
    )


def tally(pairs: Iterable[AnyPair], by: Callable[[Fact], str]) -> dict[str, dict[str, int]]:
    """How many there are before and after, and of each verdict but SAME.

    By what `by` says of each, sorted.
    """
    counts: dict[str, dict[str, int]] = {}

    def count(one: Fact, what: str) -> None:
        counts.setdefault(by(one), dict.fromkeys((BEFORE, AFTER, ADDED, GONE, CHANGED), 0))[
            what
        ] += 1

    for pair in pairs:
        if pair.before is not None:
            count(pair.before, BEFORE)
        if pair.after is not None:
            count(pair.after, AFTER)
        if pair.verdict != SAME:
            count(pair.one, pair.verdict)
    return dict(sorted(counts.items()))


def team_of(one: Fact) -> str:
    """Whose it is."""
    return one.owner or DIGESTS


def severity_of(one: Fact) -> str:
    """How severe it is."""
    return one.severity


def _paired(
    before: Sequence[Said],
    after: Sequence[Said],
    same_incident: Callable[[str], str],
    key: Callable[[Said, str], Hashable],
    changes: Callable[[Said, Said], Iterator[Changed]],
) -> Iterator[Pair[Said]]:
    groups: dict[Hashable, tuple[list[Said], list[Said]]] = {}
    for one in before:
        groups.setdefault(key(one, one.incident), ([], []))[0].append(one)
    for one in after:
        groups.setdefault(key(one, same_incident(one.incident)), ([], []))[1].append(one)
    found: list[Pair[Said]] = []
    for left, right in groups.values():
        for old, new in _aligned(left, right):
            different = tuple(changes(old, new)) if old is not None and new is not None else ()
            found.append(_pair(old, new, different))
    yield from sorted(found, key=lambda pair: pair.one.at_ms)


def _pair(old: Said | None, new: Said | None, changes: tuple[Changed, ...]) -> Pair[Said]:
    return Pair(old, new, changes)


def _aligned(left: list[Said], right: list[Said]) -> Iterator[tuple[Said | None, Said | None]]:
    """Those of the same time, then the others in the order of time.

    What is too many stands alone.
    """
    times: dict[int, list[Said]] = {}
    for one in right:
        times.setdefault(one.at_ms, []).append(one)
    alone: list[Said] = []
    for one in left:
        others = times.get(one.at_ms)
        if others:
            yield one, others.pop(0)
        else:
            alone.append(one)
    rest = [one for others in times.values() for one in others]
    for number in range(max(len(alone), len(rest))):
        yield (
            alone[number] if number < len(alone) else None,
            rest[number] if number < len(rest) else None,
        )


def _message_key(one: Message, incident: str) -> Hashable:
    return incident, one.kind, one.receiver, one.channel


def _escalation_key(one: Escalated, incident: str) -> Hashable:
    return incident, one.rule, one.step


def _incident_changes(old: Incident | None, new: Incident | None) -> tuple[Changed, ...]:
    if old is None or new is None:
        return ()
    return (
        *_moments("opened", old.opened_ms, new.opened_ms),
        *_moments("first told", old.told_ms, new.told_ms),
        *_moments("acknowledged", old.acknowledged_ms, new.acknowledged_ms),
        *_moments("closed", old.closed_ms, new.closed_ms, "not in the record"),
        *_texts("severity", old.severity, new.severity),
        *_texts("owner", old.owner, new.owner),
        *_texts("class", old.incident_class, new.incident_class),
        *_texts("component", old.component, new.component),
        *_texts("title", old.title, new.title),
    )


def _message_changes(old: Message, new: Message) -> Iterator[Changed]:
    yield from _moments("time", old.at_ms, new.at_ms)
    yield from _texts("severity", old.severity, new.severity)
    yield from _texts("owner", old.owner, new.owner)
    yield from _texts("title", old.title, new.title)
    yield from _texts("text", old.text, new.text)


def _escalation_changes(old: Escalated, new: Escalated) -> Iterator[Changed]:
    yield from _moments("time", old.at_ms, new.at_ms)
    yield from _texts("to", old.to, new.to)
    yield from _texts("severity", old.severity, new.severity)
    yield from _texts("owner", old.owner, new.owner)
    yield from _texts("because", old.because, new.because)


def _moments(
    what: str, old_ms: int | None, new_ms: int | None, never: str = "never"
) -> Iterator[Changed]:
    if old_ms != new_ms:
        yield Changed(
            what, *(never if one is None else format_instant(one) for one in (old_ms, new_ms))
        )


def _texts(what: str, old: str, new: str) -> Iterator[Changed]:
    if old != new and without_ids(old) != without_ids(new):
        yield Changed(what, old, new)
