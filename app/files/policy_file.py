"""Reading a policy file: the compiled policy, or every mistake in it (`app.files.yaml_file`)."""

from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from app.core.rules.compiled_policy import CompiledPolicy
from app.files import yaml_file
from app.files.bounded_yaml import Document
from app.files.yaml_file import BadFile
from models.policy.policy import Policy

_APP = Path(__file__).parent.parent
_SHIPPED = (_APP.parent / "policies" / "default.yaml", _APP / "default_policy.yaml")

BadPolicy = BadFile  # a policy that cannot be used


class PolicyFile(NamedTuple):
    """A policy and the file that it stands in, which knows the line of each key."""

    path: Path
    rules: CompiledPolicy
    document: Document


def default_path() -> Path:
    """The policy that ships with Tocsin, in a checkout or in an installed package."""
    return next((path for path in _SHIPPED if path.exists()), _SHIPPED[-1])


def load_policy(path: str | Path = "") -> CompiledPolicy:
    """The compiled policy of a file.

    Of the one that ships with Tocsin when no path is given. Raises BadPolicy.
    """
    return read_policy_file(path).rules


def read_policy_file(path: str | Path = "") -> PolicyFile:
    """The same with the file's lines."""
    file = Path(path) if path else default_path()
    return compile_policy_file(file, yaml_file.bytes_of(file))


def compile_policy_file(file: Path, data: bytes) -> PolicyFile:
    """The same of a file's bytes. Raises BadPolicy."""
    document = yaml_file.parse_mapping(file, data, "policy keys (docs/POLICY.md)")
    try:
        return PolicyFile(file, CompiledPolicy(document.data), document)
    except ValidationError as error:
        raise yaml_file.validation_refusal(file, document, error, Policy) from None
