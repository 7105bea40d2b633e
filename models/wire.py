"""What comes from outside, field by field: alerts as Prometheus and Alertmanager send them, and operators' requests.

Sources: Alertmanager's OpenAPI description of API v2 (postable and gettable alerts), its webhook
payload of version 4, and RFC 3339 for times. Unknown fields are ignored, since real senders add
some.

Operators' requests are pydantic models. Alerts are checked by hand, because they are the hot path:
pydantic took 4.0 us for an alert of 550 bytes, without the bounds and the paths in messages, and
this takes 2.1 us (Python 3.11, one shared core). Every check raises BadInput whose message starts
with the path of what is wrong.
"""

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from models.command import Command, Verdict
from models.matcher import Matcher, Operator, program_size, test_of
from models.reason import BadInput, Reason
from models.severity import Severity
from models.text.duration import parse_ms
from models.text.instant import NEWEST_MS
from models.text.pattern import PROGRAM_MAX, compile_pattern

# Labels and annotations live in the state of every alert that is remembered and in its checkpoints,
# so they are bounded generously for what people write into them, and far below what a journal
# record may have (16 MiB).
LABELS_MAX = 64
NAME_BYTES_MAX = 1024
LABELS_BYTES_MAX = 64 * 1024  # UTF-8, of all names and values of one alert
ANNOTATIONS_BYTES_MAX = 256 * 1024
SILENCE_ANNOTATIONS_BYTES_MAX = 16 * 1024  # of all names and texts: as much as a comment has
URL_BYTES_MAX = 16 * 1024
ANNOTATIONS_CUT_MAX = 64  # that are kept of an alert whose annotations are too large
CUT_NAME = "tocsin_cut"  # the annotation that says how many were left out
NOTE_CHARACTERS_MAX = 16 * 1024
PERSON_CHARACTERS_MAX = 256
TITLE_CHARACTERS_MAX = 200
TIME_CHARACTERS_MAX = 64
MATCHERS_MAX = 64  # of one silence: as many as an alert has labels
INVESTIGATING = (
    "Investigating - "  # PROCEDURES, "Alert Acknowledgment": whose comment says who it is
)
RECEIPTS_MAX = 10_000  # in one body

_UTF8_MAX = 4  # bytes of a character
_TIME = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d+))?([Zz]|[+-]\d\d:\d\d)?",
    re.ASCII,
)
_DURATION = re.compile(r"\d+[a-z0-9]*", re.ASCII)  # anything that is meant as one
_TASK = re.compile(r"[a-z][a-z0-9-]*")  # a name in the policy
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_OLDEST_MS = -62135596800000  # the beginning of the year 1


class _Request(BaseModel):
    """An operator's request: types are not converted, so that 7 is nobody's name."""

    model_config = ConfigDict(strict=True, extra="ignore")

    @classmethod
    def of(cls, document: Any) -> Self:
        """The request in a JSON document. Raises BadInput that names the first thing wrong."""
        try:
            return cls.model_validate(document)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(str(part) for part in first["loc"]) or "the body"
            message = "is missing" if first["type"] == "missing" else f"is {short(first['input'])}"
            raise BadInput(Reason.MALFORMED, f"{where}: {message}; {first['msg']}") from None


Person = Annotated[str, Field(max_length=PERSON_CHARACTERS_MAX)]
Text = Annotated[str, Field(max_length=NOTE_CHARACTERS_MAX)]
Said = Annotated[Text, Field(min_length=1)]


class CommandRequest(_Request):
    """The body of `POST /api/v1/incidents/ID/COMMAND`, for a command without details of its own."""

    by: Annotated[Person, Field(min_length=1)]
    text: Text = ""

    def details(self, incident: str, now_ms: int) -> dict[str, Any]:  # noqa: ARG002  commands with details need them
        """What the journal keeps beside the command's name, incident and `by`. Raises BadInput."""
        return self.model_dump(exclude={"by"}, exclude_none=True)


class WordRequest(CommandRequest):
    """`note` and `cause`: nothing but what is said."""

    text: Said


