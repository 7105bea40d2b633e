"""Waiting times of routes.

Whatever no class claims has those of `notify`; a class has those of its route, where they differ.
"""

from collections.abc import Mapping, Sequence

from app.policy.importer.notices import FindingKind, Findings
from app.policy.importer.parts import Timing
from app.policy.importer.reader import Configuration, Route, Times
from app.policy.importer.routes import RouteCase

RESOLVE_TIMEOUT_MS = 300_000  # Alertmanager's default


def waits_of(route: Route) -> dict[str, Timing]:
    """The times of a route by the policy's key, as Alertmanager carries them out.

    It looks whether to repeat at each group_interval only.
    """
    times = route.times
    waits = {
        "group_wait": times.group_wait,
        "group_interval": times.group_interval,
        "repeat_interval": repeat_ms(times),
    }
    return {key: Timing(wait_ms, times.lines.get(key, 0)) for key, wait_ms in waits.items()}


def other_waits(route: Route, usual: Mapping[str, Timing]) -> dict[str, Timing]:
    """Those of a route's times that are not the usual ones."""
    return {key: wait for key, wait in waits_of(route).items() if wait.ms != usual[key].ms}


def resolve_timeouts(configuration: Configuration, routes: Sequence[Route]) -> dict[str, Timing]:
    """For how long an alert lives without news, by source.

    What comes through the webhook is repeated at the repeat_interval, so twice the longest is
    allowed.
    """
    node = configuration.settings.get("resolve_timeout")
    longest = max(routes, key=lambda route: repeat_ms(route.times))
    return {
        "alerts": Timing(node.duration_ms(), node.line) if node else Timing(RESOLVE_TIMEOUT_MS, 0),
        "webhook": Timing(
            2 * repeat_ms(longest.times), longest.times.lines.get("repeat_interval", 0)
        ),
    }


def repeat_ms(times: Times) -> int:
    """How often Alertmanager repeats: at multiples of group_interval."""
    return -(-times.repeat_interval // times.group_interval) * times.group_interval


def report_waits(cases: Sequence[RouteCase], root: Route, findings: Findings) -> None:
    """Say where repeats are rounded, and which routes of a case have other times than it gets."""
    for route in dict.fromkeys(route for case in cases for route in case.routes):
        if repeat_ms(route.times) != route.times.repeat_interval:
            why = "Alertmanager repeats at multiples of group_interval only, so it is rounded up here, as it is there"
            findings.add(
                FindingKind.DIFFERS,
                "repeat_interval",
                route.times.lines.get("repeat_interval", route.line),
                why,
                "change repeat_interval in the policy, if less was meant",
            )
    for case in cases:
        owner = waits_of(case.routes[-1])
        for route in case.routes[:-1]:
            for key, wait in other_waits(route, owner).items():
                why = "several routes notify of the same alerts; their incident has the times of the last of them"
                findings.add(
                    FindingKind.DIFFERS,
                    key,
                    wait.line or route.line,
                    why,
                    f"change {key} of its class",
                )
    why = "Tocsin repeats only while nobody has taken the incident"
    line = root.times.lines.get("repeat_interval", 0)
    findings.add(
        FindingKind.DIFFERS, "repeat_interval", line, why, "`updates.every` reminds after that"
    )
