"""The policy that ships, compiled once for all tests.

Nothing changes a Rulebook, and reading its YAML takes long.
"""

from functools import cache

from app.core.rules.compiled_policy import CompiledPolicy
from app.files.policy_file import load_policy


@cache
def shipped() -> CompiledPolicy:
    """What `app.files.policy_file.load_policy()` gives."""
    return load_policy()