class AssignRequest(CommandRequest):
    """`assign`: to a person, to a team, or to a person of a team."""

    to: Person = ""
    team: Person = ""

    def details(self, incident: str, now_ms: int) -> dict[str, Any]:
        """As in the base; one of the two has to be named."""
        if not self.to and not self.team:
            raise BadInput(
                Reason.MALFORMED,
                "to: is missing, and so is team; must name a person, a team or both",
            )
        return super().details(incident, now_ms)


class AssessedRequest(CommandRequest):
    """`assessed`: what the alerts turned out to be, and what is struck."""

    verdict: Annotated[Verdict, Field(strict=False)]  # a text in JSON
    scope: Text = ""


class UpdateRequest(CommandRequest):
    """`update`: for those who wait. `eta` is a duration from now, or an RFC 3339 time ahead."""

    text: Said
    eta: str | None = None

    def details(self, incident: str, now_ms: int) -> dict[str, Any]:  # noqa: ARG002  as in the base
        """The text, and `eta_ms` in milliseconds since 1970 if an ETA was given."""
        eta_ms = moment_ms(self.eta, "eta", now_ms)
        if eta_ms is None:
            return {"text": self.text}
        if eta_ms <= now_ms:
            raise BadInput(
                Reason.BAD_TIME, f"eta: is {short(self.eta)}, which is past; must be ahead"
            )
        return {"text": self.text, "eta_ms": eta_ms}


class ComplaintRequest(CommandRequest):
    """`complaint`: how many customers complained since it was last said."""

    number: Annotated[int, Field(ge=1, le=1_000_000)] = 1


class EscalateRequest(CommandRequest):
    """`escalate`: to the next step of the chain, or to the one named."""

    step: Annotated[int, Field(ge=1, le=100)] | None = None


class DoneRequest(CommandRequest):
    """`done`.

    With a follow-up task, named within its incident (`review`) or in full (`INC-....review`).
    """

    task: Annotated[str, Field(max_length=PERSON_CHARACTERS_MAX)]

    def details(self, incident: str, now_ms: int) -> dict[str, Any]:
        """The text, and the task's name within its incident."""
        name = self.task.removeprefix(f"{incident}.")
        if not _TASK.fullmatch(name):
            message = f"task: is {short(self.task)}, must be a task of {incident}, such as review or {incident}.review"
            raise BadInput(Reason.UNKNOWN_TASK, message)
        return super().details(incident, now_ms) | {"task": name}


class MergeRequest(CommandRequest):
    """`merge`: the incident of which this one becomes a part."""

    into: Annotated[str, Field(max_length=PERSON_CHARACTERS_MAX)]


class OpenRequest(_Request):
    """The body of `POST /api/v1/incidents`: an incident that a person opens."""

    by: Annotated[Person, Field(min_length=1)]
    title: Annotated[str, Field(min_length=1, max_length=TITLE_CHARACTERS_MAX)]
    severity: Annotated[Severity, Field(strict=False)]  # a text in JSON
    team: Person = ""  # the policy's default team where none is named
    component: Person = ""  # what is broken; without it the incident is one of its own
    text: Text = ""


COMMAND_REQUESTS: dict[Command, type[CommandRequest]] = {
    Command.ACKNOWLEDGE: CommandRequest,
    Command.ASSIGN: AssignRequest,
    Command.ASSESS: AssessedRequest,
    Command.NOTE: WordRequest,
    Command.ROOT_CAUSE: WordRequest,
    Command.MITIGATE: CommandRequest,
    Command.UPDATE: UpdateRequest,
    Command.COMPLAINT: ComplaintRequest,
    Command.ESCALATE: EscalateRequest,
    Command.RESOLVE: CommandRequest,
    Command.REOPEN: CommandRequest,
    Command.CLOSE: CommandRequest,
    Command.MERGE: MergeRequest,
    Command.SPLIT: CommandRequest,
    Command.DONE: DoneRequest,
}


