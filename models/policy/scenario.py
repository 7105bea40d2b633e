"""The scenarios of `tocsin policy test`: what happens on virtual time, and what has to come of it.

`docs/POLICY_TESTS.md` explains the format with examples. What is expected is partial: of an
incident, an escalation or a message only the keys that are given count.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any, Generic, Literal, Self, TypeVar

from pydantic import BeforeValidator, Field, GetJsonSchemaHandler, WithJsonSchema, model_validator
from pydantic.config import JsonDict
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from models.command import Command, Verdict
from models.incident import State
from models.policy.policy import Channel
from models.policy.types import (
    DURATION_SCHEMA,
    DurationMs,
    LabelMatcher,
    Part,
    Problem,
    refuse_problems,
)
from models.severity import Severity
from models.text.duration import parse_ms, write_ms
from models.text.pattern import compile_pattern

DAYS_MAX = 400  # that a scenario lasts
STEPS_MAX = 1000  # of a scenario, and alerts in one of them
SCENARIOS_MAX = 1000  # in a file
ITEMS_MAX = 200  # that one list expects
NOON = datetime.fromisoformat(
    "2026-01-07T12:00:00+00:00"
)  # a Wednesday; when a scenario begins that does not say

Item = TypeVar("Item")


def _start(value: Any) -> Any:
    start = value
    if isinstance(value, str):
        try:
            start = datetime.fromisoformat(value)
        except ValueError:
            start = None
    if not isinstance(start, datetime):
        raise ValueError(f"is {value!r:.60}, must be a time such as 2026-01-07T09:00:00+01:00")  # noqa: TRY004  pydantic's
    if start.tzinfo is None:
        raise ValueError(f"is {str(value)!r:.60}, must say its zone, such as Z or +01:00")
    return start


def _reference(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | str) or value in (0, ""):
        raise ValueError(
            f"is {value!r:.60}, must be an incident: 1 for the first that opened, or its component or title"
        )
    return value


class TextExpectation(Part):
    """A text.

    Exactly `is`, or one that `contains` something or that a regular expression `matches` as a
    whole.
    """

    exactly: str | None = Field(default=None, alias="is")
    contains: str | None = None
    matches: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: object) -> object:
        return {"is": value} if isinstance(value, str) else value

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """A text is what it has to be."""
        return {"anyOf": [{"type": "string"}, handler(core_schema)]}

    @model_validator(mode="after")
    def _one_of(self) -> Self:
        if len(self.model_fields_set) != 1:
            raise ValueError(
                "has to be a text, or to have one of `contains: TEXT` and `matches: REGEX`"
            )
        if self.matches is not None:
            compile_pattern(self.matches)
        return self

    def fits(self, text: str) -> bool:
        """Whether a text is as it has to be."""
        if self.matches is not None:
            return compile_pattern(self.matches)(text)
        return self.contains in text if self.contains is not None else text == self.exactly

    def __str__(self) -> str:
        if self.matches is not None:
            return f"what matches {self.matches!r}"
        return f"...{self.contains}..." if self.contains is not None else str(self.exactly)


class TimeExpectation(Part):
    """A time since the scenario's start.

    One, or a range from the first to the last, both included.
    """

    first: DurationMs
    last: DurationMs

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: object) -> object:
        ends = value if isinstance(value, list) else [value, value]
        if len(ends) != 2 or not all(isinstance(end, str) or end == 0 for end in ends):
            raise ValueError(
                f"is {value!r:.60}, must be a time since the start such as 2m30s, or a range [2m, 5m]"
            )
        return {"first": ends[0], "last": ends[1]}

    @classmethod
    def __get_pydantic_json_schema__(
        cls, _: CoreSchema, __: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """A duration, or two of them."""
        return {
            "anyOf": [
                DURATION_SCHEMA,
                {"type": "array", "items": DURATION_SCHEMA, "minItems": 2, "maxItems": 2},
            ]
        }

    def fits(self, at_ms: int) -> bool:
        """Whether a time, in milliseconds since the start, is in it."""
        return self.first <= at_ms <= self.last

    def __str__(self) -> str:
        first, last = write_ms(self.first), write_ms(self.last)
        return first if first == last else f"{first} to {last}"


Reference = Annotated[int | str, BeforeValidator(_reference)]
Labels = dict[str, str]


def _list(value: Any) -> Any:
    return [value] if isinstance(value, dict) else value


_LABELS_SCHEMA: JsonDict = {"type": "object", "additionalProperties": {"type": "string"}}
SomeLabels = Annotated[
    list[Labels],
    BeforeValidator(_list),
    Field(min_length=1, max_length=STEPS_MAX),
    WithJsonSchema(
        {"anyOf": [_LABELS_SCHEMA, {"type": "array", "items": _LABELS_SCHEMA, "minItems": 1}]}
    ),
]


class Step(Part):
    """What happens at a time since the start.

    Alerts, one command, a silence, or nothing but that time has passed.
    """

    at: DurationMs
    fire: SomeLabels | None = None
    end: SomeLabels | None = None
    summary: str = ""  # of what fires
    # For so long it counts as firing if it is not fired again; until its end if not given.
    ttl: DurationMs | None = None
    silence: list[LabelMatcher] | None = Field(default=None, min_length=1)
    lasts: DurationMs = Field(default=3_600_000, alias="for")
    acknowledge: Reference | None = Field(default=None, alias="ack")
    assign: Reference | None = None
    assess: Reference | None = None
    note: Reference | None = None
    root_cause: Reference | None = Field(default=None, alias="root-cause")
    mitigate: Reference | None = None
    update: Reference | None = None
    complaint: Reference | None = None
    escalate: Reference | None = None
    resolve: Reference | None = None
    reopen: Reference | None = None
    close: Reference | None = None
    merge: Reference | None = None
    split: Reference | None = None
    done: Reference | None = None
    by: str = Field(default="ann", min_length=1)
    text: str | None = None
    to: str | None = None
    team: str | None = None
    verdict: Verdict | None = None
    scope: str | None = None
    eta: str | None = None
    number: int | None = None
    step: int | None = None
    task: str | None = None
    into: Reference | None = None  # of `merge`: the incident of which it becomes a part
    expect: "Expect | None" = None  # of all until then

    @property
    def command(self) -> Command | None:
        """The command that is given, if one is."""
        return next((command for command in Command if self.reference(command) is not None), None)

    def reference(self, command: Command) -> Reference | None:
        """The incident or task that a command is for; None if it is not given."""
        reference: Reference | None = getattr(self, command.replace("-", "_"))
        return reference

    @model_validator(mode="after")
    def _one_thing(self) -> Self:
        commands = [command for command in Command if self.reference(command) is not None]
        if (
            len(commands)
            + (self.silence is not None)
            + (self.fire is not None or self.end is not None)
            > 1
        ):
            raise ValueError(
                "does several things, has to do one: use one step for each, with the same `at`"
            )
        details = {
            "text",
            "to",
            "team",
            "verdict",
            "scope",
            "eta",
            "number",
            "step",
            "task",
            "into",
        } & self.model_fields_set
        if details - ({"text"} if self.silence is not None else set()) and not commands:
            raise ValueError(
                f"has {', '.join(sorted(details))} without a command, such as `ack: 1` or `update: 1`"
            )
        return self


class Expected(Part):
    """Something that has to be found: what is given of it counts."""

    def given(self) -> dict[str, Any]:
        """The keys that count, and what they have to be."""
        names = type(self).model_fields
        return {
            names[name].alias or name: getattr(self, name)
            for name in names
            if name in self.model_fields_set
        }


class ExpectedIncident(Expected):
    """An incident as it is at the end, or when a step asks."""

    prefix: str = ""  # of its id: INC, SEC
    component: TextExpectation | None = None
    scope: TextExpectation | None = None
    title: TextExpectation | None = None
    severity: Severity | None = None
    owner: str | None = None
    incident_class: str | None = Field(default=None, alias="class")
    state: State | None = None
    opened: TimeExpectation | None = None
    notified: TimeExpectation | None = None  # null: nobody was told
    acknowledged: TimeExpectation | None = None
    mitigated: TimeExpectation | None = None
    resolved: TimeExpectation | None = None
    closed: TimeExpectation | None = None
    by: str | None = None  # who has acknowledged it
    assignee: str | None = None
    step: int | None = None  # of the owner's chain
    escalated_by: list[str] | None = None  # rules, in the order in which they did
    runbook: str | None = None
    next: TextExpectation | None = None
    rule: str | None = None  # that opened it
    alerts: int | None = None
    firing: int | None = None
    members: list[str] | None = None  # their components
    suppressed: bool | None = None  # something explains it, so that it is told to nobody
    because: TextExpectation | None = None  # what explains it
    services: list[str] | None = None  # that are down
    reopened: int | None = None
    flapping: bool | None = None
    root_cause: TextExpectation | None = None


class ExpectedEscalation(Expected):
    """A step up a chain."""

    at: TimeExpectation | None = None
    incident: Reference | None = None
    rule: str | None = None
    to: TextExpectation | None = None
    step: int | None = None
    severity: Severity | None = None
    owner: str | None = None
    because: TextExpectation | None = None


class ExpectedNotification(Expected):
    """One message to one receiver through one channel."""

    at: TimeExpectation | None = None
    incident: Reference | None = None
    kind: str | None = None  # opened, escalated, resolved, ...
    channel: Channel | None = None
    to: TextExpectation | None = None
    address: TextExpectation | None = None
    severity: Severity | None = None
    owner: str | None = None
    title: TextExpectation | None = None
    text: TextExpectation | None = None
    next: TextExpectation | None = None


class ExpectedEntry(Expected):
    """An entry of an incident's timeline."""

    at: TimeExpectation | None = None
    incident: Reference | None = None
    kind: str | None = None  # Opened, ClockBreached, Held, ...
    text: TextExpectation | None = None
    by: str | None = None


