"""The ways that a policy lays out.

From a severity to channels, from an alert to a team, and up its chain.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from app.core.rules.compiled_policy import CompiledPolicy
from app.policy.evaluation import text_of
from models.policy.policy import Contact
from models.severity import Severity
from models.text.duration import write_ms


@dataclass(frozen=True, slots=True)
class SeverityRoute:
    """How a severity is told."""

    severity: Severity
    channels: list[str]
    besides: list[str]  # names of contacts
    lines: list[str]  # times, for people


@dataclass(frozen=True, slots=True)
class StepRoute:
    """One step of a chain, and how long it takes to be called.

    By severity, from the step before.
    """

    name: str
    address: str
    waits: dict[str, str]


@dataclass(frozen=True, slots=True)
class TeamRoute:
    """What leads to a team, and whom it calls."""

    team: str
    name: str
    address: str
    hours: str
    leads: list[
        str
    ]  # what alerts have to match, in the order in which it is asked; the first that matches decides
    steps: list[StepRoute]


def severity_routes(rules: CompiledPolicy) -> list[SeverityRoute]:
    """From worst to mildest."""
    notify = rules.policy.notify
    routes = []
    for severity in Severity:
        besides = [
            rules.policy.contacts[name].name for name in notify.also_notify.get(severity, ())
        ]
        lines = list(_time_texts(rules, severity))
        routes.append(SeverityRoute(severity, list(notify.channels[severity]), besides, lines))
    return routes


def _time_texts(rules: CompiledPolicy, severity: Severity) -> Iterator[str]:
    notify, targets = rules.policy.notify, rules.policy.targets
    wait_ms = notify.group_wait.get(severity, 0)
    when = f"after {write_ms(wait_ms)}" if wait_ms else "at once"
    yield f"notified {when}{', in the hours of the team' if severity in notify.hours else ''}"
    repeat_ms = notify.repeat_interval.get(severity, 0)
    if repeat_ms:
        yield f"again every {write_ms(repeat_ms)}"
    if severity in targets.acknowledge:
        yield f"acknowledge within {write_ms(targets.acknowledge[severity])}"
    if severity in targets.resolve:
        yield f"resolve within {write_ms(targets.resolve[severity])}"


def team_routes(rules: CompiledPolicy) -> list[TeamRoute]:
    """In the order of the policy."""
    policy = rules.policy
    routes = []
    for name, team in policy.teams.items():
        leads = [
            f"class {class_.name}: {text_of(class_.match)}"
            for class_ in policy.classes
            if class_.owner == name
        ]
        leads += [
            f"{number}. {text_of(ownership.match)}"
            for number, ownership in enumerate(policy.ownership, start=1)
            if ownership.team == name
        ]
        leads += [
            f"rule {correlation.name}"
            for correlation in policy.correlations
            if correlation.open and correlation.open.owner == name
        ]
        leads += [
            f"rule {heartbeat.name}" for heartbeat in policy.heartbeats if heartbeat.owner == name
        ]
        leads += ["whatever else there is"] if name == policy.default_owner else []
        steps = [
            _step_route(rules, name, number, contact)
            for number, contact in enumerate(rules.chain(name))
        ]
        routes.append(
            TeamRoute(
                name,
                team.contact.name,
                _contact_address(team.contact),
                team.hours or "",
                leads,
                steps,
            )
        )
    return routes


def _step_route(rules: CompiledPolicy, team: str, number: int, contact: Contact) -> StepRoute:
    waits = {
        str(severity): write_ms(wait_ms)
        for severity in Severity
        if number and (wait_ms := rules.escalate_after_ms(team, severity, number)) is not None
    }
    return StepRoute(contact.name, _contact_address(contact), waits)


def _contact_address(contact: Contact) -> str:
    pager = f"pager {contact.pager}" if contact.pager else ""
    return ", ".join(item for item in (pager, contact.email, contact.chat) if item)
