"""Waiting times of routes: Tocsin has them by severity, so each severity gets those of the route that takes its alerts.

Which route that is: the one that takes an alert with no label but this severity. Where other routes
want other times, that is said.
"""

from collections.abc import Mapping, Sequence

from app.policy.importer.notices import FindingKind, Findings
from app.policy.importer.parts import Timing
from app.policy.importer.reader import Configuration, Route, Times
from app.policy.importer.routes import RouteCase
from app.policy.importer.writer import format_duration
from models.matcher import test_of
from models.severity import Severity

RESOLVE_TIMEOUT_MS = 300_000  # Alertmanager's default
_USUAL = {Severity.P0: "critical", Severity.P1: "high", Severity.P2: "warning", Severity.P3: "info"}


def routes_by_severity(
    cases: Sequence[RouteCase], label: str, names: Mapping[Severity, Sequence[str]]
) -> dict[Severity, Route]:
    """The route whose times a severity gets.

    `names` are the label's values that the file has, by severity.
    """
    return {
        severity: _case_taken(cases, {label: next(iter(names[severity]), _USUAL[severity])}).routes[
            -1
        ]
        for severity in Severity
    }


def _case_taken(cases: Sequence[RouteCase], labels: dict[str, str]) -> RouteCase:
    return next(case for case in cases if test_of([case.matchers] if case.matchers else [])(labels))


def effective_timing(route: Route, key: str) -> Timing:
    """A time of a route, as Alertmanager carries it out.

    It looks whether to repeat at each group_interval only.
    """
    times = route.times
    found = {
        "group_wait": times.group_wait,
        "group_interval": times.group_interval,
        "repeat_interval": _repeat_ms(times),
    }
    return Timing(found[key], times.lines.get(key, 0))


def resolve_timeouts(configuration: Configuration, routes: Sequence[Route]) -> dict[str, Timing]:
    """For how long an alert lives without news, by source.

    What comes through the webhook is repeated at the repeat_interval, so twice the longest is
    allowed.
    """
    node = configuration.settings.get("resolve_timeout")
    longest = max(routes, key=lambda route: _repeat_ms(route.times))
    return {
        "alerts": Timing(node.duration_ms(), node.line) if node else Timing(RESOLVE_TIMEOUT_MS, 0),
        "webhook": Timing(
            2 * _repeat_ms(longest.times), longest.times.lines.get("repeat_interval", 0)
        ),
    }


def _repeat_ms(times: Times) -> int:
    return -(-times.repeat_interval // times.group_interval) * times.group_interval


def report_differing_times(
    reached: Mapping[Severity, Sequence[RouteCase]],
    by_severity: Mapping[Severity, Route],
    root: Route,
    findings: Findings,
) -> None:
    """Say which routes have other times than they get.

    `reached` are the cases that alerts of a severity can be of.
    """
    routes = dict.fromkeys(
        route for cases in reached.values() for case in cases for route in case.routes
    )
    for key in ("group_wait", "repeat_interval"):
        got = {severity: effective_timing(route, key).ms for severity, route in by_severity.items()}
        table = ", ".join(f"{severity} {format_duration(ms)}" for severity, ms in got.items())
        why = f"Tocsin has it by severity and not by route, and this route wants another than: {table}"
        for route in routes:
            severities = [
                severity
                for severity, cases in reached.items()
                if any(route in case.routes for case in cases)
            ]
            if any(effective_timing(route, key).ms != got[severity] for severity in severities):
                line = route.times.lines.get(key, route.line)
                findings.add(FindingKind.DIFFERS, key, line, why, f"change notify.{key}")
    _say_intervals(list(routes), root, findings)


def _say_intervals(routes: Sequence[Route], root: Route, findings: Findings) -> None:
    for route in routes:
        if route.times.group_interval != root.times.group_interval:
            why = f"Tocsin has one for all, {format_duration(root.times.group_interval)}, and this route wants another"
            line = route.times.lines.get("group_interval", route.line)
            findings.add(
                FindingKind.DIFFERS, "group_interval", line, why, "change notify.group_interval"
            )
        if _repeat_ms(route.times) != route.times.repeat_interval:
            why = "Alertmanager repeats at multiples of group_interval only, so it is rounded up here, as it is there"
            line = route.times.lines.get("repeat_interval", route.line)
            findings.add(
                FindingKind.DIFFERS,
                "repeat_interval",
                line,
                why,
                "change notify.repeat_interval, if less was meant",
            )
    why = "Tocsin repeats only while nobody has taken the incident"
    line = root.times.lines.get("repeat_interval", 0)
    findings.add(
        FindingKind.DIFFERS, "repeat_interval", line, why, "`updates.every` reminds after that"
    )