class ExpectedTask(Expected):
    """A follow-up task as it is at the end."""

    incident: Reference | None = None
    task: str | None = None  # its name in the policy
    title: TextExpectation | None = None
    state: str | None = None
    owner: str | None = None
    due: TimeExpectation | None = None


class ExpectedRefusal(Expected):
    """What was refused."""

    at: TimeExpectation | None = None
    reason: str | None = None
    message: TextExpectation | None = None


class Group(Part, Generic[Item]):
    """A list is all that there is, in order.

    Else: what there is among others, what there is not, how many there are.
    """

    exactly: list[Item] | None = Field(default=None, alias="all", max_length=ITEMS_MAX)
    contains: list[Item] = Field(default=[], max_length=ITEMS_MAX)
    lacks: list[Item] = Field(default=[], max_length=ITEMS_MAX)
    count: int | None = Field(default=None, ge=0)
    none: Literal[True] | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_list(cls, value: object) -> object:
        return {"all": value} if isinstance(value, list) else value

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """A list is all that there is."""
        whole = handler.resolve_ref_schema(handler(core_schema))
        return {"anyOf": [whole["properties"]["all"]["anyOf"][0], whole]}

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.model_fields_set:
            raise ValueError(
                "says nothing, has to be a list, or to have contains, lacks, count or `none: true`"
            )
        return self


