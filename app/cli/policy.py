"""`tocsin policy`: its commands, each a module."""

from typing import Any

from app.cli.policy_check import add_check
from app.cli.policy_diff import add_diff
from app.cli.policy_explain import add_explain
from app.cli.policy_import import add_import
from app.cli.policy_routes import add_routes
from app.cli.policy_schema import add_schema
from app.cli.policy_test import add_test


def add_policy(commands: Any) -> None:
    """Add `policy` and what follows it."""
    text = "check, test, explain, compare and import policies"
    policy = commands.add_parser("policy", help=text, description=text).add_subparsers(
        required=True, metavar="COMMAND"
    )
    for add_one in (add_check, add_test, add_explain, add_diff, add_routes, add_schema, add_import):
        add_one(policy)