class ReceiptRequest(_Request):
    """One of the list that `POST /api/v1/receipts` takes.

    A digest is of no incident; its receipt says so with null.
    """

    notification: Annotated[str, Field(pattern=r"^[0-9]{1,19}-[0-9]{1,19}-[0-9]{1,19}$")]
    incident: Person | None
    state: Literal["delivered", "failed"]
    detail: Annotated[str, Field(max_length=1024)] = ""


class _MatcherRequest(_Request):
    name: Annotated[str, Field(min_length=1)]
    value: str
    is_regex: bool | None = Field(default=None, alias="isRegex")
    is_equal: bool | None = Field(
        default=None, alias="isEqual"
    )  # Alertmanager before 0.22 had none: it is equal

    def matcher(self, where: str) -> Matcher:
        """The matcher. Raises BadInput that begins with `where`."""
        equal = self.is_equal is not False
        if not self.is_regex:
            return Matcher(self.name, Operator.EQUAL if equal else Operator.NOT_EQUAL, self.value)
        try:
            compile_pattern(self.value)
        except ValueError as error:
            message = (
                f"{where}.value: is {short(self.value)}, must be a regular expression: {error}"
            )
            raise BadInput(Reason.MALFORMED, message) from None
        return Matcher(self.name, Operator.REGEX if equal else Operator.NOT_REGEX, self.value)


class SilenceRequest(_Request):
    """The body of `POST /api/v2/silences` and `/api/v1/silences`, as Alertmanager has it (its postable silence).

    More lenient in what may be missing, and a time may be a duration from now too.
    """

    id: Person | None = None
    matchers: Annotated[list[_MatcherRequest], Field(min_length=1, max_length=MATCHERS_MAX)]
    starts_at: str | None = Field(default=None, alias="startsAt")
    ends_at: str = Field(alias="endsAt")
    created_by: Person | None = Field(default=None, alias="createdBy")
    comment: Text | None = None
    annotations: dict[str, str | None] | None = None

    @property
    def by(self) -> str:
        """Who made it.

        `createdBy`, else whom the procedures' comment names ("Investigating - ann").
        """
        name = (self.comment or "").partition(INVESTIGATING)[2].strip()
        return self.created_by or name[:PERSON_CHARACTERS_MAX] or "somebody"

    def noted(self) -> dict[str, str]:
        """The annotations. Raises BadInput."""
        return texts_of(self.annotations, "annotations", SILENCE_ANNOTATIONS_BYTES_MAX)

    def parts(self) -> tuple[Matcher, ...]:
        """The matchers, of which one at least does not match an empty value. Raises BadInput."""
        matchers = tuple(
            request.matcher(f"matchers.{number}") for number, request in enumerate(self.matchers)
        )
        texts = [text.encode() for matcher in matchers for text in (matcher.label, matcher.value)]
        size, name_size = (
            sum(len(text) for text in texts),
            max(len(matcher.label.encode()) for matcher in matchers),
        )
        if name_size > NAME_BYTES_MAX:
            message = f"matchers: a name has {name_size} bytes, must have 1 to {NAME_BYTES_MAX}"
            raise BadInput(Reason.BAD_LABEL, message)
        if size > LABELS_BYTES_MAX:
            message = f"matchers: have {size} bytes, must have at most {LABELS_BYTES_MAX}"
            raise BadInput(Reason.TOO_LARGE, message)
        program = program_size(matchers)
        if program > PROGRAM_MAX:
            message = f"matchers: their regular expressions compile to {program} instructions, must be at most {PROGRAM_MAX}"
            raise BadInput(Reason.TOO_LARGE, f"{message} together: make several silences")
        if test_of([matchers])({}):
            message = "matchers: each matches an empty value, as an absent label has; one at least must not"
            raise BadInput(Reason.MALFORMED, message)
        return matchers


class ClockRequest(_Request):
    """The body of `PUT /clock`.

    Milliseconds since 1970, and how many times faster than real time they go on.
    """

    now_ms: Annotated[int, Field(ge=0, le=NEWEST_MS)]
    speed: Annotated[float, Field(ge=0, le=1_000_000, allow_inf_nan=False)] = 0.0


