"""An Alertmanager configuration into a policy, and what is not as it was.

Each receiver becomes a contact and a team, each case of the routing tree an entry that gives alerts
to a team: the last of the case's routes owns them, the others are told besides.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache

from app.files import policy_file
from app.policy.importer import (
    contacts,
    grouping,
    label_matchers,
    ownership,
    pings,
    routes,
    severity,
    times,
)
from app.policy.importer.contacts import People
from app.policy.importer.label_matchers import NotExpressible
from app.policy.importer.notices import FindingKind, Findings
from app.policy.importer.parts import Imported, ImportedInhibition, MuteRule, Names
from app.policy.importer.reader import Configuration, Route
from app.policy.importer.routes import RouteCase, TooManyCases
from app.policy.importer.unsupported import say_settings, say_times_apart
from models.matcher import Matcher, Operator
from models.policy.policy import Channel
from models.severity import Severity

_CHANNELS: tuple[Channel, ...] = ("pager", "email", "chat")

_shipped = cache(policy_file.load_policy)  # it takes as long as all the rest of an import


def policy_of(configuration: Configuration, findings: Findings) -> Imported:
    """The policy. What is not carried over as it is becomes a finding."""
    root = _expressible_route(configuration.route, findings)
    cases = _cases_of(root, findings)
    shipped = _shipped().policy
    severities = severity.severities_of(configuration, shipped.severities.names, findings)
    people = contacts.people_of(configuration, cases, findings)
    uncounted = [
        *severities.labels,
        *shipped.identity.ignore,
        *shipped.identity.ignore_if_alike,
    ]
    components = grouping.components_of(root, shipped.components, uncounted)
    grouping.report_grouping(root, components, uncounted, findings)
    owners, default_owner = ownership.owners_of(cases, people, components.labels[0])
    label = severities.labels[0]
    reached = {
        severity: _reachable_cases(cases, label, severities.possible_values(severity))
        for severity in Severity
    }
    times.report_waits(cases, root, findings)
    say_settings(configuration, root, cases, findings)
    say_times_apart(cases, findings)
    _say_pagers(
        _reachable_cases(cases, label, severities.names_of(Severity.P0)),
        configuration,
        people,
        findings,
    )
    channels = {
        item: contacts.channels_of(people, of_severity) for item, of_severity in reached.items()
    }
    return Imported(
        severity_labels=severities.labels,
        severities=severities.names,
        components=components,
        contacts=people.contacts,
        teams=people.teams,
        owners=owners,
        default_owner=default_owner,
        channels={
            severity: [way for way in _CHANNELS if way in channels[severity]]
            for severity in Severity
        },
        resolve_timeout=times.resolve_timeouts(configuration, list(root.all())),
        waits=times.waits_of(cases[-1].routes[-1]),
        heartbeats=list(pings.heartbeats_of(cases, configuration, default_owner, findings)),
        mutes=list(_mute_rules(cases, people, findings)),
        inhibitions=list(_translate_inhibitions(configuration, findings)),
        intervals=people.intervals,
    )


def _expressible_route(route: Route, findings: Findings) -> Route:
    """The tree without the routes whose matchers a policy cannot have."""
    below = []
    for item in route.routes:
        try:
            for matcher in item.matchers:
                label_matchers.format_matcher(matcher)
        except NotExpressible as error:
            instead = "other matchers; until then its alerts are taken by the routes behind it"
            findings.add(
                FindingKind.LEFT_OUT,
                f"route to {item.receiver}, and all below it",
                item.line,
                str(error),
                instead,
            )
        else:
            below.append(_expressible_route(item, findings))
    return replace(route, routes=tuple(below))


def _cases_of(root: Route, findings: Findings) -> list[RouteCase]:
    try:
        return routes.route_cases(root)
    except TooManyCases:
        for route in root.all():
            if route.goes_on:
                why = f"routes with it make more than {routes.CASES_MAX} combinations"
                instead = "its alerts go to its own receiver only; tell others by `also_notify`"
                findings.add(FindingKind.LEFT_OUT, "continue", route.line, why, instead)
        return routes.route_cases(root, go_on=False)


def _reachable_cases(
    cases: Sequence[RouteCase], label: str, values: Sequence[str]
) -> list[RouteCase]:
    """The cases that an alert can be of whose label has one of these values."""
    reached: dict[RouteCase, None] = {}
    for value in values:
        given = (Matcher(label, Operator.EQUAL, value),)
        for case in cases:
            if routes.join_matchers(case.matchers, given) is not None:
                reached[case] = None
            if all(routes.is_implied(matcher, given) for matcher in case.matchers):
                break  # it takes all alerts with this value
    return [case for case in cases if case in reached]


def _say_pagers(
    cases: Sequence[RouteCase], configuration: Configuration, people: People, findings: Findings
) -> None:
    """Say whose worst alerts wake nobody. `cases` are those that they can be of."""
    for case in cases:
        if "pager" not in contacts.channels_of(people, [case]):
            receiver = case.routes[-1].receiver
            why = "its P0 incidents wake nobody, here as there: nobody who is told of them has a pager"
            line = configuration.receivers[receiver].line
            findings.add(
                FindingKind.FILL_IN,
                f"receiver {receiver}",
                line,
                why,
                "a pager in its contact, if that is not meant",
            )


def _mute_rules(
    cases: Sequence[RouteCase], people: People, findings: Findings
) -> Iterator[MuteRule]:
    names = Names()
    for number, case in enumerate(cases):
        during = tuple(dict.fromkeys(case.routes[0].mute))
        if not during or any(set(route.mute) != set(during) for route in case.routes):
            continue
        alternatives = routes.exclude_cases(case, cases[:number])
        if alternatives is None:
            why = f"what it takes and no route before it does is more than {routes.ALTERNATIVES_MAX} alternatives"
            findings.add(
                FindingKind.LEFT_OUT,
                "mute_time_intervals",
                case.routes[0].line,
                why,
                "an entry of notify.mute by hand",
            )
        elif alternatives:
            selector = [
                [label_matchers.format_matcher(matcher) for matcher in matchers]
                for matchers in alternatives
            ]
            name = names.make(f"{people.owner(case)} {' '.join(during)}")
            intervals = tuple(people.interval_of[(item,)] for item in during)
            yield MuteRule(
                name,
                [] if [] in selector else selector,
                intervals,
                tuple(route.line for route in case.routes),
            )


def _translate_inhibitions(
    configuration: Configuration, findings: Findings
) -> Iterator[ImportedInhibition]:
    for number, rule in enumerate(configuration.inhibitions, 1):
        try:
            source, target = _format_matchers(rule.source), _format_matchers(rule.target)
        except NotExpressible as error:
            findings.add(
                FindingKind.LEFT_OUT,
                "inhibit_rules",
                rule.line,
                str(error),
                "a rule with other matchers",
            )
            continue
        yield ImportedInhibition(f"inhibit-{number}", source, target, rule.equal, rule.line)
        why = "an incident keeps quiet only while all that fires in it is inhibited"
        findings.add(
            FindingKind.DIFFERS,
            "inhibit_rules",
            rule.line,
            why,
            "nothing; what is not inhibited is told there, too",
        )


def _format_matchers(matchers: Sequence[Matcher]) -> list[str]:
    return [label_matchers.format_matcher(matcher) for matcher in matchers] or [
        ownership.EVERYTHING
    ]
