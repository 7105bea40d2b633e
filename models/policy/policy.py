"""The policy: every decision that an organisation makes for itself, as validated data.

`docs/POLICY.md` explains each key with an example. The models forbid unknown keys, so that a typing
mistake is an error and not a rule that silently does nothing. What the engine uses is the compiled
form (`app.core.rules.compiled_policy`).
"""

import re
from collections.abc import Iterator
from typing import Annotated, Literal, Self

from pydantic import Field, GetJsonSchemaHandler, field_validator, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from models.policy.nearness import Nearness
from models.policy.rules import (
    Correlation,
    Dependency,
    Escalation,
    Flapping,
    Heartbeat,
    InhibitRule,
)
from models.policy.time_interval import TimeInterval
from models.policy.types import (
    Components,
    DurationBySeverity,
    DurationMs,
    ForIncidents,
    Fraction,
    Name,
    Part,
    Problem,
    Selector,
    SomeSelector,
    Where,
    refuse_problems,
)
from models.policy.webhook_mapping import WebhookMapping
from models.severity import Severity, severity_word
from models.text.shell import shell_danger
from models.text.suggest import did_you_mean

STEPS_MAX = 50  # of a runbook or a task: they stand in effects, in full
WEBHOOKS_MAX = 100
RULES_MAX = 1000  # of what an incident names by its rules
LINE_CHARACTERS_MAX = 2000
Line = Annotated[str, Field(max_length=LINE_CHARACTERS_MAX)]
Comment = Annotated[str, Field(min_length=1, max_length=200)]
Channel = Literal["pager", "email", "chat"]

# For each severity, how long an incident stays unacknowledged at the first, second, ... step before
# it climbs.
DurationBySeverityList = dict[Severity, list[DurationMs]]

PLACEHOLDER = re.compile(r"\{(alertname|component|owner|incident|labels\.[A-Za-z_][A-Za-z0-9_]*)\}")


class SeverityRule(Part):
    """Alerts that match have this severity, whatever their label says.

    The first rule that matches decides.
    """

    match: SomeSelector
    severity: Severity


class Severities(Part):
    """How an alert's severity is found.

    The rules, else the first of `labels` that is present, through `names`.
    """

    rules: list[SeverityRule] = []
    labels: list[str] = Field(min_length=1)
    names: dict[str, Severity]  # compared without case and punctuation
    # Names that say that it is over: each ends the alerts with the same labels but for the severity.
    ended: list[str] = ["ok", "clear", "cleared", "normal"]
    unknown: Severity  # a name that nobody declared; shown in the incident as found, and counted
    missing: Severity  # none of the labels


class Identity(Part):
    """Which labels do not make an alert another one: they say who sent it.

    Those of `ignore` never count; those of `ignore_if_alike` do not where a second sender's alert
    is alike in everything else.
    """

    ignore: list[str] = ["prometheus_replica", "__replica__"]
    ignore_if_alike: list[str] = ["replica"]


class Contact(Part):
    """A person, a group, or a place that can be told."""

    name: str
    email: str = ""
    chat: str = ""
    pager: str = ""
    url: str = ""  # for people: a status page, a supplier's portal


class Team(Part):
    """An owner of incidents, and the roles that are called one after the other."""

    contact: Contact
    chain: list[Name] = Field(min_length=1)  # names of `contacts`, first on call first
    hours: Name | None = None  # of `time_intervals`: when the severities of `notify.hours` are told
    escalate_after: DurationBySeverityList | None = None  # instead of the policy's


class Ownership(Part):
    """Alerts that match belong to the team. The first entry that matches decides."""

    match: SomeSelector
    team: Name


class Availability(Part):
    """A service whose share of up time is counted for each month.

    It is down while an alert that matches fires.
    """

    name: Name
    target: float = Field(gt=0, lt=100)  # per cent
    match: SomeSelector


class IncidentClass(Part):
    """A kind of incident with a life of its own.

    Alerts that match open `PREFIX-` incidents, apart from the others.
    """

    name: Name
    prefix: str = Field(pattern=r"^[A-Z]{2,8}$")
    match: SomeSelector
    severity: Severity | None = None  # every incident of this class has at least this severity
    owner: Name | None = None
    also_notify: list[Name] = []  # names of `contacts`
    # Instead of those of `notify`; a severity that is not named has those of `notify`.
    group_wait: DurationBySeverity = {}
    group_interval: DurationMs | None = Field(default=None, gt=0)
    repeat_interval: DurationBySeverity = {}
    status: str = ""  # what a report calls an incident of this class that is not resolved


