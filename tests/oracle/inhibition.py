"""Dependencies and inhibitions, found anew from all that a rule was ever shown: what keeps quiet at a time, and for whom.

While a root fires, its dependants keep quiet; one that fired up to `within` before it is adopted.
When the last root has ended they have `grace` to end too. An inhibited alert keeps quiet while a
source fires, whenever either began.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from models.text.duration import parse_ms
from tests.oracle.facts import Happened, urgent
from tests.oracle.policy import matches


@dataclass(frozen=True, eq=False)
class Shown:
    """A rule heard that something began or ended to fire.

    `identity` is a fingerprint, or the name of an incident.
    """

    rule: str
    group: tuple[str, ...]
    side: str  # source, target, or both
    at_ms: int
    identity: str
    firing: bool
    name: str
    component: str
    labels: Mapping[str, str]
    incident: Happened
    record: tuple[int, int]  # which time it is that it fires
    severity: str
    since_ms: int  # it fires
    in_cycle: bool  # it may be kept quiet by what it keeps quiet, directly or not
    known_of: bool  # somebody knows of it


def rules_by_name(policy: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The rules by name."""
    return {rule["name"]: rule for rule in [*policy["dependencies"], *policy["inhibit_rules"]]}


def is_dependency(rule: Mapping[str, Any]) -> bool:
    """Whether targets become members of the source's incident."""
    return "root" in rule


def sides_of(
    policy: Mapping[str, Any], labels: Mapping[str, str]
) -> Iterator[tuple[str, tuple[str, ...], str]]:
    """The rules that something with these labels takes part in, with its group and side.

    A root depends on nothing.
    """
    for name, rule in rules_by_name(policy).items():
        source, target = (matches(rule[key], labels) for key in _group_keys(rule))
        group = tuple(
            labels.get(label, "")
            for label in rule.get("by" if is_dependency(rule) else "equal", [])
        )
        if source and target:
            yield name, group, "source" if is_dependency(rule) else "both"
        elif source or target:
            yield name, group, "source" if source else "target"


def _group_keys(rule: Mapping[str, Any]) -> tuple[str, str]:
    return ("root", "dependants") if is_dependency(rule) else ("source_matchers", "target_matchers")


def inhibited_targets(
    rule: Mapping[str, Any], shown: list[Shown], now_ms: int, interval_ms: int
) -> dict[str, Shown]:
    """What keeps quiet at this time in one group of a rule, and because of which source."""
    bound: dict[str, Shown] = {}
    short_ms = min(_grace_ms(rule), interval_ms)  # the grace of what is urgent
    for at_ms, number in _change_moments(rule, shown, now_ms, short_ms):
        so_far = shown[:number]
        bound = _inhibited_at(rule, so_far, at_ms, bound, short_ms)
    return bound


def _change_moments(
    rule: Mapping[str, Any], shown: list[Shown], now_ms: int, short_ms: int
) -> list[tuple[int, int]]:
    """When something changed, and how much was shown by then.

    With each record, and when a grace ended.
    """
    moments = [(one.at_ms, number + 1) for number, one in enumerate(shown)]
    for number, one in enumerate(shown):
        for grace_ms in {short_ms, _grace_ms(rule)}:
            over_ms = one.at_ms + grace_ms
            if not one.firing and one.side != "target" and grace_ms and over_ms <= now_ms:
                # Time comes before what is heard at that time.
                moments.append(
                    (over_ms, max(number + 1, sum(other.at_ms < over_ms for other in shown)))
                )
    return sorted(moments)


def _grace_ms(rule: Mapping[str, Any]) -> int:
    return parse_ms(rule.get("grace", "0s"))


def _inhibited_at(
    rule: Mapping[str, Any],
    shown: list[Shown],
    at_ms: int,
    before: Mapping[str, Shown],
    short_ms: int,
) -> dict[str, Shown]:
    bound = {}
    for target in _firing_side(shown, "source"):
        known = before.get(target.identity)
        cause = _source_of(rule, shown, at_ms, target, short_ms)
        fresh = not is_dependency(rule) or at_ms - target.at_ms <= parse_ms(rule["within"])
        if cause is not None and (known or fresh):
            bound[target.identity] = cause
    return bound


def _firing_side(shown: list[Shown], other: str) -> list[Shown]:
    """What fires on the side that is not the other, in the order in which it began to."""
    last: dict[str, Shown] = {}
    for one in shown:
        before = last.get(one.identity)
        if before is None or before.record != one.record or before.known_of == one.known_of:
            last.pop(one.identity, None)
        last[one.identity] = one
    return [one for one in last.values() if one.firing and one.side != other]


def _source_of(
    rule: Mapping[str, Any], shown: list[Shown], at_ms: int, target: Shown, short_ms: int
) -> Shown | None:
    """The source that has fired longest, else the one that ended last while its grace lasts.

    Alike do not inhibit alike.
    """
    for source in _firing_side(shown, "target"):
        alike = target.side == source.side == "both"
        if (
            source.identity != target.identity
            and not alike
            and _is_urgent_enough(rule, source, target)
            and not (source.in_cycle and target.in_cycle and is_older(target, source))
        ):
            return source
    if _firing_side(shown, "target") or not is_dependency(rule):
        return None
    grace_ms = short_ms if urgent(target.severity) else _grace_ms(rule)
    ended = next(
        (one for one in reversed(_source_ends(shown)) if at_ms < one.at_ms + grace_ms), None
    )
    if ended is None or not _is_urgent_enough(rule, ended, target):
        return None
    both = ended.in_cycle and target.in_cycle
    return ended if not both or ended.since_ms < target.since_ms else None


def _is_urgent_enough(rule: Mapping[str, Any], source: Shown, target: Shown) -> bool:
    return not is_dependency(rule) or (
        source.severity <= target.severity and (source.known_of or not urgent(target.severity))
    )


def is_older(one: Shown, other: Shown) -> bool:
    """Whether it has fired for longer; of two that began at once, the one whose name comes first."""
    return (one.since_ms, one.identity) < (other.since_ms, other.identity)


def _source_ends(shown: list[Shown]) -> list[Shown]:
    """When sources that fired ended. One that ended is sometimes said to have ended again."""
    fired: dict[str, bool] = {}
    ends = []
    for one in shown:
        if one.side == "source":
            if not one.firing and fired.get(one.identity):
                ends.append(one)
            fired[one.identity] = one.firing
    return ends


def wait_of(policy: Mapping[str, Any], labels: Mapping[str, str]) -> int:
    """How long the first message about something with these labels waits to see what it depends on."""
    names = [name for name, _, side in sides_of(policy, labels) if side != "source"]
    return max((_wait_ms(rules_by_name(policy)[name]) for name in names), default=0)


def _wait_ms(rule: Mapping[str, Any]) -> int:
    return parse_ms(rule.get("correlation_wait", "0s") if is_dependency(rule) else "1s")
