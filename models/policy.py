"""The policy: every decision that an organisation makes for itself, as validated data.

`docs/POLICY.md` explains each key with an example. The models forbid unknown keys, so that a typing mistake is an
error and not a rule that silently does nothing. What the engine uses is the compiled form (`app.core.rulebook`).
"""

from collections import Counter
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from models.duration import parse_ms
from models.matcher import Matcher, parse_matcher
from models.severity import Severity


def _duration(value: Any) -> Any:
    if isinstance(value, str):
        return parse_ms(value)
    if value == 0:
        return 0
    raise ValueError(f"is {value!r}, must be a duration such as 90s, 15m, 1h30m or 2d")


def _matcher(value: Any) -> Any:
    return parse_matcher(value) if isinstance(value, str) else value


def _alternatives(value: Any) -> Any:
    """A list of matchers is one alternative; a list of such lists is several."""
    if isinstance(value, list) and value and not any(isinstance(item, list) for item in value):
        return [value]
    return value


DurationMs = Annotated[int, BeforeValidator(_duration)]
LabelMatcher = Annotated[Matcher, BeforeValidator(_matcher)]
# Alerts that satisfy all matchers of a list, or, where there are lists of lists, of any one of the lists.
Selector = Annotated[list[Annotated[list[LabelMatcher], Field(min_length=1)]], BeforeValidator(_alternatives)]
SomeSelector = Annotated[Selector, Field(min_length=1)]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$")]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SeverityRule(_Part):
    """Alerts that match have this severity, whatever their label says. The first rule that matches decides."""

    match: SomeSelector
    severity: Severity


class Severities(_Part):
    """How an alert's severity is found: the rules, else the first of `labels` that is present, through `names`."""

    rules: list[SeverityRule] = []
    labels: list[str] = Field(min_length=1)
    names: dict[str, Severity]
    unknown: Severity  # a name that nobody declared; shown in the incident as found, and counted
    missing: Severity  # none of the labels


class Components(_Part):
    """How an alert's component is found: the first of `labels` whose value is not one of `absent`."""

    labels: list[str] = Field(min_length=1)
    absent: list[str] = []


class Contact(_Part):
    """A person or a group that can be told."""

    name: str
    email: str = ""
    chat: str = ""
    pager: str = ""


class Team(_Part):
    """An owner of incidents, and the roles that are called one after the other."""

    contact: Contact
    chain: list[Name] = Field(min_length=1)  # names of `contacts`, first on call first


class Ownership(_Part):
    """Alerts that match belong to the team. The first entry that matches decides."""

    match: SomeSelector
    team: Name


class IncidentClass(_Part):
    """A kind of incident with a life of its own: alerts that match open `PREFIX-` incidents, apart from the others."""

    name: Name
    prefix: str = Field(pattern=r"^[A-Z]{2,8}$")
    match: SomeSelector
    severity: Severity | None = None  # every incident of this class has at least this severity
    owner: Name | None = None
    also_tell: list[Name] = []  # names of `contacts`


class Incidents(_Part):
    """The life of an incident."""

    settle: DurationMs  # quiet for so long after the last alert ended, an incident is closed; a new alert reopens it
    forget: DurationMs  # an ended alert is remembered for so long, so that its repeated resolves stay repeats


class Escalation(_Part):
    """An automatic escalation to the next step of the owner's chain; once for each incident.

    Either `lasting` (an alert that matches has been firing for so long) or `always` (as soon as one fires).
    """

    name: Name
    severity: list[Severity] = []  # empty is all
    incident_class: Name | None = Field(default=None, alias="class")
    match: Selector = []
    lasting: DurationMs | None = None
    always: Literal[True] | None = None

    @model_validator(mode="after")
    def _one_of(self) -> Self:
        if (self.lasting is None) == (self.always is None):
            raise ValueError("has to have one of `lasting: DURATION` and `always: true`")
        if self.lasting == 0:
            raise ValueError("`lasting` is 0, must be more; `always: true` is what escalates at once")
        return self


class Opening(_Part):
    """The incident that a correlation opens."""

    severity: Severity
    owner: Name
    title: str  # may use {count}, {group} and {within}


