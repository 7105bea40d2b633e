"""A signal arrives at the actor of a rule: at once, or for a policy that this partition does not have yet.

A policy change reaches the partitions one after the other. Until it has reached all, components
tell an actor of rules that it does not know, or knows in another shape: it keeps what they say, and
decides when it has the rule (decision 0009).
"""

from collections.abc import Iterable
from typing import Any

from app.core.correlation import deferred_signals, near_actor, near_member, near_root, windows
from app.core.rules.rule_id import have_same_form, rule_id_from
from app.core.state.signals import change_from
from app.core.state.state import Incident
from app.core.state.turn import Turn
from app.core.suppression import inhibition, suppression
from models.journal import text_of
from models.reason import BadInput, Reason


def on_signal(turn: Turn, document: dict[str, Any]) -> None:
    """Take a signal. Raises BadInput when it is none, or when there is no room for what it says."""
    name, group, role = (text_of(document, key) for key in ("signal", "group", "role"))
    rule_id, link = rule_id_from(document), turn.rules.inhibition(name)
    if role == near_member.ROLE:
        near_actor.on_signal(turn, name, group, document)
    elif role in inhibition.SIDES:
        if link is not None and rule_id in ("", link.rule_id):
            inhibition.on_signal(turn, link, group, role, change_from(document))
        elif rule_id:  # a Tocsin that sends none does not say it again: the rule is gone
            inhibition.note_parked(turn, name, rule_id, group, role, change_from(document))
    elif link is not None and not rule_id:
        raise BadInput(
            Reason.MALFORMED, f"the role is {role!r:.40}, must be source, target or both"
        )
    else:
        _route_to_correlation(turn, name, rule_id, group, role, document)


def _route_to_correlation(
    turn: Turn, name: str, rule_id: str, group: str, role: str, document: dict[str, Any]
) -> None:
    change, steps = change_from(document), windows.steps_from(role)
    if not change.member.firing:
        deferred_signals.on_ended(turn, rule_id, group, change)
    if not change.member.firing or _is_in_force(turn, name, rule_id):
        windows.on_signal(turn, name, group, steps, change)
    else:
        deferred_signals.defer_signal(turn, rule_id, group, change, steps)


def _is_in_force(turn: Turn, name: str, rule_id: str) -> bool:
    """Whether the rule that is meant is in force here, or is one that it follows.

    What is older names none, and counts.
    """
    rule = turn.rules.correlation(name)
    if not rule_id or rule is None:
        return not rule_id
    return rule_id == rule.rule_id or (
        rule_id in turn.state.former_rule_ids and have_same_form(rule_id, rule.rule_id)
    )


def on_member(turn: Turn, document: dict[str, Any]) -> None:
    """A rule tells a root's incident of a member. Raises BadInput."""
    if document.get("near") is True:
        near_root.on_member(turn, document)
    else:
        inhibition.on_member(turn, document)


def on_suppression(turn: Turn, document: dict[str, Any]) -> None:
    """A rule, or a root, says what keeps quiet. Raises BadInput."""
    if "near" in document:
        near_member.on_answer(turn, document)
    else:
        suppression.on_suppression_message(turn, document)


def review_near(turn: Turn, changed: Iterable[Incident]) -> None:
    """At the end of a record: tell what is near of incidents that opened, ended or changed."""
    for incident in changed:
        if not incident.rule:
            near_member.review(turn, incident)
            near_root.review(turn, incident)
