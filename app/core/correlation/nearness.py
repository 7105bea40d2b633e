"""When an alert begins to fire: which earlier group it is near, and why. From labels and time alone.

The first reason that holds decides (`near_tuning.Nearby`); if none holds, the alert begins a group
of its own. A join by place or kind counts only if it is unlikely to be an accident (`accident`),
given how often that place or kind is heard of at all. What is heard of is counted whatever was
joined, so that no join makes the next one easier. Of several groups the one with most labels in
common is taken, then the one that fired last, then the older one.

The answer is a function of what came before and of its order and times. Nothing here is told of a
repeat. A resolve ends a group; an expiry does not, because nobody knows. docs/CORRELATION.md
explains it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from app.core.correlation.accident import hazard_ppm
from app.core.correlation.near_labels import LABELS_MAX, Shared
from app.core.rules.near_tuning import HOUR_MS, MINUTE_MS, Nearby, Tuning
from app.core.state.near_evidence import MILLION, Evidence
from app.core.state.near_state import (
    SEVERITIES_OF_GROUP_MAX,
    AlertMemory,
    Firing,
    Group,
    NearState,
)

# Until so many slots have gone by, slots are too few to count: places are counted in minutes, and
# kinds tell nothing for so many hours.
YOUNG_SLOTS, YOUNG_HOURS = 8, 2
# A share is of so many slots at least.
MINUTES_LEAST, SLOTS_LEAST, HOURS_LEAST = 15, 8, 10


@dataclass(frozen=True, slots=True)
class FiredAlert:
    """An alert that begins to fire, at a time that never goes back."""

    at_ms: int
    fingerprint: str
    severity: str
    shared: Shared
    # In so many of the last 24 hours it began before, and that makes it background; else 0.
    background_hours: int = 0


class Join(NamedTuple):
    """The group, and the numbers behind it."""

    group: int
    reason: Nearby
    token: str = ""  # what is shared
    apart_ms: int = 0
    share_ppm: int = 0  # of the slots of `slot_ms` that had the token
    slot_ms: int = 0
    accident_ppm: int = 0  # firings to be expected in that time by accident
    limit_ppm: int = 0  # up to which a join was allowed
    common_labels: int = 0
    hours: int = 0  # of the last 24, for the background


_News = TypeVar("_News", int, str)


class _Candidate(NamedTuple):
    """Compared by the first three; the higher, the nearer."""

    common_labels: int
    last_ms: int
    older: int
    join: Join


class _Asked(NamedTuple):
    """An alert, and what is remembered of it."""

    alert: FiredAlert
    memory: AlertMemory


def on_fired(state: NearState, tuning: Tuning, alert: FiredAlert) -> Join:
    """Decide where an alert belongs that begins to fire, and remember it there."""
    assert alert.at_ms >= state.now_ms, "time does not go back"
    state.now_ms = alert.at_ms
    if state.since_ms < 0:
        state.since_ms = alert.at_ms
    asked = _Asked(alert, state.touch_alert(alert.fingerprint))
    join = _decide(state, tuning, asked)
    if not join.group:
        state.groups_opened += 1
        join = join._replace(group=state.groups_opened)
    if alert.background_hours and join.reason in (Nearby.BACKGROUND, Nearby.NEW):
        state.background, state.background_ms = join.group, alert.at_ms
    _remember(state, tuning, asked, join.group)
    return join


def on_ended(state: NearState, fingerprint: str, *, resolved: bool) -> None:
    """An alert ended: somebody resolved it, or it expired. One that is not remembered changes nothing."""
    memory = state.alerts.get(fingerprint)
    if memory is None or memory.firing is Firing.RESOLVED:
        return
    if memory.firing is Firing.EXPIRED and not resolved:
        return
    _leave(state, memory)
    memory.firing = Firing.RESOLVED if resolved else Firing.EXPIRED
    group = state.groups.get(memory.group)
    if group is not None and not resolved:
        group.expired += 1
    state.dirty[f"a/{fingerprint}"] = None


def _decide(state: NearState, tuning: Tuning, asked: _Asked) -> Join:
    alert, memory = asked.alert, asked.memory
    apart_ms = alert.at_ms - memory.last_ms
    known = memory.last_ms >= 0 and memory.group in state.groups
    if tuning.again and known and apart_ms <= tuning.near_ms:
        return Join(memory.group, Nearby.AGAIN, apart_ms=apart_ms)
    if alert.background_hours:
        lately = state.background and alert.at_ms - state.background_ms <= tuning.near_ms
        if lately and state.background in state.groups:
            return Join(state.background, Nearby.BACKGROUND, hours=alert.background_hours)
        return Join(0, Nearby.NEW, hours=alert.background_hours)
    join = _by_place(state, tuning, asked) if tuning.place else None
    if join is None and tuning.kind:
        join = _by_kind(state, tuning, asked)
    return join or Join(0, Nearby.NEW)


def _by_place(state: NearState, tuning: Tuning, asked: _Asked) -> Join | None:
    limit_ppm = -1  # found when it is needed: most alerts are near nothing
    candidates, least_ppm = [], -1
    places = asked.alert.shared.places
    for name in places:
        token = state.tokens.get(name)
        if token is None or not token.groups:
            continue
        share_ppm, slot_ms = _place_share(state, tuning, name)
        if share_ppm > tuning.place_share_ppm:
            continue
        expected_ppm = hazard_ppm(share_ppm) * len(places)
        for group, last_ms in token.groups.items():
            apart_ms = asked.alert.at_ms - last_ms
            accident_ppm = expected_ppm * apart_ms // slot_ms
            if group != asked.memory.group and (least_ppm < 0 or accident_ppm < least_ppm):
                least_ppm = accident_ppm
            if apart_ms > tuning.near_ms or accident_ppm > tuning.chance_ppm:
                continue
            limit_ppm = limit_ppm if limit_ppm >= 0 else _limit(state.places, tuning)
            if accident_ppm <= limit_ppm and group in state.groups:
                numbers = (share_ppm, slot_ms, accident_ppm, limit_ppm)
                join = Join(group, Nearby.PLACE, name, apart_ms, *numbers)
                candidates.append(_candidate(state, asked, last_ms, join))
    _learn(state.places, tuning, least_ppm)
    return _nearest(candidates)


def _by_kind(state: NearState, tuning: Tuning, asked: _Asked) -> Join | None:
    at_ms, name = asked.alert.at_ms, asked.alert.shared.kind
    token = state.tokens.get(name) if name else None
    young = at_ms - state.since_ms < YOUNG_HOURS * HOUR_MS
    if token is None or not token.groups or young:
        return None
    share_ppm = _share(token.slots, HOUR_MS, max(at_ms - state.since_ms, HOURS_LEAST * HOUR_MS))
    if share_ppm > tuning.kind_share_ppm:
        return None
    limit_ppm = _limit(state.kinds, tuning)
    expected_ppm, candidates, least_ppm = hazard_ppm(share_ppm), [], -1
    for group, last_ms in token.groups.items():
        apart_ms = at_ms - last_ms
        accident_ppm = expected_ppm * apart_ms // HOUR_MS
        if group != asked.memory.group and (least_ppm < 0 or accident_ppm < least_ppm):
            least_ppm = accident_ppm
        if (
            accident_ppm <= limit_ppm
            and group in state.groups
            and apart_ms <= _reach_ms(tuning, state.groups[group], asked.alert.severity)
        ):
            numbers = (share_ppm, HOUR_MS, accident_ppm, limit_ppm)
            join = Join(group, Nearby.KIND, name, apart_ms, *numbers)
            candidates.append(_candidate(state, asked, last_ms, join))
    _learn(state.kinds, tuning, least_ppm)
    return _nearest(candidates)


def _limit(evidence: Evidence, tuning: Tuning) -> int:
    return evidence.limit_ppm(tuning.chance_ppm, tuning.false_share_ppm)


def _reach_ms(tuning: Tuning, group: Group, severity: str) -> int:
    """How far back a join by kind may look: not at all once everything there was resolved."""
    same = severity in group.severities
    reach_ms = tuning.same_severity_ms if same else tuning.other_severity_ms
    if group.firing > 0:
        return reach_ms
    return min(reach_ms, tuning.expired_ms) if group.expired > 0 else -1


def _place_share(state: NearState, tuning: Tuning, name: str) -> tuple[int, int]:
    """The share of slots that had the place, and the width of a slot."""
    token, elapsed_ms = state.tokens[name], state.now_ms - state.since_ms
    if elapsed_ms < YOUNG_SLOTS * tuning.near_ms:
        least_ms = MINUTES_LEAST * MINUTE_MS
        return _share(token.minutes, MINUTE_MS, max(elapsed_ms, least_ms)), MINUTE_MS
    least_ms = SLOTS_LEAST * tuning.near_ms
    return _share(token.slots, tuning.near_ms, max(elapsed_ms, least_ms)), tuning.near_ms


def _share(slots: int, slot_ms: int, elapsed_ms: int) -> int:
    return min(slots * slot_ms * MILLION // elapsed_ms, MILLION)


def _learn(evidence: Evidence, tuning: Tuning, least_ppm: int) -> None:
    """Count how near the alert came to others. An alert that only meets itself is no evidence."""
    if least_ppm >= 0:
        evidence.add(least_ppm, tuning.chance_ppm)


def _candidate(state: NearState, asked: _Asked, last_ms: int, join: Join) -> _Candidate:
    theirs = state.groups[join.group].labels
    common = sum(digest in theirs for digest in asked.alert.shared.labels)
    return _Candidate(common, last_ms, -join.group, join._replace(common_labels=common))


def _nearest(candidates: Iterable[_Candidate]) -> Join | None:
    """The best; of equals the first."""
    best = max(candidates, key=lambda candidate: candidate[:3], default=None)
    return best.join if best else None


def _leave(state: NearState, memory: AlertMemory) -> None:
    """Take the alert out of what fires, or expired, in its group."""
    group = state.groups.get(memory.group)
    if group is None:
        return
    if memory.firing is Firing.YES:
        group.firing -= 1
    elif memory.firing is Firing.EXPIRED:
        group.expired -= 1
    state.dirty[f"g/{memory.group}"] = None


def _remember(state: NearState, tuning: Tuning, asked: _Asked, number: int) -> None:
    """Count what fired. What is background is counted, but nothing joins it by place or kind."""
    alert, shown = asked.alert, not asked.alert.background_hours
    for name in alert.shared.places:
        token = state.touch_token(name)
        token.count(alert.at_ms // tuning.near_ms)
        if alert.at_ms - state.since_ms < YOUNG_SLOTS * tuning.near_ms:
            token.count_minute(alert.at_ms // MINUTE_MS)
        if shown:
            token.add_group(number, alert.at_ms)
    if alert.shared.kind:
        token = state.touch_token(alert.shared.kind)
        token.count(alert.at_ms // HOUR_MS)
        if shown:
            token.add_group(number, alert.at_ms)
    _leave(state, asked.memory)
    group = state.touch_group(number)
    group.firing += 1
    _add_news(group.severities, (alert.severity,), SEVERITIES_OF_GROUP_MAX)
    _add_news(group.labels, alert.shared.labels, LABELS_MAX)
    memory = asked.memory
    memory.last_ms, memory.group, memory.firing = alert.at_ms, number, Firing.YES


def _add_news(known: dict[_News, None], news: Iterable[_News], number_max: int) -> None:
    for item in news:
        if len(known) < number_max:
            known[item] = None
