"""`tocsin policy schema`."""

import argparse

from app.policy.schema import schema_text
from models.policy.policy import Policy
from models.policy.scenario import Scenarios


def add_arguments(parser: argparse.ArgumentParser, _name: str) -> None:
    """Add the command's arguments."""
    parser.set_defaults(run=_run_schema)
    parser.add_argument(
        "--tests", action="store_true", help="of the files of policy tests, instead"
    )


def _run_schema(arguments: argparse.Namespace) -> int:
    print(schema_text(Scenarios if arguments.tests else Policy), end="")
    return 0
