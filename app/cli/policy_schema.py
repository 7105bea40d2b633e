"""`tocsin policy schema`."""

import argparse
from typing import Any

from app.cli.arguments import add
from app.policy.schema import schema_text
from models.policy import Policy
from models.scenario import Scenarios


def add_schema(commands: Any) -> None:
    """Add the command."""
    text = "the JSON Schema of a policy, with which editors complete and check; docs/policy.schema.json is this"
    one = add(commands, "schema", _schema, text, "tocsin policy schema > policy.schema.json")
    one.add_argument("--tests", action="store_true", help="of the files of policy tests, instead")


def _schema(arguments: argparse.Namespace) -> int:
    print(schema_text(Scenarios if arguments.tests else Policy), end="")
    return 0
