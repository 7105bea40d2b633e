"""The shipped policy with another default owner, by which one sees which policy decided."""

from app.core.rules.compiled_policy import CompiledPolicy
from app.files.policy_file import default_path
from tests.support.shipped_policy import shipped

TEXT = default_path().read_text()


def text_of(owner: str) -> str:
    """The shipped policy with another default owner."""
    return TEXT.replace("default_owner: infrastructure", f"default_owner: {owner}")


def fingerprint_of(owner: str) -> str:
    """Its fingerprint."""
    document = shipped().document | {"default_owner": owner}
    return CompiledPolicy(document).fingerprint
