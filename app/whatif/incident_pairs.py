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
        found = list(_pair_by_key(left, right, key))
        pairs += found
        matched = {id(one) for pair in found for one in pair}
        left = [one for one in left if id(one) not in matched]
        right = [one for one in right if id(one) not in matched]
    pairs += [(one, None) for one in left]
    pairs += [(None, one) for one in right]
    return sorted(pairs, key=_pair_order)


def _pair_order(pair: IncidentPair) -> tuple[int, str]:
    one = pair[0] or pair[1]
    assert one is not None
    return one.opened_ms, one.id


def _pair_by_key(
    left: Sequence[Incident], right: Sequence[Incident], key: Callable[[Incident], Hashable]
) -> Iterator[tuple[Incident, Incident]]:
    """Each with the first of the same key that overlaps and is not taken."""
    waiting: dict[Hashable, list[Incident]] = {}
    for one in right:
        waiting.setdefault(key(one), []).append(one)
    for one in left:
        others = waiting.get(key(one), [])
        other = next((other for other in others if _times_overlap(one, other)), None)
        if other is not None:
            others.remove(other)
            yield one, other


def _times_overlap(one: Incident, other: Incident) -> bool:
    return one.opened_ms <= other.ends_ms and other.opened_ms <= one.ends_ms


def _identity_key(one: Incident) -> Hashable:
    return one.id, one.component, one.incident_class


def _same_component_and_class(one: Incident) -> Hashable:
    return one.component, one.incident_class


def _opened_by(one: Incident) -> Hashable:
    return one.opened_by, one.rule


def _same_component(one: Incident) -> Hashable:
    return one.component
