"""What a policy may say and probably does not mean.

Each doubt is certain to be true; whether it matters, its author knows.
"""

from collections.abc import Iterator, Sequence

from app.core.rules.overlap import Alternatives as Selector
from app.core.rules.overlap import overlaps
from app.core.rules.suppression_graph import SuppressionGraph
from app.policy.subsumption import Alternatives, never_first
from models.matcher import Matcher, Operator, test_of
from models.policy.policy import Channel, Contact, Policy, Team
from models.policy.types import Problem, Where
from models.severity import Severity


def lint_policy(policy: Policy) -> list[Problem]:
    """Where, and what is doubtful."""
    return [
        *_unreachable_entries(policy),
        *_unused_contacts(policy),
        *_unheard_notifications(policy),
        *_unpaged_severities(policy),
        *_unused_intervals(policy),
        *_doubtful_escalations(policy),
        *_equal_without_a_value(policy),
        *_cycles(policy),
        *_hides_urgent(policy),
    ]


def _unreachable_entries(policy: Policy) -> Iterator[Problem]:
    """Entries of lists whose first match decides, where another one takes all that they match."""
    lists: list[tuple[Where, Sequence[Alternatives]]] = [
        (("severities", "rules"), [rule.match for rule in policy.severities.rules]),
        (("ownership",), [ownership.match for ownership in policy.ownership]),
        (("classes",), [class_.match for class_ in policy.classes]),
        (("runbooks",), [runbook.match for runbook in policy.runbooks]),
        (("heartbeats",), [heartbeat.match for heartbeat in policy.heartbeats]),
    ]
    for where, selectors in lists:
        name = ".".join(map(str, where))
        for number, first in never_first(selectors):
            yield (
                (*where, number),
                f"never decides: {name}[{first}] comes first, and matches all that it matches",
            )


def _unused_contacts(policy: Policy) -> Iterator[Problem]:
    used = {name for team in policy.teams.values() for name in team.chain}
    used |= {name for names in policy.notify.also_notify.values() for name in names}
    used |= {name for class_ in policy.classes for name in class_.also_notify}
    for name, contact in policy.contacts.items():
        # What has an e-mail address or a URL only is for people to look up.
        if name not in used and (contact.pager or contact.chat):
            yield ("contacts", name), "is told of nothing: no chain and no also_notify names it"


def _unheard_notifications(policy: Policy) -> Iterator[Problem]:
    for name, team in policy.teams.items():
        for severity, channels in policy.notify.channels.items():
            if channels and not any(
                _reaches_team(policy, team, severity, channel) for channel in channels
            ):
                warning = f"is told of no {severity}: it has no address for {', '.join(channels)}"
                yield ("teams", name, "contact"), warning


def _reaches_team(policy: Policy, team: Team, severity: Severity, channel: Channel) -> bool:
    """Whether a message of a severity through a channel reaches anybody of a team (`app.core.notification.recipients`)."""
    first = policy.contacts[team.chain[0]]
    if channel == "pager":
        return bool(first.pager)
    return bool(_contact_address(team.contact, channel)) or (
        severity in policy.notify.on_call and bool(_contact_address(first, channel))
    )


def _contact_address(contact: Contact, channel: Channel) -> str:
    return contact.email if channel == "email" else contact.chat


def _unpaged_severities(policy: Policy) -> Iterator[Problem]:
    paged = [severity for severity in Severity if "pager" in policy.notify.channels[severity]]
    if not paged:
        return
    for name, team in policy.teams.items():
        for number, role in enumerate(team.chain):
            if not policy.contacts[role].pager:
                yield (
                    ("teams", name, "chain", number),
                    f"{role!r} has no pager, and {', '.join(paged)} goes by pager",
                )


def _unused_intervals(policy: Policy) -> Iterator[Problem]:
    used = {name for mute in policy.notify.mute for name in mute.during}
    used |= {team.hours for team in policy.teams.values() if team.hours}
    for name in policy.time_intervals:
        if name not in used:
            yield ("time_intervals", name), "is used by no team's hours and no mute rule"
    if not policy.notify.hours:
        for name, team in policy.teams.items():
            if team.hours:
                yield ("teams", name, "hours"), "counts for nothing: notify.hours names no severity"


