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
    return [message for message in facts.messages if message.page]


def _measure_times(
    facts: RunOutcomes, messages: Sequence[Message] | Sequence[Escalation]
) -> ResponseTimes:
    first: dict[str, int] = {}
    for item in messages:
        first.setdefault(item.incident, item.at_ms)
    waits = [
        first[incident.id] - incident.opened_ms
        for incident in facts.incidents
        if incident.id in first
    ]
    return ResponseTimes(
        len(waits), round(median(waits)) if waits else None, max(waits, default=None)
    )


def missed_incidents(pairs: Sequence[IncidentPair]) -> list[Incident]:
    """The incidents of before that somebody was told of, and of which, nor of what they would be part of, nobody would be.

    Where a rule opened an incident that is gone, its members have to be told.
    """
    return list(_lost_incidents(pairs, lambda incident: incident.heard))


def unpaged_incidents(pairs: Sequence[IncidentPair]) -> list[Incident]:
    """The same for those that somebody was called for, and nobody would be, though somebody would be told."""
    lost = missed_incidents(pairs)
    return [
        incident
        for incident in _lost_incidents(pairs, lambda incident: incident.paged)
        if incident not in lost
    ]


def _lost_incidents(
    pairs: Sequence[IncidentPair], told: Callable[[Incident], bool]
) -> Iterator[Incident]:
    after = {new.id: new for _, new in pairs if new is not None}
    for old, new in pairs:
        if old is None or not told(old):
            continue
        members = (
            [incident for was, incident in pairs if was is not None and old.id in was.parents]
            if new is None
            else [new]
        )
        known = [member for member in members if member is not None]
        known += [after[name] for incident in known for name in incident.parents if name in after]
        if not any(told(incident) for incident in known):
            yield old
