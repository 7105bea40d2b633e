"""The policy that ships, compiled once for all tests.

Nothing changes a Rulebook, and reading its YAML takes long.
"""

from functools import cache

from app.core.rules.compiled_policy import Rulebook
from app.files.policy_file import load


@cache
def shipped() -> Rulebook:
    """What `app.files.policy_file.load()` gives."""
    return load()
