"""What a policy may say and probably does not mean.

Each doubt is certain to be true; whether it matters, its author knows.
"""

from collections.abc import Iterator, Sequence

from app.policy.subsumption import Alternatives, never_first
from models.policy import Channel, Contact, Policy, Team
from models.policy_types import Problem, Where
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
    ]


def _unreachable_entries(policy: Policy) -> Iterator[Problem]:
    """Entries of lists whose first match decides, where another one takes all that they match."""
    lists: list[tuple[Where, Sequence[Alternatives]]] = [
        (("severities", "rules"), [one.match for one in policy.severities.rules]),
        (("ownership",), [one.match for one in policy.ownership]),
        (("classes",), [one.match for one in policy.classes]),
        (("runbooks",), [one.match for one in policy.runbooks]),
        (("heartbeats",), [one.match for one in policy.heartbeats]),
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
    used |= {name for one in policy.classes for name in one.also_notify}
    for name, contact in policy.contacts.items():
        # What has an e-mail address or a URL only is for people to look up.
        if name not in used and (contact.pager or contact.chat):
            yield ("contacts", name), "is told of nothing: no chain and no also_notify names it"


def _unheard_notifications(policy: Policy) -> Iterator[Problem]:
    for name, team in policy.teams.items():
        for severity, channels in policy.notify.channels.items():
            if channels and not any(_reaches_team(policy, team, severity, one) for one in channels):
                said = f"is told of no {severity}: it has no address for {', '.join(channels)}"
                yield ("teams", name, "contact"), said


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