class Correlation(_Part):
    """`count` different alerts that match, with the same values of the labels `by`, fired within `within`.

    `by: [component]` looks at one component and may escalate its incident; any other `by` looks across components, has a
    correlation key of its own and opens an incident with the alerts as members. `by` may name labels and also
    `component`, `owner` and `severity` as Tocsin understood them. Alerts without one of the labels take no part.
    """

    name: Name
    match: Selector = []
    severity: list[Severity] = []
    count: int = Field(ge=2, le=1000)
    by: list[str] = Field(min_length=1)
    within: DurationMs = Field(gt=0)
    escalate: bool = False
    open: Opening | None = None

    @model_validator(mode="after")
    def _one_of(self) -> Self:
        if (self.open is None) != (self.by == ["component"]):
            raise ValueError(
                "has to have `open`, unless `by` is [component], where the component's incident is there already"
            )
        if self.open is None and not self.escalate:
            raise ValueError("does nothing: say `escalate: true` or `open: ...`")
        return self


class Guide(_Part):
    """What to do next: the response guide of an incident whose alerts match. The first that matches is used.

    `steps` may use {alertname}, {component} and {labels.NAME}; values are quoted for a shell.
    """

    name: Name
    match: Selector = []
    steps: list[str] = Field(min_length=1)


class Notify(_Part):
    """Through which channels a severity is told, and how a reopening is."""

    channels: dict[Severity, list[Literal["pager", "email", "chat"]]]
    reopened: list[Literal["pager", "email", "chat"]] = ["chat"]


class Bounds(_Part):
    """Where Tocsin refuses rather than grow. Each for one partition of the journal."""

    alerts: int = Field(default=200_000, ge=1)  # about 2 KiB of memory each
    alerts_in_incident: int = Field(default=10_000, ge=1)  # one component's storm must not starve the others
    incidents: int = Field(default=50_000, ge=1)


class Policy(_Part):
    """A whole policy file."""

    version: Literal[1]
    severities: Severities
    components: Components
    contacts: dict[Name, Contact]
    teams: dict[Name, Team]
    ownership: list[Ownership] = []
    default_owner: Name
    classes: list[IncidentClass] = []
    incidents: Incidents
    escalations: list[Escalation] = []
    correlations: list[Correlation] = []
    guides: list[Guide] = []
    notify: Notify
    bounds: Bounds = Bounds()

    @model_validator(mode="after")
    def _names_exist(self) -> Self:
        problems = list(_unknown_names(self)) + list(_repeated_names(self))
        missing = [severity for severity in Severity if severity not in self.notify.channels]
        if missing:
            problems.append(f"notify.channels: says nothing for {', '.join(missing)}")
        if problems:
            raise ValueError("; ".join(problems))
        return self


def _unknown_names(policy: Policy) -> Any:
    teams = [("default_owner", policy.default_owner)]
    teams += [(f"ownership[{index}].team", entry.team) for index, entry in enumerate(policy.ownership)]
    teams += [(f"classes[{index}].owner", one.owner) for index, one in enumerate(policy.classes) if one.owner]
    teams += [
        (f"correlations[{index}].open.owner", rule.open.owner)
        for index, rule in enumerate(policy.correlations)
        if rule.open
    ]
    for where, team in teams:
        if team not in policy.teams:
            yield f"{where}: is {team!r}, must be one of the teams ({', '.join(policy.teams)})"
    contacts = [
        (f"teams.{name}.chain[{step}]", role)
        for name, team in policy.teams.items()
        for step, role in enumerate(team.chain)
    ]
    contacts += [
        (f"classes[{index}].also_tell", name) for index, one in enumerate(policy.classes) for name in one.also_tell
    ]
    for where, contact in contacts:
        if contact not in policy.contacts:
            yield f"{where}: is {contact!r}, must be one of the contacts ({', '.join(policy.contacts)})"
    classes = [one.name for one in policy.classes]
    for index, rule in enumerate(policy.escalations):
        if rule.incident_class is not None and rule.incident_class not in classes:
            yield f"escalations[{index}].class: is {rule.incident_class!r}, must be one of the classes ({', '.join(classes)})"


def _repeated_names(policy: Policy) -> Any:
    rules = [("escalations", rule.name) for rule in policy.escalations] + [
        ("correlations", rule.name) for rule in policy.correlations
    ]
    for name, number in Counter(name for _, name in rules).items():
        if number > 1:
            yield f"escalations and correlations: the name {name!r} stands {number} times, must be unique"
    for name, number in Counter(one.name for one in policy.classes).items():
        if number > 1:
            yield f"classes: the name {name!r} stands {number} times, must be unique"
