"""Mail: text and HTML, one thread an incident.

Each mail of an incident refers to one id that is made of the incident's, so that mail programs put them into one thread,
whatever was lost. The Message-ID is made of the notification's id: who gets a mail twice can drop the second.

Sources: RFC 5322 (3.6.4, threads), RFC 3834 (Auto-Submitted), RFC 5321 (4.2, reply codes).
"""

import asyncio
import re
import ssl
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.errors import HeaderParseError, MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.utils import format_datetime
from enum import StrEnum
from typing import ClassVar, Self

import aiosmtplib
from pydantic import Field, field_validator, model_validator

from app.notifier.channel import ChannelKind, Context
from app.notifier.channels.config import ChannelConfig
from app.notifier.connections.addresses import PrivateAddress, connect
from app.notifier.connections.http import without_secrets
from app.notifier.memory import recall, remember
from app.notifier.outcome import Refused, Sent, TryAgain
from app.notifier.shorten import shorten
from models.events import Notification
from models.text.sanitize import inert

TIMEOUT_S = 30.0  # for a whole mail; a server that looks at it closely takes seconds
SUBJECT_MAX = 200  # characters; phones show some 40
_ADDRESS = r"""[^\s,;:<>"'\\()\[\]@]+@[^\s,;:<>"'\\()\[\]@]+"""
_MAILBOX = re.compile(rf"""(?P<name>[^<>@,;]*)<(?P<bracketed>{_ADDRESS})>|(?P<plain>{_ADDRESS})""")


class Tls(StrEnum):
    """How a mail server is spoken to."""

    STARTTLS = "starttls"
    IMPLICIT = "implicit"
    NONE = "none"


class EmailConfig(ChannelConfig):
    """A mail server that relays for us, and whom mails are from."""

    optional_secrets = ("password",)

    smarthost: str
    from_: str = Field(alias="from")
    tls: Tls = Tls.STARTTLS
    username: str = ""
    password_file: str = ""
    password_env: str = ""

    @field_validator("smarthost")
    @classmethod
    def _has_a_port(cls, value: str) -> str:
        host, _, port = value.rpartition(":")
        if not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
            raise ValueError(f"is {value!r:.100}, must be HOST:PORT such as mail.example.org:587")
        return value

    @field_validator("from_")
    @classmethod
    def _is_an_address(cls, value: str) -> str:
        if mailbox(value) is None:
            raise ValueError(f"is {value!r:.100}, must be an address such as tocsin@example.org")
        return value

    @model_validator(mode="after")
    def _a_password_has_a_name(self) -> Self:
        if bool(self.username) != bool(self.password_file or self.password_env):
            raise ValueError("username and password_file (or password_env) must be given together")
        if self.username and self.tls is Tls.NONE:
            raise ValueError(
                "tls none would send the password in the clear: use starttls or implicit"
            )
        return self

    @property
    def host(self) -> str:
        """The server's name."""
        return self.smarthost.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        """The server's port."""
        return int(self.smarthost.rpartition(":")[2])