def instant_ms(value: Any, where: str) -> int | None:
    """Milliseconds since 1970 of an RFC 3339 time; None for a missing one, which Go writes as the year 1.

    Raises BadInput that begins with `where`.
    """
    if value is None or value == "":
        return None
    if not isinstance(value, str) or len(value) > TIME_CHARACTERS_MAX:
        raise BadInput(Reason.BAD_TIME, f"{where}: is {short(value)}, must be an RFC 3339 time")
    try:
        return _parse_instant(value)
    except ValueError as error:
        raise BadInput(Reason.BAD_TIME, f"{where}: is {short(value)}, {error}") from None


def moment_ms(value: Any, where: str, now_ms: int) -> int | None:
    """Milliseconds since 1970 of an RFC 3339 time, or of a duration from now such as 30m; None for a missing one.

    Raises BadInput that begins with `where`.
    """
    if isinstance(value, str) and len(value) <= TIME_CHARACTERS_MAX and _DURATION.fullmatch(value):
        try:
            at_ms = now_ms + parse_ms(value)
        except ValueError as error:
            raise BadInput(Reason.BAD_TIME, f"{where}: {error}, or an RFC 3339 time") from None
        if at_ms > NEWEST_MS:
            raise BadInput(
                Reason.BAD_TIME, f"{where}: is {short(value)}, must be before the year 10000 in UTC"
            )
        return at_ms
    try:
        return instant_ms(value, where)
    except BadInput as refusal:
        raise BadInput(refusal.reason, f"{refusal.message}, or a duration such as 30m") from None


@lru_cache(maxsize=8192)  # a sender repeats an alert's start for as long as it fires
def _parse_instant(text: str) -> int | None:
    match = _TIME.fullmatch(text)
    if match is None:
        raise ValueError("must be an RFC 3339 time")
    year, month, day, hour, minute, second = (int(part) for part in match.groups()[:6])
    # RFC 3339 has a second 60 for leap seconds, datetime has not.
    at = datetime(year, month, day, hour, minute, 59 if second == 60 else second, tzinfo=UTC)
    offset = match[8] or "Z"  # some senders leave the zone out, and mean UTC
    hours, minutes = (0, 0) if offset in "Zz" else (int(offset[1:3]), int(offset[4:]))
    if hours > 23 or minutes > 59:
        raise ValueError("offset must be at most 23:59")
    if year == 1:
        return None
    ahead_ms = (hours * 60 + minutes) * (-60_000 if offset[0] == "-" else 60_000)
    at_ms = (at - _EPOCH) // timedelta(milliseconds=1) - ahead_ms + int(f"{match[7] or ''}000"[:3])
    if not _OLDEST_MS <= at_ms <= NEWEST_MS:
        raise ValueError("must be before the year 10000 in UTC")
    return at_ms


def labels_of(value: Any, where: str) -> dict[str, str]:
    """An alert's labels without the empty ones and the null ones, which count as absent.

    Raises BadInput.
    """
    labels = texts_of(value, where, LABELS_BYTES_MAX)
    if "" in labels.values():
        labels = {name: text for name, text in labels.items() if text}
    if not labels:
        raise BadInput(
            Reason.NO_LABELS, f"{where}: has no label, must have at least one with a value"
        )
    if len(labels) > LABELS_MAX:
        raise BadInput(
            Reason.TOO_LARGE, f"{where}: has {len(labels)} labels, must have at most {LABELS_MAX}"
        )
    return labels


