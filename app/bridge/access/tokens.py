"""Who may ask the bridge what: a file with a line for each token.

    # name        may          token
    prometheus    send,read    Zm9yIGFuIGV4YW1wbGUgb25seQ
    ann           operate      bm90IGEgc2VjcmV0IGF0IGFsbA

A name may have several tokens, so that a new one can be handed out before the old one goes. What a
message says of a line is never what stands there: it may be a token.
"""

import hashlib
import hmac
import re
from dataclasses import dataclass
from enum import StrEnum

from app.files.file_watcher import WatchedFiles, read_text, warn_of_readers
from app.settings import BadSettings

TOKENS_MAX = 200  # each request is compared with all of them, in some 0.2 us each
SETTING = "TOCSIN_TOKENS"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_TOKEN = re.compile(
    r"[A-Za-z0-9._~+/-]{20,512}={0,2}"
)  # RFC 6750's alphabet; 20 of them are 120 bits, if they are random


class Permission(StrEnum):
    """What a token may be used for."""

    SEND = "send"  # alerts: what Prometheus and Alertmanager need
    READ = "read"  # incidents, silences, metrics: boards
    NOTIFY = "notify"  # receipts: notifiers
    OPERATE = "operate"  # everything


@dataclass(frozen=True, slots=True)
class TokenHolder:
    """Whom a token was given to. The token itself is forgotten."""

    name: str
    may: frozenset[Permission]
    digest: bytes


class Tokens:
    """The tokens of one reading of the file."""

    def __init__(self, holders: tuple[TokenHolder, ...]) -> None:
        self._holders = holders

    def find_holder(self, token: str) -> TokenHolder | None:
        """Whose token it is.

        It takes as long for a wrong one as for a right one, however much of it is right.
        """
        digest, match = _token_digest(token), None
        for holder in self._holders:
            if hmac.compare_digest(holder.digest, digest):
                match = holder
        return match

    def named(self, name: str) -> list[TokenHolder]:
        """The holders of that name, one for each of its tokens."""
        return [holder for holder in self._holders if holder.name == name]


def tokens_in(file: str) -> WatchedFiles[Tokens]:
    """The tokens of a file. Raises BadSettings."""
    return WatchedFiles("tokens", [file], lambda: _read_tokens(file))


def _read_tokens(file: str) -> Tokens:
    tokens = parse_tokens(file, read_text(SETTING, file))
    warn_of_readers(SETTING, file)
    return tokens


def parse_tokens(file: str, text: str) -> Tokens:
    """The tokens in a file's text. Raises BadSettings."""
    holders: list[TokenHolder] = []
    for number, line in enumerate(text.splitlines(), start=1):
        fields = line.split()
        if fields and not fields[0].startswith("#"):
            try:
                holders.append(_parse_holder(fields))
            except ValueError as error:
                raise BadSettings(f"{SETTING} is {file!r}: line {number}: {error}") from None
    if len({holder.digest for holder in holders}) != len(holders):
        raise BadSettings(f"{SETTING} is {file!r}, in which a token stands twice, must be once")
    if not 1 <= len(holders) <= TOKENS_MAX:
        raise BadSettings(
            f"{SETTING} is {file!r}, which has {len(holders)} tokens, must have 1 to {TOKENS_MAX}"
        )
    return Tokens(tuple(holders))


def _parse_holder(fields: list[str]) -> TokenHolder:
    """The holder that a line names. Raises ValueError."""
    if len(fields) != 3:
        raise ValueError(f"has {len(fields)} words, must have 3: a name, what it may, its token")
    name, may, token = fields
    if not _NAME.fullmatch(name):
        raise ValueError("the name must be 1 to 64 letters, digits, dots, dashes and underscores")
    allowed = may.split(",")
    if not set(allowed) <= set(Permission):
        raise ValueError(
            f"what it may must be of {', '.join(Permission)}, with commas between and no spaces"
        )
    if not _TOKEN.fullmatch(token):
        raise ValueError(
            "the token must be 20 to 512 letters, digits and signs of ._~+/-, such as openssl rand -hex 32 gives"
        )
    return TokenHolder(
        name,
        frozenset(Permission)
        if Permission.OPERATE in allowed
        else frozenset(map(Permission, allowed)),
        _token_digest(token),
    )


def _token_digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