class Incidents(Part):
    """The life of an incident."""

    # An urgent alert that nobody took, and that is not heard of any more, fires on for so long.
    lost_after: DurationMs = 3_600_000
    close_after: DurationMs  # quiet for so long after the last alert ended, an incident is closed; a new alert reopens it
    retain_resolved: DurationMs  # an ended alert is remembered for so long, so that its repeated resolves stay repeats


class ResolveTimeout(Part):
    """For how long an alert without an end counts as firing when it is not heard of, by its source.

    Through `alerts` (API v2, the raw topic) it expires then, as in Alertmanager. A `webhook` says
    when an alert ends: one that it does not mention for so long is lost, and not resolved.
    """

    alerts: DurationMs = Field(default=300_000, gt=0)
    webhook: DurationMs = Field(default=86_400_000, gt=0)


class Targets(Part):
    """How soon an incident of a severity has to be acknowledged and resolved.

    The clocks are never paused.
    """

    acknowledge: DurationBySeverity = {}
    resolve: DurationBySeverity = {}
    warn_at: Fraction = 0.8  # of the time, when a breach is near
    availability: list[Availability] = Field(default=[], max_length=RULES_MAX)


class Updates(Part):
    """How often something has to be said about an incident, and what happens when nothing is.

    After `reminders` reminders in a row an acknowledgement counts as forgotten, and the incident
    climbs on.
    """

    every: DurationBySeverity = {}
    reminders: int = Field(default=2, ge=1, le=100)


class Silencing(Part):
    """What a silence does besides muting.

    One whose comment begins with one of `acknowledge_comments` acknowledges the open incidents of
    which it matches one of the worst alerts that fire.
    """

    acknowledge_comments: list[Comment] = Field(default=["Investigating", "ACK!"], max_length=100)


class FollowUp(ForIncidents):
    """A task that a closed incident leaves behind, due so long after it was resolved."""

    name: Name
    due: DurationMs = Field(gt=0)
    # so long before it is due, when it is due, and then three times more
    remind: DurationMs = Field(gt=0)
    until: Literal["root_cause"] | None = None  # done by itself once the incident has this
    title: Line
    steps: list[Line] = Field(default=[], max_length=STEPS_MAX)


class Step(Part):
    """One step of a runbook: what to do in words, and the command that does it.

    Both may use {alertname}, {component}, {owner}, {incident} and {labels.NAME}. In a command the
    values are quoted for a shell, so a placeholder must stand where a shell reads words, and not in
    quotes, here-documents, arithmetic, ${...} or what a second shell runs (ssh, eval, sh -c). A
    label that an alert has not is shown as its NAME.
    """

    say: Line
    run: Line = ""

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: object) -> object:
        return {"say": value} if isinstance(value, str) else value

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """A text is a step that only says something."""
        return {
            "anyOf": [{"type": "string", "maxLength": LINE_CHARACTERS_MAX}, handler(core_schema)]
        }

    @field_validator("run")
    @classmethod
    def _is_safe(cls, run: str) -> str:
        danger = shell_danger(run, PLACEHOLDER)
        if danger:
            raise ValueError(f"is {run!r:.200}, {danger}")
        return run


class Runbook(Part):
    """What to do next.

    The runbook of an incident whose alerts match. The first that matches is used.
    """

    name: Name
    match: Selector = []
    steps: list[Step] = Field(min_length=1, max_length=STEPS_MAX)
    update_every: DurationMs | None = Field(default=None, gt=0)  # instead of `updates.every`


class Mute(Part):
    """Incidents all of whose firing alerts match are not told during these time intervals, but after them."""

    name: Name
    match: Selector = []
    severity: list[Severity] = []
    during: list[Name] = Field(min_length=1)  # of `time_intervals`


