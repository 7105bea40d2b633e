"""The rules of a policy.

What escalates, what belongs together, what keeps quiet because of something else.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from models.policy.types import DurationMs, ForIncidents, Name, Part, Selector, SomeSelector
from models.severity import Severity


class Escalation(ForIncidents):
    """An automatic escalation to the next step of the owner's chain; once for each incident.

    Exactly one of: `lasting` (an alert that matches has been firing for so long), `always` (as soon
    as one fires), `without` with `after` (the incident is so old, and nobody has named its cause,
    or said that it is mitigated), `grew` (after somebody took it, it became worse or struck more
    components), `complaints` (so many were counted), `target` (the resolve or acknowledge clock is
    near its end).
    """

    name: Name
    match: Selector = []  # for `lasting` and `always`, which are about alerts
    lasting: DurationMs | None = Field(default=None, gt=0)
    always: Literal[True] | None = None
    without: Literal["root_cause", "mitigation"] | None = None
    after: DurationMs | None = Field(default=None, gt=0)
    grew: Literal[True] | None = None
    complaints: int | None = Field(default=None, ge=1)
    target: Literal["acknowledge", "resolve"] | None = None

    @model_validator(mode="after")
    def _one_of(self) -> Self:
        kinds = ("lasting", "always", "without", "grew", "complaints", "target")
        given = [kind for kind in kinds if getattr(self, kind) is not None]
        if len(given) != 1:
            raise ValueError(
                f"has {' and '.join(given) or 'no trigger'}, has to have one of {', '.join(kinds)}"
            )
        if (self.without is None) != (self.after is None):
            raise ValueError("has to have both of `without` and `after: DURATION`, or none")
        if self.match and given[0] not in ("lasting", "always"):
            raise ValueError(
                f"has `match`, which is about alerts; `{given[0]}` is about incidents: use severity, class"
            )
        return self


class Opening(Part):
    """The incident that a correlation opens."""

    severity: Severity
    owner: Name
    title: str  # may use {count}, {group} and {within}


class Correlation(Part):
    """`count` different alerts that match, or a `sequence`, with the same values of the labels `by`, within `within`.

    A sequence is a list of selectors: an alert of the first fired, then one of the second, and so
    on.

    `by: [component]` looks at one component and may escalate its incident; any other `by` looks
    across components, has a correlation key of its own and opens an incident with the alerts as
    members, which then stop paging on their own. `by` may name labels and also `component`, `owner`
    and `severity` as Tocsin understood them; an empty list is one group for all. Alerts without one
    of the labels take no part. `correlation_wait` is for how long an alert that could become a
    member notifies nobody, to see whether it does; `always` alerts do not wait.
    """

    name: Name
    match: Selector = []
    severity: list[Severity] = []
    count: int | None = Field(default=None, ge=2, le=1000)
    sequence: list[SomeSelector] | None = Field(default=None, min_length=2, max_length=10)
    by: list[str]
    within: DurationMs = Field(gt=0)
    correlation_wait: DurationMs = 0
    escalate: bool = False
    open: Opening | None = None

    @model_validator(mode="after")
    def _one_of(self) -> Self:
        if (self.count is None) == (self.sequence is None):
            raise ValueError("has to have one of `count: NUMBER` and `sequence: [...]`")
        if (self.open is None) != (self.by == ["component"]):
            raise ValueError(
                "has to have `open`, unless `by` is [component], where the component's incident is there already"
            )
        if self.open is None and not self.escalate:
            raise ValueError("does nothing: say `escalate: true` or `open: ...`")
        return self


class Dependency(Part):
    """While an alert of `root` fires, the alerts of `dependants` are members of its incident and page nobody.

    A dependant that fired up to `within` before its root is adopted when the root fires. Dependants
    notify nobody for `correlation_wait` to see whether their root follows. When the root has ended, they have
    `grace` to end too; then they page. `by` names labels that have to be equal; an empty list is
    one group for all.
    """

    name: Name
    root: SomeSelector
    dependants: SomeSelector
    by: list[str] = []
    within: DurationMs = Field(gt=0)
    correlation_wait: DurationMs = 0
    grace: DurationMs = 0


class InhibitRule(Part):
    """While an alert of `source_matchers` fires, those of `target_matchers` with the same `equal` labels page nobody.

    Alertmanager's meaning: labels that are absent are equal to those that are empty, and an alert
    that matches both sides does not inhibit one that does too.
    """

    name: Name
    source_matchers: SomeSelector
    target_matchers: SomeSelector
    equal: list[str] = []


ExpectedLabels = Annotated[
    dict[Annotated[str, Field(min_length=1)], Annotated[str, Field(min_length=1)]],
    Field(min_length=1),
]


class Heartbeat(Part):
    """A heartbeat.

    An alert that always fires. When it is not heard of for `missing`, an incident opens. Each entry
    of `expected` has labels of one that has to be there: it is missing also if it was never heard of.
    """

    name: Name
    match: SomeSelector
    missing: DurationMs = Field(gt=0)
    severity: Severity
    owner: Name | None = None
    expected: list[ExpectedLabels] = Field(default=[], max_length=100)


class Flapping(Part):
    """An alert that began or ended `changes` times within `within` is flapping, until it is stable for `stable_after`.

    Its team is notified once that it flaps, and not of each change. The incident closes once it is stable.
    """

    changes: int = Field(ge=3, le=100)
    within: DurationMs = Field(gt=0)
    stable_after: DurationMs = Field(gt=0)
