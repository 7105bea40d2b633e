"""A new policy takes over: running incidents go on under it.

Rules that are gone, or mean something else now, begin anew; what they kept quiet is told where nothing else keeps it so.
"""

from app.core import absences, deadlines, grouping, holding, linking, serving
from app.core.rulebook import Rulebook
from app.core.turn import Turn


def adopt(turn: Turn, before: Rulebook) -> None:
    """Bring the state into line with the turn's rules, which follow those of before."""
    now = turn.rules
    links = {name for name, rule in before.links.items() if not _same(rule, now.link(name))}
    links |= {name for name in now.links if name not in before.links}
    gone = frozenset(links | {name for name in before.correlations if name not in now.correlations})
    holding.drop_rules(turn, gone)
    linking.drop_rules(turn, gone)
    for name, group in sorted(turn.state.windows):
        if name in gone:
            turn.state.put_window(name, group, [])
    for _, alert in sorted(turn.state.alerts.items()):
        if alert.beat and now.absence(alert.beat) is None:
            absences.drop(turn, alert)
    for _, incident in sorted(turn.state.incidents.items()):
        serving.on_policy(turn, incident)
        grouping.on_policy(turn, incident)
    holding.on_policy(turn)
    deadlines.settle_all(turn)


def _same(rule: object, other: object) -> bool:
    return getattr(rule, "policy", None) == getattr(other, "policy", None)
