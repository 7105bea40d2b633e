"""Certificates and keys in PEM files that settings name, read with OpenSSL.

What is wrong with one is told by its setting.
"""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager

from app.files.file_access import check_plain
from app.settings import BadSettings


class EncryptedKey(Exception):
    """A key cannot be read without a password.

    OpenSSL would ask for it on the terminal, and wait.
    """


def no_password() -> str:
    """What OpenSSL is given to ask for a password with, where nobody is there to type one."""
    raise EncryptedKey


@contextmanager
def reading_file(setting: str, file: str) -> Iterator[None]:
    """Read a file that a setting names within this; none if it is empty. Raises BadSettings."""
    with _reading(setting, file):
        if file:
            check_plain(file)
        yield


@contextmanager
def _reading(setting: str, file: str) -> Iterator[None]:
    try:
        yield
    except ssl.SSLError as error:
        reason = error.reason or "no certificate in it"
        raise BadSettings(
            f"{setting} is {file!r}, must be PEM that OpenSSL takes: {reason}"
        ) from None
    except OSError as error:
        raise BadSettings(
            f"{setting} is {file!r}, which cannot be read: {error.strerror}"
        ) from None


@contextmanager
def reading_pair(certificate: tuple[str, str], key: tuple[str, str]) -> Iterator[None]:
    """The same of a certificate and its key, each a setting and the file that it names."""
    try:
        with _reading(f"{certificate[0]} and {key[0]}", f"{certificate[1]} and {key[1]}"):
            check_plain(certificate[1])
            check_plain(key[1])
            yield
    except EncryptedKey:
        raise BadSettings(f"{key[0]} is {key[1]!r}, must not be encrypted") from None
