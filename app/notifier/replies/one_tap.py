"""Signed links that do one thing with one incident, for a limited time.

A link is `PUBLIC_URL/act/TOKEN`. GET shows a page that says what will happen, POST does it: a
mail scanner that follows links changes nothing. A token says what, with which incident, until
when and for whom, and is signed, so that nobody can make one or change one. Whoever has the link
can act: the message that carries it is the proof of who it is.
"""

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime

from app.notifier.replies.act import (
    Act,
    ActCommand,
    BadReply,
    LinkExpired,
    incident_id,
    make_act,
)

TTL_S = 24 * 3600
SECRET_BYTES_MIN = 16
TOKEN_MAX = 500  # characters; a longer one is not looked at
_RECEIVER_BYTES_MAX = 100
_SIGNATURE_BYTES = 16  # 128 bits; a link has to fit into an SMS
_PURPOSE = b"tocsin one-tap link 1"
LINKED = frozenset(
    {
        ActCommand.VIEW,
        ActCommand.ACKNOWLEDGE,
        ActCommand.RESOLVE,
        ActCommand.ESCALATE,
        ActCommand.SILENCE_1H,
    }
)  # what a link can do; a note needs a text, which the page asks for


@dataclass(frozen=True, slots=True)
class Grant:
    """What a good token allows. `expires_s` is in seconds since 1970."""

    command: ActCommand
    incident: str
    receiver: str
    expires_s: int

    def act(self, token: str) -> Act:
        """The act. A second tap on the same link has the same key."""
        key = hashlib.sha256(token.encode()).hexdigest()[:32]
        return make_act(self.command, self.incident, self.receiver, "link", f"link-{key}")


@dataclass(frozen=True, slots=True)
class OneTap:
    """Makes and reads tokens. `secret` has at least SECRET_BYTES_MIN bytes; another secret ends all links."""

    secret: bytes
    ttl_s: int = TTL_S

    def __post_init__(self) -> None:
        if len(self.secret) < SECRET_BYTES_MIN:
            raise ValueError(f"the secret of links must have at least {SECRET_BYTES_MIN} bytes")

    def token(self, command: ActCommand, incident: str, receiver: str, at: str) -> str:
        """A token for a message that was emitted at this instant (RFC 3339). The same each time that it is made."""
        expires_s = int(datetime.fromisoformat(at).timestamp()) + self.ttl_s
        return self._token(command, incident, receiver, expires_s)

    def token_beside(self, grant: Grant, command: ActCommand) -> str:
        """A token for another command, on the page of a grant; it ends when the grant does."""
        return self._token(command, grant.incident, grant.receiver, grant.expires_s)

    def read(self, token: str, now_s: float) -> Grant:
        """What the token allows. Raises BadReply: a token that is none, was changed, or is too old."""
        if len(token) > TOKEN_MAX or not token.isascii():
            raise BadReply("this link is not valid")
        content, _, signature = token.rpartition(".")
        if not hmac.compare_digest(signature, self._signature(content)):
            raise BadReply("this link is not valid")
        command, incident, expires, whom = content.split(".")
        grant = Grant(
            ActCommand(command),
            incident_id(incident),
            _decode(whom).decode(errors="replace"),
            int(expires, 16),
        )
        if now_s >= grant.expires_s:
            raise LinkExpired("this link has expired; a newer message has one that works")
        return grant

    def _token(self, command: ActCommand, incident: str, receiver: str, expires_s: int) -> str:
        assert command in LINKED, f"{command} cannot be a link"
        whom = _encode(receiver.encode()[:_RECEIVER_BYTES_MAX])
        content = f"{command}.{incident}.{expires_s:x}.{whom}"
        return f"{content}.{self._signature(content)}"

    def _signature(self, content: str) -> str:
        key = hmac.new(self.secret, _PURPOSE, hashlib.sha256).digest()
        digest = hmac.new(key, content.encode(), hashlib.sha256).digest()
        return _encode(digest[:_SIGNATURE_BYTES])


def _encode(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def _decode(text: str) -> bytes:
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        raise BadReply("this link is not valid") from None