class Digest(Part):
    """Above `messages` to one receiver through one channel within `within`, the rest is one message with counts."""

    messages: int = Field(ge=1, le=10_000)
    within: DurationMs = Field(gt=0)
    # what may wait, P2 and P3; all others are told at once, each
    severity: list[Severity] = Field(min_length=1)

    @field_validator("severity")
    @classmethod
    def _check_severity(cls, severities: list[Severity]) -> list[Severity]:
        urgent = [severity for severity in severities if severity.is_urgent]
        if urgent:
            raise ValueError(f"{urgent[0]} is urgent and cannot wait, must be P2 or P3")
        return severities


class Notify(Part):
    """Who is told through which channels, and when.

    `group_wait` and its like have Alertmanager's meaning.
    """

    channels: dict[Severity, list[Channel]]
    # the chain's first is told beside the team, where its address is another
    on_call: list[Severity] = []
    # names of `contacts` that are told when an incident opens
    also_notify: dict[Severity, list[Name]] = {}
    # from an incident's opening to its first message; what is urgent and over before is named by a digest
    group_wait: DurationBySeverity = {}
    # at least so long between messages about more alerts
    group_interval: DurationMs = Field(default=300_000, gt=0)
    repeat_interval: DurationBySeverity = {}  # how often an incident is told again while nobody has taken it
    hours: list[Severity] = []  # told in the owning team's `hours` only
    mute: list[Mute] = []
    digest: Digest | None = None
    reopened: list[Channel] = ["chat"]
    acknowledged: list[Channel] = ["chat"]
    updates: list[Channel] = ["chat"]
    reminders: list[Channel] = ["chat"]
    clocks: list[Channel] = ["chat"]
    suppressed: list[Channel] = ["chat"]
    flapping: list[Channel] = ["chat"]
    tasks: list[Channel] = ["email"]


class Bounds(Part):
    """Where Tocsin refuses rather than grow. Each for one partition of the journal."""

    alerts: int = Field(default=200_000, ge=1)  # about 2 KiB of memory each
    # of all their labels and annotations, as JSON
    alert_bytes: int = Field(default=400_000_000, ge=1)
    # one component's storm must not starve the others
    alerts_in_incident: int = Field(default=10_000, ge=1)
    incidents: int = Field(default=50_000, ge=1)
    # of correlations, dependencies and inhibitions, for which something is kept
    groups: int = Field(default=50_000, ge=1)
    silences: int = Field(default=10_000, ge=1)  # also those that ended, until they are forgotten
    tasks: int = Field(default=2_000, ge=1)  # that are not done


class Policy(Part):
    """A whole policy file."""

    version: Literal[1]
    severities: Severities
    components: Components
    identity: Identity = Identity()
    contacts: dict[Name, Contact]
    teams: dict[Name, Team]
    ownership: list[Ownership] = []
    default_owner: Name
    classes: list[IncidentClass] = []
    incidents: Incidents
    resolve_timeout: ResolveTimeout = ResolveTimeout()
    flapping: Flapping | None = None
    escalate_after: DurationBySeverityList = {}
    escalations: list[Escalation] = Field(default=[], max_length=RULES_MAX)
    targets: Targets = Targets()
    updates: Updates = Updates()
    silences: Silencing = Silencing()
    followups: list[FollowUp] = Field(default=[], max_length=RULES_MAX)
    correlations: list[Correlation] = []
    nearness: list[Nearness] = []
    dependencies: list[Dependency] = []
    inhibit_rules: list[InhibitRule] = []
    heartbeats: list[Heartbeat] = []
    webhooks: dict[Name, WebhookMapping] = Field(default={}, max_length=WEBHOOKS_MAX)
    runbooks: list[Runbook] = []
    notify: Notify
    time_intervals: dict[Name, TimeInterval] = {}
    bounds: Bounds = Bounds()

    @model_validator(mode="after")
    def _names_exist(self) -> Self:
        refuse_problems(
            "Policy", [*_unknown_names(self), *_repeated_names(self), *_contradictions(self)]
        )
        return self


def _unknown_names(policy: Policy) -> Iterator[Problem]:
    declared = {
        "teams": list(policy.teams),
        "contacts": list(policy.contacts),
        "classes": [class_.name for class_ in policy.classes],
        "time_intervals": list(policy.time_intervals),
    }
    for where, kind, name in _names_used(policy):
        if name not in declared[kind]:
            known = ", ".join(declared[kind]) or "none is declared"
            yield (
                where,
                f"is {name!r}, must be one of the {kind} ({known}){did_you_mean(name, declared[kind])}",
            )


