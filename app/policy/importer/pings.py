"""Receivers that are pinged: a route that always fires and repeats every few minutes becomes a heartbeat.

Somebody else calls when the pings stop, so that it is noticed when Prometheus or Alertmanager is
down. Under the policy Tocsin opens an incident when the alert is not received. Nobody but that
somebody else can notice that Tocsin is down.
"""

from collections.abc import Iterator, Sequence

from app.policy.importer import label_matchers, times
from app.policy.importer.nodes import Node
from app.policy.importer.notices import FindingKind, Findings
from app.policy.importer.parts import ImportedHeartbeat, Names
from app.policy.importer.reader import Configuration, Route
from app.policy.importer.routes import RouteCase

PINGED_EACH_MS = 600_000  # what is repeated less often is no ping
MISSING_MS_MIN = 300_000  # Prometheus repeats an alert each minute, and may be restarted
_MISSED = 3  # so many pings may be missed


def heartbeats_of(
    cases: Sequence[RouteCase], configuration: Configuration, owner: str, findings: Findings
) -> Iterator[ImportedHeartbeat]:
    """The heartbeats, which belong to `owner`. Says what differs from a ping."""
    names = Names()
    for case in cases:
        route = case.routes[-1]
        if not _names_alerts(case) or not _is_pinged(
            route, configuration.receivers[route.receiver]
        ):
            continue
        selector = [[label_matchers.format_matcher(matcher) for matcher in case.matchers]]
        missing_ms = max(MISSING_MS_MIN, _MISSED * times.repeat_ms(route.times))
        name = names.make(f"heartbeat {route.receiver}")
        yield ImportedHeartbeat(name, selector, missing_ms, owner, (route.line,))
        why = "its receiver is pinged, and somebody else calls when the pings stop; here Tocsin opens a P0 when the alert stops"
        instead = "keep that ping from Prometheus or another Alertmanager: Tocsin cannot tell you that it is down itself"
        findings.add(FindingKind.DIFFERS, f"route to {route.receiver}", route.line, why, instead)


def _names_alerts(case: RouteCase) -> bool:
    """Whether it takes alerts of some names only: whatever else it takes would notify nobody."""
    return any(
        matcher.label == "alertname" and label_matchers.listed_values(matcher)
        for matcher in case.matchers
    )


def _is_pinged(route: Route, receiver: Node) -> bool:
    kinds = {key for key, node in receiver.parts().items() if key not in ("name", "labels")}
    return kinds == {"webhook_configs"} and times.repeat_ms(route.times) <= PINGED_EACH_MS
