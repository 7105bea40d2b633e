"""Files of tokens, and the headers of a request with one."""

from pathlib import Path

from tests.support.served_bridge import JSON


def write(file: Path, text: str) -> None:
    """Write a file that only its owner can read."""
    file.touch(0o600)
    file.write_text(text)


def bearer(token: str) -> dict[str, str]:
    """The headers of a JSON request with a token."""
    return JSON | {"Authorization": f"Bearer {token}"}
