"""A policy change removes a rule of nearness, or counts differently from now on: what it joined is on its own."""

from app.core.correlation import near_member, near_root
from app.core.rules.compiled_policy import CompiledPolicy
from app.core.rules.rule_id import have_same_form
from app.core.state.near_part import NearPart
from app.core.state.turn import Turn


def on_policy(turn: Turn, before: CompiledPolicy) -> None:
    """Forget what rules remember that are gone. What opens from now on asks those that there are."""
    now = turn.rules.nearness
    names = frozenset(
        name
        for name, rule in before.nearness.items()
        if name not in now or not have_same_form(rule.rule_id, now[name].rule_id)
    )
    for _, incident in sorted(turn.state.incidents.items()):
        near = incident.near
        asked = near is not None and near.times > incident.reopened
        if turn.rules.nearness and not asked and not incident.ended:
            near = incident.near = near or NearPart()
            near.times = incident.reopened + 1  # it opened before the rules came
            turn.state.put_incident(incident)
        near_root.drop_members(turn, incident, names)
        part = incident.near
        if part is not None and part.actor.partition("/")[0] in names:
            near_member.forget(turn, incident, part)
    for rule, group in sorted(turn.state.near.groups):
        if rule in names:
            turn.state.near.drop_group(rule, group)