@dataclass(frozen=True, slots=True)
class Email:
    """One mail server. The address is a person's or a list's."""

    config: EmailConfig
    context: Context
    timeout_s: float = TIMEOUT_S
    kind: ClassVar[ChannelKind] = ChannelKind.EMAIL

    async def send(self, notification: Notification, address: str, memory: str, key: str) -> Sent:
        """Send the mail."""
        mail = self._mail(notification, address, memory, key)
        password = self.config.secret("password")
        try:
            async with asyncio.timeout(self.timeout_s):
                await self._deliver(mail, password)
        except TimeoutError:
            raise TryAgain(
                f"the mail server {self._server()} gave no answer within {self.timeout_s:g} s"
            ) from None
        except PrivateAddress as error:
            raise Refused(f"mail: {error}") from None
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            raise _failure(self._server(), error, (password, self.config.username)) from None
        worst = min(
            str(recall(memory).get("severity") or notification.severity), notification.severity
        )
        subject, message_id = str(mail["Subject"]).removeprefix("Re: "), str(mail["Message-ID"])
        return Sent(message_id, remember(last=message_id, subject=subject, severity=worst))

    def preview(self, notification: Notification, address: str) -> str:
        """Headers and text."""
        mail = self._mail(notification, address, "", notification.id)
        headers = "\n".join(
            f"{name}: {value}" for name, value in mail.items() if not name.startswith("Content-")
        )
        return f"{headers}\n\n{self.context.templates.render('body.txt', notification)}"

    async def close(self) -> None:
        """Nothing is open."""

    def _mail(
        self, notification: Notification, address: str, memory: str, key: str
    ) -> EmailMessage:
        recipient, sender = mailbox(address), mailbox(self.config.from_)
        assert sender is not None, "checked when it was read"
        if recipient is None:
            raise Refused(f"{inert(address)!r:.100} is no mail address")
        kept = recall(memory)
        root = f"<{notification.incident}@{sender.domain}>"
        last = str(kept.get("last") or root)
        mail = EmailMessage(policy=SMTP_POLICY)
        mail["From"], mail["To"] = sender, recipient
        mail["Subject"] = self._subject(
            notification, str(kept.get("subject", "")), str(kept.get("severity", ""))
        )
        mail["Date"] = format_datetime(_instant(notification.at))
        mail["Message-ID"] = f"<{key}.{notification.incident}@{sender.domain}>"
        mail["In-Reply-To"] = last
        mail["References"] = root if last == root else f"{root} {last}"
        mail["Auto-Submitted"] = "auto-generated"
        mail["X-Auto-Response-Suppress"] = "All"
        mail["X-Tocsin-Incident"] = notification.incident
        if notification.wakes:
            mail["Importance"], mail["X-Priority"] = "high", "1"
        mail.set_content(
            self.context.templates.render("body.txt", notification), cte="quoted-printable"
        )
        html = self.context.templates.render("body.html", notification)
        mail.add_alternative(html, subtype="html", cte="quoted-printable")
        return mail

    def _subject(self, notification: Notification, first: str, worst: str) -> str:
        """The subject of the incident's first mail, since Gmail parts a thread where the subject changes.

        A severity worse than any before is worth a thread of its own there.
        """
        if first and worst and notification.severity >= worst:
            return f"Re: {first}"
        return shorten(self.context.templates.render("title.txt", notification), SUBJECT_MAX)

    async def _deliver(self, mail: EmailMessage, password: str) -> None:
        connection = await connect(self.config.host, self.config.port, self.context.http.policy)
        client = aiosmtplib.SMTP(
            hostname=self.config.host,
            sock=connection,
            timeout=self.timeout_s,
            use_tls=self.config.tls is Tls.IMPLICIT,
            start_tls=self.config.tls is Tls.STARTTLS,
            tls_context=self.context.http.tls or ssl.create_default_context(),
            local_hostname=mail["From"]
            .addresses[0]
            .domain,  # asking for our own name can take seconds
        )
        try:
            await client.connect()
            if self.config.username:
                await client.login(self.config.username, password)
            await client.send_message(mail)
            with suppress(aiosmtplib.SMTPException, OSError):
                await client.quit()  # the mail is accepted, so what happens now does not matter
        finally:
            client.close()

    def _server(self) -> str:
        return inert(self.config.smarthost)


def make(config: EmailConfig, context: Context) -> Email:
    """The channel."""
    return Email(config, context)


def mailbox(text: str) -> Address | None:
    """A mail address, with or without a display name; None for what is none or more than one."""
    parts = _MAILBOX.fullmatch(text.strip())
    if parts is None or not text.isprintable():
        return None
    user, _, domain = (parts["bracketed"] or parts["plain"]).rpartition("@")
    name = (parts["name"] or "").strip().strip('"')
    try:
        return Address(display_name=name, username=user, domain=domain)
    except (HeaderParseError, MessageError, ValueError, IndexError):
        return None


def _instant(at: str) -> datetime:
    return datetime.fromisoformat(at).astimezone(UTC)


def _failure(server: str, error: Exception, secrets: tuple[str, ...]) -> Refused | TryAgain:
    """What an error means: a reply code of 5xx is permanent, 4xx and the connection are not."""
    where = f"the mail server {server}"
    match error:
        case aiosmtplib.SMTPRecipientsRefused():
            code, words = error.recipients[0].code, error.recipients[0].message
        case aiosmtplib.SMTPConnectError() | aiosmtplib.SMTPServerDisconnected():
            return TryAgain(
                f"{where}: the connection broke: {without_secrets(str(error), secrets)}"
            )
        case aiosmtplib.SMTPResponseException():
            code, words = error.code, error.message
        case ssl.SSLError():
            return TryAgain(f"{where}: {without_secrets(str(error), secrets)}")
        case aiosmtplib.SMTPNotSupported() | ValueError():
            return Refused(f"{where} cannot take it: {without_secrets(str(error), secrets)}")
        case aiosmtplib.SMTPException():
            return TryAgain(f"{where}: {without_secrets(str(error), secrets)}")
        case _:
            return TryAgain(
                f"{where}: no connection: {getattr(error, 'strerror', None) or type(error).__name__}"
            )
    message = f"{where} answered {code}: {without_secrets(words, secrets)}"
    return TryAgain(message) if 400 <= code < 500 else Refused(message)
