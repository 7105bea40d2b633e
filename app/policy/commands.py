"""`tocsin policy`: its commands, each a module."""

from typing import Any

from app.policy.check import add_check
from app.policy.diff import add_diff
from app.policy.explain import add_explain
from app.policy.importing.command import add_import
from app.policy.routes import add_routes
from app.policy.schema import add_schema
from app.policy.testing import add_test


def add_policy(commands: Any) -> None:
    """Add `policy` and what follows it."""
    text = "check, test, explain, compare and import policies"
    policy = commands.add_parser("policy", help=text, description=text).add_subparsers(required=True, metavar="COMMAND")
    for add_one in (add_check, add_test, add_explain, add_diff, add_routes, add_schema, add_import):
        add_one(policy)
