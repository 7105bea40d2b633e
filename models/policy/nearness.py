"""The rule kind `nearness` of a policy: incidents that are joined although nobody wrote what depends on what."""

from typing import Annotated, Literal

from pydantic import Field

from models.policy.types import DurationMs, Name, Part, Selector

MINUTE_MS, HOUR_MS = 60_000, 3_600_000
LABELS_MAX = 20  # that say where an alert is
Percent = Annotated[int, Field(ge=1, le=99)]


class NearBackground(Part):
    """Background: an event that began in at least `hours` of the last 24, and that nobody ever resolved."""

    hours: int = Field(default=8, ge=2, le=24)


class NearPlace(Part):
    """The same component, or host in one of `labels`, or parent domain of it, at most `within` ago.

    A place that is heard of in more than `share` per cent of such spans tells nothing.
    """

    labels: list[str] = Field(
        default=["instance", "host", "hostname", "node", "pod"], max_length=LABELS_MAX
    )
    share: Percent = 50


class NearKind(Part):
    """The same alertname elsewhere, in incidents that are not over.

    It fired at most `same_severity` ago, `other_severity` with another severity, `expired` where
    all of it expired. An alertname in more than `share` per cent of all hours tells nothing.
    """

    same_severity: DurationMs = 2 * HOUR_MS
    other_severity: DurationMs = 5 * MINUTE_MS
    expired: DurationMs = HOUR_MS
    share: Percent = 10


class Nearness(Part):
    """Incidents that open near each other in time and place are joined, if that is no accident.

    It is asked when an incident opens whose alert matches and which no dependency or correlation
    may explain; the first rule that matches counts. `by` has a group for each value of these labels
    (or `component`, `owner`); an empty list is one group. A join is allowed while its probability
    by accident is at most `chance` per cent, and while at most `false_joins` per cent of all joins
    are estimated to be accidents. Each reason can be switched off with `false`.
    """

    name: Name
    match: Selector = []
    by: list[str] = []
    within: DurationMs = Field(default=15 * MINUTE_MS, ge=MINUTE_MS)
    correlation_wait: DurationMs = 2000
    chance: Percent = 20
    false_joins: Percent = 10
    again: bool = True
    background: NearBackground | Literal[False] = NearBackground()
    place: NearPlace | Literal[False] = NearPlace()
    kind: NearKind | Literal[False] = NearKind()