def _doubtful_escalations(policy: Policy) -> Iterator[Problem]:
    steps = max(
        (len(team.chain) for team in policy.teams.values() if team.escalate_after is None),
        default=None,
    )
    if steps is not None:
        for severity, waits in policy.escalate_after.items():
            if len(waits) >= steps:
                yield (
                    ("escalate_after", severity, steps - 1),
                    f"is never waited for: the longest chain has {steps} steps",
                )
    for name, team in policy.teams.items():
        for severity, waits in (team.escalate_after or {}).items():
            if len(waits) >= len(team.chain):
                where = ("teams", name, "escalate_after", severity, len(team.chain) - 1)
                yield where, f"is never waited for: the chain has {len(team.chain)} steps"


def _equal_without_a_value(policy: Policy) -> Iterator[Problem]:
    """Labels that have to be equal, and that neither side has to have: two absent ones are equal."""
    sides: list[tuple[Where, Sequence[str], Alternatives, Alternatives]] = [
        (("inhibit_rules", number, "equal"), rule.equal, rule.source_matchers, rule.target_matchers)
        for number, rule in enumerate(policy.inhibit_rules)
    ]
    sides += [
        (("dependencies", number, "by"), rule.by, rule.root, rule.dependants)
        for number, rule in enumerate(policy.dependencies)
    ]
    for where, labels, source, target in sides:
        for number, label in enumerate(labels):
            if not _requires(source, label) and not _requires(target, label):
                why = "which neither side requires: what lacks it on both sides is equal"
                yield (*where, number), f'is {label!r}, {why}. Add {label}=~".+" to one of them'


def _requires(selector: Alternatives, label: str) -> bool:
    """Whether whatever a selector matches has the label."""
    return all(
        any(matcher.label == label and not test_of([[matcher]])({}) for matcher in matchers)
        for matchers in selector
    )


def _cycles(policy: Policy) -> Iterator[Problem]:
    """Rules by which alerts can keep each other quiet."""
    places: dict[str, Where] = {}
    for section in ("dependencies", "inhibit_rules", "correlations"):
        for number, rule in enumerate(getattr(policy, section)):
            places[rule.name] = (section, number)
    for names in SuppressionGraph(policy).cycles():
        text = f"alerts can keep each other quiet by {', '.join(names)}"
        yield places[names[0]], f"{text}: then what has fired longest is notified"


def _hides_urgent(policy: Policy) -> Iterator[Problem]:
    """Inhibitions and mute rules that can hide a P0 or P1.

    What always escalates is hidden by neither, so it is left out.
    """
    urgent = _urgent(policy)
    text = "can hide a P0 or P1: nobody is notified of it while the rule applies"
    for number, rule in enumerate(policy.inhibit_rules):
        if any(overlaps(rule.target_matchers, selector) for selector in urgent):
            yield ("inhibit_rules", number), text
    for number, mute in enumerate(policy.notify.mute):
        severe = not mute.severity or Severity.P0 in mute.severity or Severity.P1 in mute.severity
        if severe and any(overlaps(mute.match, selector) for selector in urgent):
            yield ("notify", "mute", number), text


def _urgent(policy: Policy) -> list[Selector]:
    """Selectors of what may be a P0 or P1 and does not always escalate."""
    urgent = [severity for severity in Severity if severity.is_urgent]
    rules = [rule.match for rule in policy.severities.rules if rule.severity in urgent]
    rules += [class_.match for class_ in policy.classes if class_.severity in urgent]
    names = [name for name, severity in policy.severities.names.items() if severity in urgent]
    values = sorted({*names, *map(str.upper, names), *map(str.capitalize, names)})
    absent: list[Matcher] = []  # the first label that is there decides
    for label in policy.severities.labels:
        rules += [[[*absent, Matcher(label, Operator.EQUAL, value)]] for value in values]
        absent.append(Matcher(label, Operator.EQUAL, ""))
    if policy.severities.missing in urgent:
        rules.append([absent])
    always = [escalation for escalation in policy.escalations if escalation.always]
    classes = {rule.incident_class for rule in always if rule.incident_class}
    left_out = [rule.match for rule in always if rule.match]
    left_out += [class_.match for class_ in policy.classes if class_.name in classes]
    return [rule for rule in rules if rule not in left_out]
