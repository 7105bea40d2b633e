"""YAML files that people write.

What is in one, or every mistake in it with file, line, column, key, found and expected.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from app.files import bounded_yaml
from app.files.bounded_yaml import Document
from app.files.file_access import open_plain
from models.errors import TocsinError
from models.policy.types import Where
from models.text.suggest import did_you_mean

MAX_BYTES = 1024 * 1024  # a policy stands whole in one journal record
PROBLEMS_MAX = 100  # that are told


@dataclass(frozen=True, slots=True)
class Mistake:
    """One mistake.

    Where, at which key, and what was found and expected. `line` and `column` are 0 for the whole
    file.
    """

    file: str
    line: int
    column: int
    key: str
    problem: str

    def __str__(self) -> str:
        place = f":{self.line}:{self.column}" if self.line else ""
        return f"{self.file}{place}: {self.key}{': ' if self.key else ''}{self.problem}"

    def as_json(self) -> dict[str, Any]:
        """The same for programs."""
        return asdict(self)


class BadFile(TocsinError):
    """A file that cannot be used.

    `problems` has a line for each mistake, all of them at once, up to a bound.
    """

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        self.mistakes = list(mistakes[:PROBLEMS_MAX])
        more = len(mistakes) - len(self.mistakes)
        self.problems = [*map(str, self.mistakes), *([f"and {more} more"] if more else [])]
        super().__init__("\n".join(self.problems))


def read_mapping(path: Path, subject: str) -> Document:
    """The mapping in a file; `what` says what its keys are. Raises BadFile."""
    return parse_mapping(path, bytes_of(path), subject)


def bytes_of(path: Path) -> bytes:
    """What is in a file, up to the bound and one more. Raises BadFile."""
    try:
        with open_plain(path) as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise _file_problem(path, f"cannot be read: {error.strerror}") from None


def parse_mapping(path: Path, data: bytes, subject: str, *, as_written: bool = False) -> Document:
    """The same of its bytes; `as_written` as in `app.files.bounded_yaml`."""
    if len(data) > MAX_BYTES:
        raise _file_problem(path, f"has more than {MAX_BYTES} bytes, must have at most so many")
    try:
        document = bounded_yaml.read_document(data.decode(), as_written=as_written)
    except UnicodeDecodeError as error:
        raise _file_problem(path, f"is not UTF-8 at byte {error.start}") from None
    except bounded_yaml.YamlRefused as refusal:
        raise BadFile(
            [Mistake(str(path), refusal.line, refusal.column, "", refusal.problem)]
        ) from None
    if not isinstance(document.data, dict):
        raise _file_problem(
            path, f"is {type(document.data).__name__}, must be a mapping of {subject}"
        )
    if document.repeated:
        raise BadFile(
            [
                Mistake(str(path), *place, key_path(where), "stands twice, must stand once")
                for where, place in document.repeated
            ]
        )
    return document


def _file_problem(path: Path, problem: str) -> BadFile:
    return BadFile([Mistake(str(path), 0, 0, "", problem)])


def validation_refusal(
    path: Path, document: Document, error: ValidationError, model: type[BaseModel]
) -> BadFile:
    """The mistakes that a model found in a file, from its beginning to its end."""
    mistakes = [_validation_mistake(path, document, details, model) for details in error.errors()]
    return BadFile(sorted(mistakes, key=lambda mistake: (mistake.line, mistake.column)))


def mistake_at(path: Path, document: Document, where: Where, problem: str) -> Mistake:
    """One that was found by other means."""
    return Mistake(str(path), *document.place(where), key_path(where), problem)


def key_path(where: Where) -> str:
    """A place as people write it: `teams.data.chain[2]`."""
    text = ""
    for part in where:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def _validation_mistake(
    path: Path, document: Document, error: ErrorDetails, model: type[BaseModel]
) -> Mistake:
    where = tuple(error["loc"])
    known: Where = ()
    for part in where:
        # Pydantic's path may have parts that the file has not, such as a list that stands for one
        # alternative.
        if (*known, part) in document.places:
            known = (*known, part)
    shown = (*known, where[-1]) if error["type"] == "missing" else known
    return Mistake(
        str(path),
        *document.place(known),
        key_path(shown) or "the file",
        _problem_text(error, model),
    )


def _problem_text(error: ErrorDetails, model: type[BaseModel]) -> str:
    value = error["input"]
    match error["type"]:
        case "missing":
            return "is missing, must be there"
        case "extra_forbidden":
            *above, name = error["loc"]
            keys = _keys_at(model, above)
            return (
                f"is not a key that there is here{did_you_mean(str(name), keys) or _one_of(keys)}"
            )
        case "policy":
            return error["msg"]
        case "value_error":
            return str(error["ctx"]["error"])
        case "model_type" | "model_attributes_type" | "dict_type":
            return f"is {_short_value(value)}, must be a mapping"
        case _:
            message = re.sub(r"^[A-Z][a-z]+ should ", "must ", error["msg"])
            return f"is {_short_value(value)}, {re.sub(r' after validation, not [0-9]+$', '', message)}"


def _one_of(keys: Sequence[str]) -> str:
    return f", must be one of {', '.join(keys)}" if keys else ""


def _short_value(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _keys_at(model: type[BaseModel], where: Iterable[str | int]) -> list[str]:
    """The keys that a model has at a place; none where it is not known."""
    models: list[Any] = [model]
    for part in where:
        # A number in pydantic's path is a place in a list, whose model the annotation of the list
        # has named already.
        models = (
            [inner for item in models for inner in _inner_models(item, part)]
            if isinstance(part, str)
            else models
        )
    return [
        field.alias or name
        for item in models
        if _is_model(item)
        for name, field in item.model_fields.items()
    ]


def _inner_models(model: Any, part: str) -> list[Any]:
    if not _is_model(model):
        return [model] if isinstance(model, type) else []
    for name, field in model.model_fields.items():
        if part in (name, field.alias):
            return _models_in(field.annotation)
    return [model]  # a name in a mapping of models, such as a team's


def _models_in(annotation: Any) -> list[Any]:
    if _is_model(annotation):
        return [annotation]
    inner = (
        get_args(annotation)[:1] if get_origin(annotation) is Annotated else get_args(annotation)
    )
    return [model for item in inner for model in _models_in(item)]


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)
