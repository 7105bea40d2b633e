"""What the keys of a policy are made of.

Durations, matchers, names, and values that differ by severity.
"""

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
)
from pydantic.config import JsonDict
from pydantic_core import InitErrorDetails, PydanticCustomError

from models.matcher import Matcher, parse_matcher
from models.severity import Severity
from models.text.duration import parse_ms

DURATION_MS_MAX = 5200 * 604_800_000  # a hundred years: a deadline has to be a date
NAME_CHARACTERS_MAX = 100
Where = tuple[str | int, ...]  # the keys and numbers that lead to a place in a policy
Problem = tuple[Where, str]
KEPT = "kept"  # in a validation's context: the document is of an older version perhaps (`app.core.rules.compiled_policy`)


def _duration(value: Any) -> Any:
    if isinstance(value, str):
        duration_ms = parse_ms(value)
        if duration_ms > DURATION_MS_MAX:
            raise ValueError(f"is {value!r:.60}, must be at most 5200w")
        return duration_ms
    if value == 0:
        return 0
    raise ValueError(f"is {value!r}, must be a duration such as 90s, 15m, 1h30m or 2d")


def _matcher(value: Any, info: ValidationInfo) -> Matcher:
    if not isinstance(value, str):
        raise ValueError(  # noqa: TRY004  pydantic collects these
            f'is {type(value).__name__}, must be a matcher such as alertname=~"Ollama.*" or team="ai"'
        )
    return parse_matcher(value, kept=bool((info.context or {}).get(KEPT)))


def _alternatives(value: Any) -> Any:
    """A list of matchers is one alternative; a list of such lists is several."""
    if isinstance(value, list) and value and not any(isinstance(item, list) for item in value):
        return [value]
    return value


def _by_severity(value: Any) -> Any:
    """One value stands for all severities."""
    return value if isinstance(value, dict) else dict.fromkeys(Severity, value)


# What editors are told (`app.policy.schema`): how these are written, rather than what they become.
DURATION_SCHEMA: JsonDict = {
    "description": "A duration: 90s, 15m, 1h30m, 2d. 0 is none.",
    "examples": ["30s", "5m", "15m", "1h30m", "2d"],
    "anyOf": [{"type": "string", "pattern": "^(0|([0-9]+(ms|s|m|h|d|w))+)$"}, {"const": 0}],
}
MATCHER_SCHEMA: JsonDict = {
    "description": "A matcher as Alertmanager has it: = is, != is not, =~ matches as a whole (RE2), !~ does not.",
    "examples": ['alertname="ServiceDown"', 'alertname=~"Ollama.*"', 'team!="ai"'],
    "type": "string",
    "pattern": r"""^\s*([A-Za-z_:][A-Za-z0-9_:.-]*|"([^"\\]|\\.)+")\s*(=~|!~|!=|=)""",
}
_MATCHERS_SCHEMA: JsonDict = {"type": "array", "items": MATCHER_SCHEMA, "minItems": 1}
SELECTOR_SCHEMA: JsonDict = {
    "description": "Matchers that have to match all, or a list of such lists, of which any one has to.",
    "anyOf": [
        {"type": "array", "items": MATCHER_SCHEMA},
        {"type": "array", "items": _MATCHERS_SCHEMA},
    ],
}
BY_SEVERITY_SCHEMA: JsonDict = {
    "description": "A duration for each severity, or one for all.",
    "anyOf": [
        DURATION_SCHEMA,
        {
            "type": "object",
            "properties": {str(severity): DURATION_SCHEMA for severity in Severity},
            "additionalProperties": False,
        },
    ],
}

DurationMs = Annotated[int, BeforeValidator(_duration), WithJsonSchema(DURATION_SCHEMA)]
LabelMatcher = Annotated[Matcher, BeforeValidator(_matcher), WithJsonSchema(MATCHER_SCHEMA)]
# Alerts that satisfy all matchers of a list, or, where there are lists of lists, of any one of the
# lists.
Selector = Annotated[
    list[Annotated[list[LabelMatcher], Field(min_length=1)]],
    BeforeValidator(_alternatives),
    WithJsonSchema(SELECTOR_SCHEMA),
]
SomeSelector = Annotated[
    Selector, Field(min_length=1), WithJsonSchema({**SELECTOR_SCHEMA, "minItems": 1})
]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$", max_length=NAME_CHARACTERS_MAX)]
# A duration for each severity, or one for all. 0 is at once; a severity that is not named has none.
DurationBySeverity = Annotated[
    dict[Severity, DurationMs], BeforeValidator(_by_severity), WithJsonSchema(BY_SEVERITY_SCHEMA)
]
Fraction = Annotated[float, Field(gt=0, lt=1)]


def refuse_problems(title: str, problems: Sequence[Problem]) -> None:
    """Raise ValidationError with what is wrong besides the types, all of it at once.

    Return if nothing is.
    """
    if problems:
        kinds = [
            PydanticCustomError("policy", "{problem}", {"problem": text}) for _, text in problems
        ]
        errors = [
            InitErrorDetails(type=kind, loc=where, input=None)
            for kind, (where, _) in zip(kinds, problems, strict=True)
        ]
        raise ValidationError.from_exception_data(title, errors)


class Part(BaseModel):
    """A part of a policy. A key that nobody knows is a typing mistake, and an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Components(Part):
    """How an alert's component and scope are found.

    The component is the first of `labels` whose value is not one of `absent`. Where `job` is named
    like one of `exporters`, nothing named so is a component. The scope has one label of each group
    of `scope`: the first whose value is not one of `absent`.
    """

    labels: list[str] = Field(min_length=1)
    absent: list[str] = []
    exporters: list[str] = []
    scope: list[Annotated[list[str], Field(min_length=1)]] = []


class ForIncidents(Part):
    """A part that is about incidents of some severities, or of a class.

    About all where it names none.
    """

    severity: list[Severity] = []
    incident_class: Name | None = Field(default=None, alias="class")

    def covers(self, severity: Severity, incident_class: str) -> bool:
        """Whether it is about incidents like this."""
        return (not self.severity or severity in self.severity) and self.incident_class in (
            None,
            incident_class,
        )
