"""`tocsin policy`: its commands, each a module."""

from typing import Any

from app.policy.check import add_check
from app.policy.testing import add_test


def add_policy(commands: Any) -> None:
    """Add `policy` and what follows it."""
    text = "check, test, explain and compare policies"
    policy = commands.add_parser("policy", help=text, description=text).add_subparsers(required=True, metavar="COMMAND")
    for add_one in (add_check, add_test):
        add_one(policy)