def texts_of(value: Any, where: str, bytes_max: int) -> dict[str, str]:
    """An object of texts, of a bounded size; an empty one for null. Raises BadInput.

    A null in it counts as absent.

    The object came out of `orjson.loads` or would go through `orjson.dumps`: names are texts, and
    none has a lone surrogate.
    """
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise BadInput(Reason.MALFORMED, f"{where}: is {short(value)}, must be an object of texts")
    try:
        names, texts = "".join(value), "".join(value.values())
    except TypeError:
        if None in value.values():
            texts_given = {name: text for name, text in value.items() if text is not None}
            return texts_of(texts_given, where, bytes_max)
        wrong = next(name for name, text in value.items() if not isinstance(text, str))
        raise BadInput(
            Reason.BAD_LABEL, f"{where}.{wrong:.60}: is {short(value[wrong])}, must be a text"
        ) from None
    characters = len(names) + len(texts)
    if _UTF8_MAX * len(names) > NAME_BYTES_MAX or _UTF8_MAX * characters > bytes_max or "" in value:
        _check_sizes(value, where, bytes_max)
    return value


def annotations_of(value: Any, where: str) -> dict[str, str]:
    """An alert's annotations. What is too large is cut and says so. Raises BadInput.

    They decide nothing, so that no alert is refused for the length of its text.
    """
    try:
        return texts_of(value, where, ANNOTATIONS_BYTES_MAX)
    except BadInput:
        if not isinstance(value, dict):
            raise
        texts = {name: text for name, text in value.items() if text is not None}
        if not all(isinstance(text, str) for text in texts.values()):
            raise
    return _cut_texts(texts)


def _cut_texts(texts: dict[str, str]) -> dict[str, str]:
    """The texts with the longest ones cut, without those whose names are too long or too many."""
    kept = {name: text for name, text in texts.items() if 1 <= len(name.encode()) <= NAME_BYTES_MAX}
    kept = dict(list(kept.items())[:ANNOTATIONS_CUT_MAX])
    half = (ANNOTATIONS_BYTES_MAX - sum(len(name.encode()) for name in kept)) // 2
    share, room = half // max(len(kept), 1), half  # each has its share, the first ones more
    cut = {}
    for name, text in kept.items():
        size = len(text.encode())
        room_here = share + room
        cut[name] = text if size <= room_here else _cut_text(text, size, room_here)
        room -= max(min(size, room_here) - share, 0)
    if len(kept) < len(texts):
        cut[CUT_NAME] = f"{len(texts) - len(kept)} annotations were too many, or had too long names"
    return cut


def _cut_text(text: str, size: int, room: int) -> str:
    beginning = text.encode()[: max(room - 64, 0)].decode(errors="ignore")
    return f"{beginning}... (cut: it had {size} bytes)"


def _check_sizes(texts: dict[str, str], where: str, bytes_max: int) -> None:
    size = 0
    for name, text in texts.items():
        name_size = len(name.encode())
        if not 1 <= name_size <= NAME_BYTES_MAX:
            raise BadInput(
                Reason.BAD_LABEL,
                f"{where}: a name has {name_size} bytes, must have 1 to {NAME_BYTES_MAX}",
            )
        size += name_size + len(text.encode())
    if size > bytes_max:
        raise BadInput(
            Reason.TOO_LARGE, f"{where}: has {size} bytes, must have at most {bytes_max}"
        )


def url_of(value: Any, where: str) -> str:
    """A text of bounded size, cut to it if need be.

    Empty for null. It is only shown, so it need not be a URL. Raises BadInput.
    """
    if value is None:
        return ""
    if not isinstance(value, str):
        raise BadInput(Reason.MALFORMED, f"{where}: is {short(value)}, must be a text")
    if _UTF8_MAX * len(value) > URL_BYTES_MAX and len(value.encode()) > URL_BYTES_MAX:
        return _cut_text(value, len(value.encode()), URL_BYTES_MAX)
    return value


def kind_of(value: Any) -> str:
    """What a JSON value is, in JSON's words."""
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "a text"
        case list():
            return "a list"
        case _:
            return "an object"


def short(value: Any) -> str:
    """A value as a message shows it.

    Lists and objects, which may be nested deeper than `repr` can go, by their kind.
    """
    if isinstance(value, list | dict):
        return kind_of(value)
    shown = repr(value[:61] if isinstance(value, str) else value)
    return shown if len(shown) <= 62 else f"{shown[:60]}...'"
