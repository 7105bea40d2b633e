"""Cases of the routing tree into entries that say whose alerts are.

A case that takes all alerts of its components is an entry of `ownership`. Alertmanager groups by
route, so any other, which may take a part of a component's alerts only, notifies several receivers,
or waits otherwise than the rest, is a class: its incidents are apart from others of the component,
and nobody misses an alert because it joined an incident that others own.
"""

from collections.abc import Sequence

from app.policy.importer import label_matchers, times
from app.policy.importer.contacts import People
from app.policy.importer.parts import Names, Owner
from app.policy.importer.routes import RouteCase, join_matchers

EVERYTHING = 'alertname=~".*"'  # a label that is absent matches as the empty text


def owners_of(
    cases: Sequence[RouteCase], people: People, component: str
) -> tuple[list[Owner], str]:
    """The entries, in their order, and the default owner.

    `component` is the first of the components' labels. A case has the waits of its last route.
    """
    usual = times.waits_of(cases[-1].routes[-1])
    apart = _need_classes(cases, people, component)
    names = Names()
    owners: list[Owner] = []
    for case, is_class in zip(cases, apart, strict=True):
        team, also = people.owner(case), people.besides(case)
        if not case.matchers and not is_class:
            continue
        matchers = [label_matchers.format_matcher(matcher) for matcher in case.matchers] or [
            EVERYTHING
        ]
        name = names.make(" and ".join((team, *also))) if is_class else ""
        waits = times.other_waits(case.routes[-1], usual)
        lines = tuple(route.line for route in case.routes)
        owners.append(Owner(name, [matchers], team, also, waits, lines))
    return owners, people.owner(cases[-1])


def _need_classes(cases: Sequence[RouteCase], people: People, component: str) -> list[bool]:
    """Of each case whether it has to be a class.

    One that comes before a class that might take its alerts is one, too.
    """
    usual = times.waits_of(cases[-1].routes[-1])
    apart = [
        bool(people.besides(case) or times.other_waits(case.routes[-1], usual))
        or (bool(case.matchers) and not _is_component_only(case, component))
        for case in cases
    ]
    classes: list[RouteCase] = []
    for number in range(len(cases) - 1, -1, -1):
        case = cases[number]
        if not apart[number] and case.matchers:
            apart[number] = any(
                join_matchers(case.matchers, later.matchers) is not None for later in classes
            )
        if apart[number]:
            classes.append(case)
    return apart


def _is_component_only(case: RouteCase, component: str) -> bool:
    return all(matcher.label == component for matcher in case.matchers)
