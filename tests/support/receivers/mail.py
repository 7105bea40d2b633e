"""A mail server, made of aiosmtpd: it keeps mails, and can be told how to answer."""

import asyncio
import ssl
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from types import TracebackType
from typing import Any, Self

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session

USERNAME, PASSWORD = "tocsin", "mail-password-1"


@dataclass
class MailServer:
    """`mails` are those that were accepted; `rcpt` and `data` are the next answers to a recipient and to a mail."""

    mails: list[EmailMessage] = field(default_factory=list)
    rcpt: list[str] = field(default_factory=list)
    data: list[str] = field(default_factory=list)
    smarthost: str = ""
    tls: ssl.SSLContext | None = None
    asks_for_password: bool = False
    silent: bool = False
    breaks_after_mail: bool = False
    _server: asyncio.Server | None = None

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Take a recipient, or answer as told."""
        del server, session, options
        if self.rcpt:
            return self.rcpt.pop(0)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Take a mail, or answer as told."""
        del session
        if self.data:
            return self.data.pop(0)
        assert isinstance(envelope.content, bytes)
        self.mails.append(BytesParser(policy=default).parsebytes(envelope.content))
        if self.breaks_after_mail:
            asyncio.get_running_loop().call_soon(_break, server)
        return "250 Accepted"

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._protocol, "127.0.0.1", 0)
        self.smarthost = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._server is not None
        self._server.close()

    def _protocol(self) -> asyncio.BaseProtocol:
        if self.silent:
            return asyncio.Protocol()
        options: dict[str, Any] = {"hostname": "mail.test", "tls_context": self.tls}
        if self.asks_for_password:
            options |= {"authenticator": _authenticate, "auth_required": True}
        return SMTP(self, **options)


def _authenticate(
    server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any
) -> AuthResult:
    del server, session, envelope, mechanism
    right = (data.login, data.password) == (USERNAME.encode(), PASSWORD.encode())
    return AuthResult(success=right, handled=False)


def _break(server: SMTP) -> None:
    transport = server.transport
    if transport is not None:
        transport.close()
