"""Two courses of the same events, compared: what one has and the other has not, and what is different in both.

Messages are compared for each matched incident, kind, receiver and channel, escalations for each
matched incident, rule and step: those of the same time first, the others in the order of time.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, TypeVar

from app.whatif.consequences import (
    ResponseTimes,
    missed_incidents,
    response_times,
    unpaged_incidents,
)
from app.whatif.ids import without_ids
from app.whatif.incident_pairs import pair_incidents
from app.whatif.outcomes import Escalation, Incident, Message, RunOutcomes
from models.text.instant import format_instant

Fact = Incident | Message | Escalation
One = TypeVar("One", bound=Fact)
Said = TypeVar("Said", bound=Message | Escalation)

BEFORE, AFTER = "before", "after"
ADDED, GONE, CHANGED, SAME = "added", "gone", "changed", "same"
KINDS = (
    "incidents",
    "pages",
    "messages",
    "escalations",
)  # pages are messages by pager, messages all others
DIGESTS = "(digests)"  # stands for the team of messages that are about many incidents


class FieldChange(NamedTuple):
    """What is different about two that are the same otherwise."""

    label: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Pair(Generic[One]):
    """The same of both runs, or one that only one of them has."""

    before: One | None
    after: One | None
    changes: tuple[FieldChange, ...] = ()

    @property
    def shown(self) -> One:
        """The one that there is: that of the new policy, if both are there."""
        side = self.after if self.after is not None else self.before
        assert side is not None
        return side

    @property
    def verdict(self) -> str:
        """ADDED, GONE, CHANGED or SAME."""
        if self.before is None:
            return ADDED
        if self.after is None:
            return GONE
        return CHANGED if self.changes else SAME


AnyPair = Pair[Incident] | Pair[Message] | Pair[Escalation]


@dataclass(slots=True)
class Comparison:
    """What is the same and what is not, in the order of time."""

    incidents: list[Pair[Incident]]
    notifications: list[Pair[Message]]
    escalations: list[Pair[Escalation]]
    missed: list[Incident] = field(
        default_factory=list
    )  # of before: somebody was told of them, and nobody would be
    unpaged: list[Incident] = field(
        default_factory=list
    )  # somebody was called for them, and nobody would be
    times: dict[str, tuple[ResponseTimes, ResponseTimes]] = field(
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
                return [pair for pair in self.notifications if pair.shown.page]
            case "messages":
                return [pair for pair in self.notifications if not pair.shown.page]
            case _:
                return self.escalations

    @property
    def same(self) -> bool:
        """Whether nothing is different."""
        all_same = all(pair.verdict == SAME for kind in KINDS for pair in self.pairs(kind))
        return all_same and self.refused[0] == self.refused[1]


def compare_runs(before: RunOutcomes, after: RunOutcomes) -> Comparison:
    """Compare two courses of the same events."""
    pairs = pair_incidents(before.incidents, after.incidents)
    names = {new.id: old.id if old else f"new {new.id}" for old, new in pairs if new is not None}

    def same_incident(new: str) -> str:
        return names.get(new, new)

    return Comparison(
        [Pair(old, new, _incident_changes(old, new)) for old, new in pairs],
        list(
            _pair_objects(
                before.messages, after.messages, same_incident, _message_key, _message_changes
            )
        ),
        list(
            _pair_objects(
                before.escalations,
                after.escalations,
                same_incident,
                _escalation_key,
                _escalation_changes,
            )
        ),
        missed_incidents(pairs),
        unpaged_incidents(pairs),
        response_times(before, after),
        (before.refused, after.refused),
    )


def tally_pairs(pairs: Iterable[AnyPair], by: Callable[[Fact], str]) -> dict[str, dict[str, int]]:
    """How many there are before and after, and of each verdict but SAME.

    By what `by` says of each, sorted.
    """
    counts: dict[str, dict[str, int]] = {}

    def count(fact: Fact, verdict: str) -> None:
        counts.setdefault(by(fact), dict.fromkeys((BEFORE, AFTER, ADDED, GONE, CHANGED), 0))[
            verdict
        ] += 1

    for pair in pairs:
        if pair.before is not None:
            count(pair.before, BEFORE)
        if pair.after is not None:
            count(pair.after, AFTER)
        if pair.verdict != SAME:
            count(pair.shown, pair.verdict)
    return dict(sorted(counts.items()))


def team_of(fact: Fact) -> str:
    """Whose it is."""
    return fact.owner or DIGESTS


def severity_of(fact: Fact) -> str:
    """How severe it is."""
    return fact.severity


def _pair_objects(
    before: Sequence[Said],
    after: Sequence[Said],
    same_incident: Callable[[str], str],
    key: Callable[[Said, str], Hashable],
    changes: Callable[[Said, Said], Iterator[FieldChange]],
) -> Iterator[Pair[Said]]:
    groups: dict[Hashable, tuple[list[Said], list[Said]]] = {}
    for item in before:
        groups.setdefault(key(item, item.incident), ([], []))[0].append(item)
    for item in after:
        groups.setdefault(key(item, same_incident(item.incident)), ([], []))[1].append(item)
    pairs: list[Pair[Said]] = []
    for left, right in groups.values():
        for old, new in _align_by_time(left, right):
            different = tuple(changes(old, new)) if old is not None and new is not None else ()
            pairs.append(_make_pair(old, new, different))
    yield from sorted(pairs, key=lambda pair: pair.shown.at_ms)


def _make_pair(old: Said | None, new: Said | None, changes: tuple[FieldChange, ...]) -> Pair[Said]:
    return Pair(old, new, changes)


def _align_by_time(
    left: list[Said], right: list[Said]
) -> Iterator[tuple[Said | None, Said | None]]:
    """Those of the same time, then the others in the order of time.

    What is too many stands alone.
    """
    times: dict[int, list[Said]] = {}
    for item in right:
        times.setdefault(item.at_ms, []).append(item)
    alone: list[Said] = []
    for item in left:
        others = times.get(item.at_ms)
        if others:
            yield item, others.pop(0)
        else:
            alone.append(item)
    rest = [other for others in times.values() for other in others]
    for number in range(max(len(alone), len(rest))):
        yield (
            alone[number] if number < len(alone) else None,
            rest[number] if number < len(rest) else None,
        )


def _message_key(message: Message, incident: str) -> Hashable:
    return incident, message.kind, message.receiver, message.channel


def _escalation_key(escalation: Escalation, incident: str) -> Hashable:
    return incident, escalation.rule, escalation.step


def _incident_changes(old: Incident | None, new: Incident | None) -> tuple[FieldChange, ...]:
    if old is None or new is None:
        return ()
    return (
        *_changed_moments("opened", old.opened_ms, new.opened_ms),
        *_changed_moments("first told", old.notified_ms, new.notified_ms),
        *_changed_moments("acknowledged", old.acknowledged_ms, new.acknowledged_ms),
        *_changed_moments("closed", old.closed_ms, new.closed_ms, "not in the record"),
        *_changed_texts("severity", old.severity, new.severity),
        *_changed_texts("owner", old.owner, new.owner),
        *_changed_texts("class", old.incident_class, new.incident_class),
        *_changed_texts("component", old.component, new.component),
        *_changed_texts("title", old.title, new.title),
    )


def _message_changes(old: Message, new: Message) -> Iterator[FieldChange]:
    yield from _changed_moments("time", old.at_ms, new.at_ms)
    yield from _changed_texts("severity", old.severity, new.severity)
    yield from _changed_texts("owner", old.owner, new.owner)
    yield from _changed_texts("title", old.title, new.title)
    yield from _changed_texts("text", old.text, new.text)


def _escalation_changes(old: Escalation, new: Escalation) -> Iterator[FieldChange]:
    yield from _changed_moments("time", old.at_ms, new.at_ms)
    yield from _changed_texts("to", old.to, new.to)
    yield from _changed_texts("severity", old.severity, new.severity)
    yield from _changed_texts("owner", old.owner, new.owner)
    yield from _changed_texts("because", old.because, new.because)


def _changed_moments(
    label: str, old_ms: int | None, new_ms: int | None, never: str = "never"
) -> Iterator[FieldChange]:
    if old_ms != new_ms:
        yield FieldChange(
            label, *(never if item is None else format_instant(item) for item in (old_ms, new_ms))
        )


def _changed_texts(label: str, old: str, new: str) -> Iterator[FieldChange]:
    if old != new and without_ids(old) != without_ids(new):
        yield FieldChange(label, old, new)
