"""Reading a policy file: the compiled policy, or every mistake in it with file, line, key, found and expected."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from app.core.rulebook import Rulebook
from models.policy import Where

_SHIPPED = (Path(__file__).parent.parent / "policies" / "default.yaml", Path(__file__).parent / "default_policy.yaml")
MAX_BYTES = 1024 * 1024  # a policy stands whole in one journal record
MAX_ALIASES = 100  # YAML aliases can make a small file a huge document


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
        raise BadPolicy(file, [_describe(file, lines, one) for one in error.errors()]) from None


def _parse(path: Path) -> tuple[dict[str, Any], dict[Where, int]]:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BadPolicy(path, [f"{path}: cannot be read: {error.strerror}"]) from None
    if len(data) > MAX_BYTES:
        raise BadPolicy(path, [f"{path}: has {len(data)} bytes, must be at most {MAX_BYTES}"])
    try:
        text = data.decode()
        aliases = sum(isinstance(token, yaml.AliasToken) for token in yaml.scan(text, Loader=yaml.SafeLoader))
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        document = yaml.safe_load(text) if aliases <= MAX_ALIASES else None
    except UnicodeDecodeError as error:
        raise BadPolicy(path, [f"{path}: is not UTF-8 at byte {error.start}"]) from None
    except (yaml.YAMLError, RecursionError) as error:
        raise BadPolicy(path, [f"{path}{_yaml_place(error)}: is not YAML: {_yaml_problem(error)}"]) from None
    if aliases > MAX_ALIASES:
        raise BadPolicy(path, [f"{path}: has {aliases} aliases, must be at most {MAX_ALIASES}"])
    if not isinstance(document, dict):
        raise BadPolicy(
            path, [f"{path}: is {type(document).__name__}, must be a mapping of policy keys (docs/POLICY.md)"]
        )
    lines: dict[Where, int] = {}
    repeated = list(_index(node, (), lines))
    if repeated:
        raise BadPolicy(
            path, [f"{path}:{line}: {_key(where)}: stands twice, must stand once" for where, line in repeated]
        )
    return document, lines


def _index(node: Any, where: Where, lines: dict[Where, int]) -> Iterator[tuple[Where, int]]:
    """Fill `lines` with the line of each key, and yield the keys that a mapping has twice (YAML would take the last)."""
    lines.setdefault(where, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            place = (*where, key.value)
            if place in lines:
                yield place, key.start_mark.line + 1
            lines[place] = key.start_mark.line + 1
            yield from _index(value, place, lines)
    elif isinstance(node, yaml.SequenceNode):
        for number, value in enumerate(node.value):
            yield from _index(value, (*where, number), lines)


def _describe(path: Path, lines: dict[Where, int], error: ErrorDetails) -> str:
    where = tuple(error["loc"])
    known = where
    while known not in lines and known:
        known = known[:-1]
    # Where pydantic's path has parts that the file has not (a list that stands for one alternative), the file's counts.
    shown = known if error["type"] != "missing" else where
    return f"{path}:{lines.get(known, 1)}: {_key(shown) or 'the policy'}: {_problem(error)}"


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


def _key(where: Where) -> str:
    text = ""
    for part in where:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def _yaml_place(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    return f":{mark.line + 1}:{mark.column + 1}" if mark else ""


def _yaml_problem(error: Exception) -> str:
    return str(getattr(error, "problem", None) or "nested too deeply")
