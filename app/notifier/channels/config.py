"""Settings of a channel in receivers.yaml, and its secrets, which stand in a file or in the environment only."""

import os
from typing import ClassVar, Self

from pydantic import BaseModel, ConfigDict, model_validator

from app.files.file_access import open_plain
from app.notifier.outcome import TryAgain
from models.text.sanitize import inert

_SECRET_BYTES_MAX = 64 * 1024


class ChannelConfig(BaseModel):
    """The base of each channel's settings.

    A secret NAME is two keys, of which exactly one is set: `NAME_file` (a path) and `NAME_env` (a variable's name).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    secrets: ClassVar[tuple[str, ...]] = ()
    optional_secrets: ClassVar[tuple[str, ...]] = ()

    @model_validator(mode="after")
    def _each_secret_has_a_place(self) -> Self:
        for name in (*self.secrets, *self.optional_secrets):
            places = sum(bool(getattr(self, f"{name}_{place}")) for place in ("file", "env"))
            if places == 2 or (places == 0 and name in self.secrets):
                raise ValueError(
                    f"exactly one of {name}_file and {name}_env must be given, found {places or 'none'}"
                )
        return self

    def secret(self, name: str) -> str:
        """The secret, read anew each time, so that it can be changed; empty if optional and not given.

        Raises TryAgain when its place has none: a mounted secret may be missing for a moment.
        """
        file: str = getattr(self, f"{name}_file")
        variable: str = getattr(self, f"{name}_env")
        if not file and not variable:
            return ""
        place = f"{name}_file {inert(file)!r}" if file else f"{name}_env {inert(variable)!r}"
        try:
            text = _read(file) if file else os.environ.get(variable, "")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8"
            raise TryAgain(f"{place} cannot be read: {reason}") from None
        secret = text.strip()
        if not secret:
            raise TryAgain(f"{place} is empty")
        if not secret.isprintable():
            raise TryAgain(f"{place} must hold one line")
        return secret


def _read(path: str) -> str:
    with open_plain(path) as file:
        return file.read(_SECRET_BYTES_MAX).decode()
