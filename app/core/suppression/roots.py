"""Which source explains a target: as urgent as it, known to somebody, and of several the one that has fired longest."""

from app.core.rules.inhibition_rule import InhibitionRule
from app.core.state.members import InhibitionGroup, Member
from app.core.state.turn import Turn


def urgent_grace_ms(turn: Turn, rule: InhibitionRule) -> int:
    """How long an urgent target may outlive its source: what is over explains it only until it has to be named."""
    return min(rule.grace_ms, turn.rules.policy.notify.group_interval)


def source_of(
    turn: Turn, rule: InhibitionRule, inhibition_group: InhibitionGroup, identity: str
) -> Member | None:
    """The source that explains a target: of those that may, the one that has fired longest.

    Not itself, nor, where both are source and target, one of its like.
    """
    both, target = identity in inhibition_group.sources, inhibition_group.targets[identity].member
    for name, source in inhibition_group.sources.items():
        alike = both and name in inhibition_group.targets
        if name != identity and not alike and _may_hide(rule, name, source, identity, target):
            return source
    last = inhibition_group.last
    if last is None or not _may_explain(rule, last, target):
        return None
    over_ms = inhibition_group.ended_ms + urgent_grace_ms(turn, rule)
    if target.severity.is_urgent and turn.now_ms >= over_ms:
        return None
    in_cycle = last.in_cycle and target.in_cycle
    return None if in_cycle and last.fired_ms >= target.fired_ms else last


def _may_hide(
    rule: InhibitionRule, name: str, source: Member, identity: str, target: Member
) -> bool:
    """Whether a source may keep a target quiet.

    In a cycle of rules only what has fired longer may: so what has fired longest is notified.
    """
    return in_order(name, source, identity, target) and _may_explain(rule, source, target)


def in_order(name: str, source: Member, identity: str, target: Member) -> bool:
    """Whether a source may keep a target quiet although they may be each other's cause."""
    in_cycle = source.in_cycle and target.in_cycle
    return not in_cycle or (source.fired_ms, name) < (target.fired_ms, identity)


def _may_explain(rule: InhibitionRule, source: Member, target: Member) -> bool:
    """Whether a source may explain a target. An inhibition is its author's choice.

    A root has to be as urgent as what it explains; and of the root of a P0 or P1 somebody knows.
    """
    return not rule.membership or explains(source, target)


def explains(source: Member, target: Member) -> bool:
    """Whether a source is as urgent as its target; and of the cause of a P0 or P1 somebody knows."""
    known_of = source.known_of or not target.severity.is_urgent
    return source.severity <= target.severity and known_of
