"""Receivers into contacts and teams, and the intervals that teams and mute rules name."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from app.policy.importer import receivers
from app.policy.importer.notices import FindingKind, Findings
from app.policy.importer.parts import Names, Team
from app.policy.importer.reader import Configuration, Interval, Route
from app.policy.importer.receivers import Contact
from app.policy.importer.routes import RouteCase

Intervals = dict[str, tuple[int, list[tuple[int, dict[str, Any]]]]]


@dataclass(slots=True)
class People:
    """Contacts by name.

    Of each receiver the names of its contacts, its own first; teams by name.
    """

    contacts: dict[str, Contact] = field(default_factory=dict)
    of_receiver: dict[str, list[str]] = field(default_factory=dict)
    teams: dict[str, Team] = field(default_factory=dict)
    team_of: dict[tuple[str, tuple[str, ...]], str] = field(default_factory=dict)
    intervals: Intervals = field(default_factory=dict)
    interval_of: dict[tuple[str, ...], str] = field(default_factory=dict)

    def owner(self, case: RouteCase) -> str:
        """The team that a case's alerts belong to.

        The last route's receiver, in the hours of the case.
        """
        return self.team_of[case.routes[-1].receiver, active_intervals(case)]

    def besides(self, case: RouteCase) -> tuple[str, ...]:
        """The contacts that are told of a case besides its owner."""
        receivers = dict.fromkeys(route.receiver for route in (case.routes[-1], *case.routes[:-1]))
        named = [name for receiver in receivers for name in self.of_receiver[receiver]]
        return tuple(named[1:])


def people_of(
    configuration: Configuration, cases: Sequence[RouteCase], findings: Findings
) -> People:
    """The people that are told of the cases. Says what is not carried over of them."""
    people, names, team_names, interval_names = People(), Names(), Names(), Names()
    for name, interval in configuration.intervals.items():
        made = interval_names.make(name)
        people.interval_of[(name,)] = made
        people.intervals[made] = (interval.line, _interval_spans(name, interval, findings))
    used = dict.fromkeys(route.receiver for case in cases for route in case.routes)
    for receiver in used:
        contacts = receivers.receiver_contacts(
            receiver, configuration.receivers[receiver], findings
        )
        people.of_receiver[receiver] = [names.make(contact.name) for contact in contacts]
        people.contacts |= zip(people.of_receiver[receiver], contacts, strict=True)
    for case in cases:
        key = (case.routes[-1].receiver, active_intervals(case))
        if key not in people.team_of:
            contact = people.of_receiver[key[0]][0]
            during = _combined_interval(people, interval_names, key[1])
            people.team_of[key] = team_names.make(f"{contact} {during}" if during else contact)
            lines = (
                configuration.receivers[key[0]].line,
                *_interval_lines(case.routes, during=bool(during)),
            )
            people.teams[people.team_of[key]] = Team(contact, during, lines)
    for receiver, node in configuration.receivers.items():
        if receiver not in used:
            why = "no alert reaches a route that names it"
            findings.add(
                FindingKind.LEFT_OUT,
                f"receiver {receiver}",
                node.line,
                why,
                "add a contact by hand, if it is wanted",
            )
    return people


def active_intervals(case: RouteCase) -> tuple[str, ...]:
    """The active intervals of a case: what its routes agree in."""
    agreed = {tuple(dict.fromkeys(route.active)) for route in case.routes}
    return agreed.pop() if len(agreed) == 1 else ()


def _interval_lines(routes: Sequence[Route], *, during: bool) -> tuple[int, ...]:
    return tuple(route.line for route in routes) if during else ()


def _combined_interval(people: People, names: Names, active: tuple[str, ...]) -> str:
    """The interval of active times; of several, one with the alternatives of all."""
    if not active:
        return ""
    if active not in people.interval_of:
        parts = [people.intervals[people.interval_of[(name,)]] for name in active]
        made = names.make(" or ".join(active))
        people.interval_of[active] = made
        people.intervals[made] = (parts[0][0], [span for _, spans in parts for span in spans])
    return people.interval_of[active]


def _interval_spans(
    name: str, interval: Interval, findings: Findings
) -> list[tuple[int, dict[str, Any]]]:
    spans: list[tuple[int, dict[str, Any]]] = []
    for line, written in interval.spans:
        span = dict(written)
        if span.get("location") == "Local":
            why = "`Local` is wherever that Alertmanager runs, which the file does not say; UTC is put instead"
            findings.add(
                FindingKind.FILL_IN,
                f"time interval {name}",
                line,
                why,
                "a location such as Europe/Berlin",
            )
            span["location"] = "UTC"
        spans.append((line, span))
    if not spans:
        why = "it has no times, so it never comes; a policy's interval has to have some"
        findings.add(
            FindingKind.DIFFERS,
            f"time interval {name}",
            interval.line,
            why,
            "nothing; it is the year 1 here",
        )
        spans.append((interval.line, {"years": ["1"]}))
    return spans


def channels_of(people: People, cases: Sequence[RouteCase]) -> Mapping[str, None]:
    """The channels through which any of the contacts of cases is told."""
    named = (
        name
        for case in cases
        for route in case.routes
        for name in people.of_receiver[route.receiver]
    )
    return dict.fromkeys(way for name in named for way in people.contacts[name].addresses)
