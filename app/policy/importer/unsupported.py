"""What an import says of the parts of a configuration that a policy has no place for."""

from collections.abc import Sequence

from app.policy.importer.notices import FindingKind, Findings
from app.policy.importer.reader import Configuration, Route
from app.policy.importer.receivers import TRANSPORT, WORDING
from app.policy.importer.routes import RouteCase


def say_settings(
    configuration: Configuration, root: Route, cases: Sequence[RouteCase], findings: Findings
) -> None:
    """Say what becomes of `global`, templates and grouping, and which routes take nothing."""
    for key, node in configuration.settings.items():
        if key != "resolve_timeout":  # it is carried over
            findings.add(
                FindingKind.NOTIFIER,
                f"global.{key}",
                node.line,
                TRANSPORT,
                "configure the notifier",
            )
    for node in configuration.others:
        if node.key == "templates":
            findings.add(
                FindingKind.NOTIFIER, node.key, node.line, WORDING, "word messages in the notifier"
            )
        else:
            findings.add(
                FindingKind.LEFT_OUT,
                node.key,
                node.line,
                "it is about Alertmanager's own running",
                "Tocsin's metrics",
            )
    taking = {route for case in cases for route in case.routes}
    for route in root.all():
        if not route.routes and route not in taking:
            why = "no alert gets there: the routes before it, or above it, take or exclude all that it asks for"
            findings.add(
                FindingKind.LEFT_OUT,
                f"route to {route.receiver}",
                route.line,
                why,
                "see whether it was meant so",
            )


def say_times_apart(cases: Sequence[RouteCase], findings: Findings) -> None:
    """Say where several routes notify of the same alerts at different times.

    An incident is told to all or to nobody.
    """
    for case in cases:
        for key, of_route in (("mute_time_intervals", "mute"), ("active_time_intervals", "active")):
            if len({frozenset(getattr(route, of_route)) for route in case.routes}) > 1:
                why = "the same alerts go to several receivers at different times; Tocsin notifies all of them or nobody"
                instead = "they are told at all times here; an on-call plan in the notifier chooses by time"
                for route in case.routes:
                    if getattr(route, of_route):
                        findings.add(FindingKind.LEFT_OUT, key, route.line, why, instead)
