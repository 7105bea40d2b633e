"""What a routing tree means: a list of cases, of which the first that fits an alert says by which routes it is notified.

Alertmanager hands an alert to the first route of a level that matches, and goes on to the next ones
after a route with `continue`; a route below which nothing matches notifies. So an alert is notified
by one route or by several, and a list in which the first case decides has to have a case for each
combination of routes with `continue`. Combinations that no alert can satisfy are left out; what
cannot be told is kept.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from app.policy.importer import label_matchers
from app.policy.importer.reader import Route
from models.matcher import Matcher, Operator, test_of

CASES_MAX = 2000  # routes with `continue` multiply
ALTERNATIVES_MAX = 100  # of what a case is without the ones before it

Matchers = tuple[Matcher, ...]


@dataclass(frozen=True, slots=True)
class RouteCase:
    """Alerts that satisfy all matchers, and no case before, are notified by these routes, in their order."""

    matchers: Matchers
    routes: tuple[Route, ...]


class TooManyCases(Exception):
    """Routes with `continue` make more cases than a policy should have."""


def route_cases(root: Route, *, go_on: bool = True) -> list[RouteCase]:
    """The cases of a tree.

    The last one has no matchers. Without `go_on` as if no route had `continue`. Raises
    TooManyCases.
    """
    return _reachable_cases(_RouteTree(go_on).of(root, ()))


def _reachable_cases(cases: Sequence[RouteCase]) -> list[RouteCase]:
    """The cases without those of which an earlier one takes everything."""
    kept: list[RouteCase] = []
    taken: dict[
        Matcher, list[Matchers]
    ] = {}  # the matchers of those that are kept, by their first one
    for case in cases:
        of_first = [taken.get(matcher, []) for matcher in case.matchers]
        if not any(
            set(earlier) <= set(case.matchers) for matchers in of_first for earlier in matchers
        ):
            kept.append(case)
            for first in case.matchers[:1]:
                taken.setdefault(first, []).append(case.matchers)
    return kept


@dataclass(slots=True)
class _RouteTree:
    go_on: bool
    number: int = 0

    def of(self, route: Route, given: Matchers) -> list[RouteCase]:
        matchers = join_matchers(given, route.matchers)
        if matchers is None:
            return []
        return [
            case if case.routes else RouteCase(case.matchers, (route,))
            for case in self.child_cases(route.routes, matchers)
        ]

    def child_cases(self, routes: Sequence[Route], given: Matchers) -> list[RouteCase]:
        """The cases of routes side by side.

        The last one, of what none of them takes, has no routes.
        """
        cases: list[RouteCase] = []
        for number, route in enumerate(routes):
            taken = self.of(route, given)
            if route.goes_on and self.go_on:
                taken = [
                    more
                    for case in taken
                    for more in self.combine_cases(case, routes[number + 1 :])
                ]
            cases += taken
            if all(is_implied(matcher, given) for matcher in route.matchers):
                return cases
        return [*cases, RouteCase(given, ())]

    def combine_cases(self, case: RouteCase, rest: Sequence[Route]) -> list[RouteCase]:
        """A case together with those of the routes that come after it."""
        cases = [
            RouteCase(more.matchers, (*case.routes, *more.routes))
            for more in self.child_cases(rest, case.matchers)
        ]
        self.number += len(cases)
        if self.number > CASES_MAX:
            raise TooManyCases
        return cases


def join_matchers(given: Matchers, more: Sequence[Matcher]) -> Matchers | None:
    """All matchers together, without those that others imply.

    None when no alert can satisfy them.
    """
    together = tuple(dict.fromkeys((*given, *more)))
    for label in dict.fromkeys(matcher.label for matcher in together):
        of_label = [matcher for matcher in together if matcher.label == label]
        if any(label_matchers.negate_matcher(matcher) in of_label for matcher in of_label):
            return None
        few = next(
            (
                listed
                for matcher in of_label
                if (listed := label_matchers.listed_values(matcher)) is not None
            ),
            None,
        )
        if few is not None and not any(_allow_value(of_label, label, value) for value in few):
            return None
    return tuple(
        matcher
        for matcher in together
        if not is_implied(
            matcher,
            [
                other
                for other in together
                if other is not matcher and other.operator is Operator.EQUAL
            ],
        )
    )


def is_implied(matcher: Matcher, given: Sequence[Matcher]) -> bool:
    """Whether what satisfies the given matchers satisfies this one, as far as that is plain."""
    if matcher in given:
        return True
    known = {other.label: other.value for other in given if other.operator is Operator.EQUAL}
    return matcher.label in known and _allow_value([matcher], matcher.label, known[matcher.label])


def _allow_value(matchers: Sequence[Matcher], label: str, value: str) -> bool:
    try:
        return test_of([matchers])({label: value})
    except ValueError:  # a regular expression that is too large for a policy: it may fit
        return True


def exclude_cases(case: RouteCase, before: Sequence[RouteCase]) -> list[Matchers] | None:
    """What satisfies a case and none before it, as alternatives.

    None when there are too many of them to write down.
    """
    taken = [
        item.matchers for item in before if join_matchers(case.matchers, item.matchers) is not None
    ]
    left = _minimal_alternatives(
        tuple(matcher for matcher in item if not is_implied(matcher, case.matchers))
        for item in taken
    )
    alternatives = [case.matchers]
    for matchers in left:
        opposites = [label_matchers.negate_matcher(matcher) for matcher in matchers]
        narrower = (
            join_matchers(item, [opposite]) for item in alternatives for opposite in opposites
        )
        alternatives = _minimal_alternatives(item for item in narrower if item is not None)
        if len(alternatives) > ALTERNATIVES_MAX:
            return None
    return alternatives


def _minimal_alternatives(alternatives: Iterable[Matchers]) -> list[Matchers]:
    """The alternatives without those that ask for all that another asks for, and more."""
    distinct = list(dict.fromkeys(alternatives))
    return [
        matchers
        for matchers in distinct
        if not any(set(other) < set(matchers) for other in distinct)
    ]