class Expect(Part):
    """What has to come of it. What is not named may be anything."""

    incidents: Group[ExpectedIncident] | None = None
    escalations: Group[ExpectedEscalation] | None = None
    notifications: Group[ExpectedNotification] | None = None
    timeline: Group[ExpectedEntry] | None = None
    tasks: Group[ExpectedTask] | None = None
    refused: Group[ExpectedRefusal] | None = None
    pages: int | None = Field(default=None, ge=0)  # messages by pager

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.model_fields_set:
            raise ValueError(
                "says nothing, has to have one of incidents, escalations, notifications, pages, ..."
            )
        return self


class Scenario(Part):
    """One test."""

    name: str = Field(min_length=1, max_length=200)
    start: Annotated[datetime, BeforeValidator(_start)] = NOON
    do: list[Step] = Field(min_length=1, max_length=STEPS_MAX)
    expect: Expect | None = None


class Scenarios(Part):
    """A file of tests."""

    policy: str = ""  # the file that is tested, from this file's folder; the one that ships with Tocsin if not given
    tests: list[Scenario] = Field(min_length=1, max_length=SCENARIOS_MAX)

    @model_validator(mode="after")
    def _can_be_played(self) -> Self:
        refuse_problems("Scenarios", list(_problems(self)))
        return self


def _problems(file: Scenarios) -> Iterator[Problem]:
    names: dict[str, int] = {}
    longest_ms = parse_ms(f"{DAYS_MAX}d")
    for number, scenario in enumerate(file.tests):
        if names.setdefault(scenario.name, number) != number:
            yield (
                ("tests", number, "name"),
                f"is {scenario.name!r:.60}, must be unique, and another one is called so",
            )
        if scenario.expect is None and all(step.expect is None for step in scenario.do):
            yield ("tests", number), "expects nothing, has to have `expect`"
        before_ms = 0
        for index, step in enumerate(scenario.do):
            if step.at < before_ms:
                message = f"is {write_ms(step.at)}, must not be before the step above, {write_ms(before_ms)}"
                yield ("tests", number, "do", index, "at"), message
            elif step.at > longest_ms:
                yield (
                    ("tests", number, "do", index, "at"),
                    f"is {write_ms(step.at)}, must be at most {DAYS_MAX}d",
                )
            before_ms = max(before_ms, step.at)