def _names_used(policy: Policy) -> Iterator[tuple[Where, str, str]]:
    """Where a name of something else stands, what it is a name of, and the name."""
    yield ("default_owner",), "teams", policy.default_owner
    for index, entry in enumerate(policy.ownership):
        yield ("ownership", index, "team"), "teams", entry.team
    for index, item in enumerate(policy.classes):
        if item.owner:
            yield ("classes", index, "owner"), "teams", item.owner
        for number, name in enumerate(item.also_notify):
            yield ("classes", index, "also_notify", number), "contacts", name
    for index, rule in enumerate(policy.correlations):
        if rule.open:
            yield ("correlations", index, "open", "owner"), "teams", rule.open.owner
    for index, absence in enumerate(policy.heartbeats):
        if absence.owner:
            yield ("heartbeats", index, "owner"), "teams", absence.owner
    for key, team in policy.teams.items():
        for number, role in enumerate(team.chain):
            yield ("teams", key, "chain", number), "contacts", role
        if team.hours:
            yield ("teams", key, "hours"), "time_intervals", team.hours
    for index, escalation in enumerate(policy.escalations):
        if escalation.incident_class:
            yield ("escalations", index, "class"), "classes", escalation.incident_class
    for index, followup in enumerate(policy.followups):
        if followup.incident_class:
            yield ("followups", index, "class"), "classes", followup.incident_class
    for severity, names in policy.notify.also_notify.items():
        for number, name in enumerate(names):
            yield ("notify", "also_notify", severity, number), "contacts", name
    for index, mute in enumerate(policy.notify.mute):
        for number, name in enumerate(mute.during):
            yield ("notify", "mute", index, "during", number), "time_intervals", name


def _repeated_names(policy: Policy) -> Iterator[Problem]:
    # The rules appear in effects as `rule`, so one name is one rule, whatever its kind.
    rules = ("escalations", "correlations", "nearness", "dependencies", "inhibit_rules")
    named: list[list[tuple[Where, str]]] = [
        [
            ((section, index), rule.name)
            for section in (*rules, "heartbeats")
            for index, rule in enumerate(getattr(policy, section))
        ],
        [(("classes", index), item.name) for index, item in enumerate(policy.classes)],
        [(("runbooks", index), runbook.name) for index, runbook in enumerate(policy.runbooks)],
        [(("followups", index), up.name) for index, up in enumerate(policy.followups)],
        [(("notify", "mute", index), mute.name) for index, mute in enumerate(policy.notify.mute)],
        [
            (("targets", "availability", index), availability.name)
            for index, availability in enumerate(policy.targets.availability)
        ],
    ]
    for names in named:
        first: dict[str, Where] = {}
        for where, name in names:
            if first.setdefault(name, where) != where:
                yield (*where, "name"), f"is {name!r}, must be unique, and another one is called so"


def _contradictions(policy: Policy) -> Iterator[Problem]:
    missing = [severity for severity in Severity if severity not in policy.notify.channels]
    if missing:
        yield ("notify", "channels"), f"says nothing for {', '.join(missing)}"
    known: dict[str, tuple[str, Severity]] = {}
    for name, severity in policy.severities.names.items():
        alike, other = known.setdefault(severity_word(name), (name, severity))
        if other is not severity:
            yield (
                ("severities", "names", name),
                f"is {severity}, and {alike!r} is {other}: case and punctuation do not count",
            )
    if policy.flapping and policy.flapping.within > policy.incidents.retain_resolved:
        yield (
            ("flapping", "within"),
            "is longer than incidents.retain_resolved, after which an alert's changes are forgotten",
        )
    for section, clock in (
        ("acknowledge", policy.targets.acknowledge),
        ("resolve", policy.targets.resolve),
    ):
        for severity, time_ms in clock.items():
            if time_ms == 0:
                yield (
                    ("targets", section, severity),
                    "is 0, must be more; leave it out where there is no target",
                )
    for severity, time_ms in policy.updates.every.items():
        if time_ms == 0:
            yield (
                ("updates", "every", severity),
                "is 0, must be more; leave it out where nothing has to be said",
            )
