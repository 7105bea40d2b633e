"""Reading a policy file: the compiled policy, or every mistake in it with file, line, key, found and expected."""

from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from app import bounded_yaml
from app.core.rulebook import Rulebook
from models.policy import Where

_SHIPPED = (Path(__file__).parent.parent / "policies" / "default.yaml", Path(__file__).parent / "default_policy.yaml")
MAX_BYTES = 1024 * 1024  # a policy stands whole in one journal record
PROBLEMS_MAX = 100  # that are told


class BadPolicy(Exception):
    """A policy that cannot be used. `problems` has a line for each mistake, all of them at once."""

    def __init__(self, path: Path, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.path = path
        self.problems = problems


def default_path() -> Path:
    """The policy that ships with Tocsin, in a checkout or in an installed package."""
    return next((path for path in _SHIPPED if path.exists()), _SHIPPED[-1])


def load(path: str | Path = "") -> Rulebook:
    """The compiled policy of a file; of the one that ships with Tocsin when no path is given. Raises BadPolicy."""
    file = Path(path) if path else default_path()
    document, lines = _parse(file)
    try:
        return Rulebook(document)
    except ValidationError as error:
        raise BadPolicy(file, _at_most([_describe(file, lines, one) for one in error.errors()])) from None


def read_lines(path: Path) -> tuple[dict[str, Any], dict[Where, int]]:
    """A policy file's document, not checked as a policy, and the line of each key. Raises BadPolicy."""
    return _parse(path)


def _parse(path: Path) -> tuple[dict[str, Any], dict[Where, int]]:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise BadPolicy(path, [f"{path}: cannot be read: {error.strerror}"]) from None
    if len(data) > MAX_BYTES:
        raise BadPolicy(path, [f"{path}: has more than {MAX_BYTES} bytes, must have at most so many"])
    try:
        document = bounded_yaml.read(data.decode())
    except UnicodeDecodeError as error:
        raise BadPolicy(path, [f"{path}: is not UTF-8 at byte {error.start}"]) from None
    except bounded_yaml.Refused as refusal:
        place = f":{refusal.line}:{refusal.column}" if refusal.line else ""
        raise BadPolicy(path, [f"{path}{place}: {refusal.problem}"]) from None
    if not isinstance(document.data, dict):
        found = type(document.data).__name__
        raise BadPolicy(path, [f"{path}: is {found}, must be a mapping of policy keys (docs/POLICY.md)"])
    repeated = [f"{path}:{line}: {key_of(where)}: stands twice, must stand once" for where, line in document.repeated]
    if repeated:
        raise BadPolicy(path, _at_most(repeated))
    return document.data, document.lines


def _at_most(problems: list[str]) -> list[str]:
    more = len(problems) - PROBLEMS_MAX
    return [*problems[:PROBLEMS_MAX], f"and {more} more"] if more > 0 else problems


def _describe(path: Path, lines: dict[Where, int], error: ErrorDetails) -> str:
    where = tuple(error["loc"])
    known = where
    while known not in lines and known:
        known = known[:-1]
    # Where pydantic's path has parts that the file has not (a list that stands for one alternative), the file's counts.
    shown = known if error["type"] != "missing" else where
    return f"{path}:{lines.get(known, 1)}: {key_of(shown) or 'the policy'}: {_problem(error)}"


def _problem(error: ErrorDetails) -> str:
    found = error["input"]
    match error["type"]:
        case "missing":
            return "is missing, must be there"
        case "extra_forbidden":
            return "is not a key that a policy has here"
        case "policy":
            return error["msg"]
        case "value_error":
            return str(error["ctx"]["error"])
        case _:
            message = error["msg"].removeprefix("Input ")
            return f"is {_short(found)}, {message.replace('should', 'must')}"


def _short(found: Any) -> str:
    text = repr(found)
    return text if len(text) <= 60 else f"{text[:57]}..."


def key_of(where: Where) -> str:
    """A place as people write it: `severities.rules[0].match`."""
    text = ""
    for part in where:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text
