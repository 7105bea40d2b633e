"""Secrets of channels: where they stand, and what is wrong with them."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from app.notifier.channels.config import ChannelConfig
from app.notifier.outcome import TryAgain


class Settings(ChannelConfig):
    """One secret that is needed, and one that is not."""

    secrets = ("key",)
    optional_secrets = ("token",)

    key_file: str = ""
    key_env: str = ""
    token_file: str = ""
    token_env: str = ""


def test_a_secret_is_read_each_time(tmp_path: Path) -> None:
    """So that it can be changed while the notifier runs."""
    file = tmp_path / "key"
    settings = Settings(key_file=str(file))
    file.write_text("first\n")
    first = settings.secret("key")
    file.write_text("second\n")

    assert (first, settings.secret("key"), settings.secret("token")) == ("first", "second", "")


@pytest.mark.parametrize(
    "places",
    [
        {},
        {"key_file": "a", "key_env": "B"},
        {"key_env": "B", "token_env": "C", "token_file": "d"},
    ],
)
def test_a_secret_has_one_place(places: dict[str, str]) -> None:
    """A file or a variable, not both, and not none where it is needed."""
    with pytest.raises(
        ValidationError, match=r"exactly one of (key|token)_file and (key|token)_env must be given"
    ):
        Settings(**places)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read: No such file or directory"),
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"a\nb", "must hold one line"),
        (b"\xff\xfe", "cannot be read: it is no UTF-8"),
    ],
)
def test_a_secret_that_is_none_is_told(tmp_path: Path, content: bytes | None, message: str) -> None:
    """With its place and without what is in it."""
    file = tmp_path / "key"
    if content is not None:
        file.write_bytes(content)

    with pytest.raises(TryAgain) as caught:
        Settings(key_file=str(file)).secret("key")

    assert str(caught.value) == f"key_file {str(file)!r} {message}"
