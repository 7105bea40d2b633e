"""What a difference means for those on call.

How long until somebody was told, and of what nobody would have been told.
"""

from collections.abc import Callable, Iterator, Sequence
from statistics import median
from typing import NamedTuple

from app.whatif.incident_pairs import IncidentPair
from app.whatif.outcomes import Escalation, Incident, Message, RunOutcomes


class ResponseTimes(NamedTuple):
    """How long something took from an incident's opening, over the incidents that it happened to.

    Ms, None without any.
    """

    number: int
    median_ms: int | None
    max_ms: int | None


def response_times(
    before: RunOutcomes, after: RunOutcomes
) -> dict[str, tuple[ResponseTimes, ResponseTimes]]:
    """Times to the first message, to the first page, and to the first escalation.

    Before and after.
    """
    return {
        "first message": (
            _measure_times(before, before.messages),
            _measure_times(after, after.messages),
        ),
        "first page": (
            _measure_times(before, _page_messages(before)),
            _measure_times(after, _page_messages(after)),
        ),
        "escalation": (
            _measure_times(before, before.escalations),
            _measure_times(after, after.escalations),
        ),
    }


def _page_messages(facts: RunOutcomes) -> list[Message]:
    return [one for one in facts.messages if one.page]


def _measure_times(
    facts: RunOutcomes, said: Sequence[Message] | Sequence[Escalation]
) -> ResponseTimes:
    first: dict[str, int] = {}
    for one in said:
        first.setdefault(one.incident, one.at_ms)
    waits = [first[one.id] - one.opened_ms for one in facts.incidents if one.id in first]
    return ResponseTimes(
        len(waits), round(median(waits)) if waits else None, max(waits, default=None)
    )


def missed_incidents(pairs: Sequence[IncidentPair]) -> list[Incident]:
    """The incidents of before that somebody was told of, and of which, nor of what they would be part of, nobody would be.

    Where a rule opened an incident that is gone, its members have to be told.
    """
    return list(_lost_incidents(pairs, lambda one: one.heard))


def unpaged_incidents(pairs: Sequence[IncidentPair]) -> list[Incident]:
    """The same for those that somebody was called for, and nobody would be, though somebody would be told."""
    lost = missed_incidents(pairs)
    return [one for one in _lost_incidents(pairs, lambda one: one.paged) if one not in lost]


def _lost_incidents(
    pairs: Sequence[IncidentPair], told: Callable[[Incident], bool]
) -> Iterator[Incident]:
    after = {new.id: new for _, new in pairs if new is not None}
    for old, new in pairs:
        if old is None or not told(old):
            continue
        members = (
            [one for was, one in pairs if was is not None and old.id in was.parents]
            if new is None
            else [new]
        )
        known = [one for one in members if one is not None]
        known += [after[name] for one in known for name in one.parents if name in after]
        if not any(told(one) for one in known):
            yield old
