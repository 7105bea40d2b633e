"""Which incident of one run is which of another.

First those that the same record opened for the same component and class; then those of one
component (or rule and group) and class whose lives overlap, in the order of time; then those that
the same record opened, whatever they are called now; last, those of one component that overlap, of
whatever class.
"""

from collections.abc import Callable, Hashable, Iterator, Sequence

from app.whatif.outcomes import Incident

IncidentPair = tuple[Incident | None, Incident | None]


def pair_incidents(before: Sequence[Incident], after: Sequence[Incident]) -> list[IncidentPair]:
    """Each incident of both lists once: a pair of the same, or one alone; in the order of time."""
    left, right = list(before), list(after)
    pairs: list[IncidentPair] = []
    for key in (_identity_key, _same_component_and_class, _opened_by, _same_component):
        by_key = list(_pair_by_key(left, right, key))
        pairs += by_key
        matched = {id(incident) for pair in by_key for incident in pair}
        left = [incident for incident in left if id(incident) not in matched]
        right = [incident for incident in right if id(incident) not in matched]
    pairs += [(incident, None) for incident in left]
    pairs += [(None, incident) for incident in right]
    return sorted(pairs, key=_pair_order)


def _pair_order(pair: IncidentPair) -> tuple[int, str]:
    incident = pair[0] or pair[1]
    assert incident is not None
    return incident.opened_ms, incident.id


def _pair_by_key(
    left: Sequence[Incident], right: Sequence[Incident], key: Callable[[Incident], Hashable]
) -> Iterator[tuple[Incident, Incident]]:
    """Each with the first of the same key that overlaps and is not taken."""
    waiting: dict[Hashable, list[Incident]] = {}
    for incident in right:
        waiting.setdefault(key(incident), []).append(incident)
    for incident in left:
        others = waiting.get(key(incident), [])
        other = next((other for other in others if _times_overlap(incident, other)), None)
        if other is not None:
            others.remove(other)
            yield incident, other


def _times_overlap(incident: Incident, other: Incident) -> bool:
    return incident.opened_ms <= other.ends_ms and other.opened_ms <= incident.ends_ms


def _identity_key(incident: Incident) -> Hashable:
    return incident.id, incident.component, incident.incident_class


def _same_component_and_class(incident: Incident) -> Hashable:
    return incident.component, incident.incident_class


def _opened_by(incident: Incident) -> Hashable:
    return incident.opened_by, incident.rule


def _same_component(incident: Incident) -> Hashable:
    return incident.component
