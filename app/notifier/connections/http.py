"""HTTP to receivers: bounded in time and size, without redirects, to permitted addresses only, and without secrets in errors.

A receiver's answer is never trusted. Its text stands in an error only as one short inert line, with each known secret
replaced: a service may repeat a token that it does not like.
"""

import asyncio
import ipaddress
import ssl
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
import orjson
from aiohttp.abc import AbstractResolver
from aiohttp.resolver import ThreadedResolver
from yarl import URL

from app.notifier.connections.addresses import AddressPolicy, CheckedResolver, PrivateAddress
from app.notifier.outcome import Refused, TryAgain
from models.text.sanitize import inert

TIMEOUT_S = 10.0  # PagerDuty and Slack answer within one; a receiver that hangs is tried again
ANSWER_BYTES_MAX = 64 * 1024  # the largest that a channel reads is the message that Discord repeats
# Of a request that the receiver answers only when something has happened, as a poll of Telegram.
POLL_TIMEOUT_S = 40.0
POLL_BYTES_MAX = 4 * 1024 * 1024  # a message may hold 4096 characters, with another in it
ERROR_TEXT_MAX = 200
RETRY_AFTER_MAX_S = 3600.0
TEMPORARY = frozenset({408, 425, 429})  # beside 5xx
_CONNECTIONS_MAX, _CONNECTIONS_OF_A_HOST_MAX = 100, 8
_SECRET_CHARACTERS_MIN = 6  # a shorter word would be replaced where it is none


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent. `service` names the receiver in errors; `secrets` never stand there, nor does the URL's path."""

    service: str
    url: str
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    method: str = "POST"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. `whole` is false when the body broke off or is larger than ANSWER_BYTES_MAX."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    whole: bool

    def document(self) -> dict[str, Any]:
        """The JSON object in the body, or an empty one."""
        try:
            document = orjson.loads(self.body)
        except orjson.JSONDecodeError:
            return {}
        return document if isinstance(document, dict) else {}

    def text(self) -> str:
        """The body as text; what is no UTF-8 is replaced."""
        return self.body.decode(errors="replace")


def json_request(service: str, url: str, document: Any, **options: Any) -> Request:
    """A request with a JSON body. `options` are those of Request; headers are added to."""
    headers = {"Content-Type": "application/json", **options.pop("headers", {})}
    return Request(service, url, orjson.dumps(document), headers, **options)


class HttpClient:
    """Sends requests. It belongs to one event loop, and has to be closed.

    `policy` and `tls` (None for the system's authorities) hold for channels that speak no HTTP, too.
    """

    def __init__(
        self,
        policy: AddressPolicy,
        *,
        timeout_s: float = TIMEOUT_S,
        resolver: AbstractResolver | None = None,
        tls: ssl.SSLContext | None = None,
        answer_bytes_max: int = ANSWER_BYTES_MAX,
    ) -> None:
        self.policy = policy
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._timeout_s = timeout_s
        self._resolver = resolver
        self.tls = tls
        self._answer_bytes_max = answer_bytes_max
        self._session: aiohttp.ClientSession | None = None

    async def post(self, request: Request) -> Answer:
        """The answer with a status of 2xx. Raises Refused and TryAgain for any other end."""
        answer = await self.exchange(request)
        check(request, answer)
        return answer

    async def exchange(self, request: Request) -> Answer:
        """The answer, whatever its status. Raises Refused for a private address, TryAgain when no answer came."""
        url = self._checked(request)
        try:
            async with self._open().request(
                request.method,
                url,
                data=request.body,
                headers=dict(request.headers),
                allow_redirects=False,
            ) as response:
                body, whole = await _read(response, self._answer_bytes_max)
                return Answer(response.status, response.headers, body, whole)
        except TimeoutError:
            raise TryAgain(
                f"{_name(request)} gave no answer within {self._timeout_s:g} s"
            ) from None
        except (aiohttp.ClientError, OSError) as error:
            raise _failure(request, error) from None

    @asynccontextmanager
    async def websocket(
        self, service: str, url: str, heartbeat_s: float, message_bytes_max: int
    ) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        """A WebSocket to an address that is permitted. Raises Refused and TryAgain.

        The URL may hold a ticket, so it stands in no error.
        """
        request = Request(service, url.replace("ws", "http", 1), secrets=(url,), method="GET")
        self._checked(request)
        try:
            async with asyncio.timeout(self._timeout_s):
                socket = await self._open().ws_connect(
                    url, heartbeat=heartbeat_s, max_msg_size=message_bytes_max
                )
        except TimeoutError:
            raise TryAgain(
                f"{_name(request)} gave no answer within {self._timeout_s:g} s"
            ) from None
        except aiohttp.WSServerHandshakeError as error:
            raise TryAgain(f"{_name(request)} answered {error.status}") from None
        except (aiohttp.ClientError, OSError) as error:
            raise _failure(request, error) from None
        try:
            yield socket
        finally:
            await socket.close()

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _checked(self, request: Request) -> URL:
        """The URL. aiohttp does not resolve a host that is an IP address, so that is checked here."""
        try:
            url = URL(request.url)
        except ValueError:
            raise Refused(f"{request.service}: its URL is none") from None
        if url.scheme not in ("http", "https") or not url.host:
            raise Refused(
                f"{request.service}: its URL must begin with https:// or http:// and name a host"
            )
        if _is_address(url.host) and not self.policy.permits(url.host):
            raise Refused(
                f"{_name(request)} is a private address, and allow_private_addresses does not list it"
            )
        return url

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(
                resolver=CheckedResolver(self.policy, self._resolver or ThreadedResolver()),
                limit=_CONNECTIONS_MAX,
                limit_per_host=_CONNECTIONS_OF_A_HOST_MAX,
                ttl_dns_cache=10,
                ssl=self.tls or True,
            )
            tracing = aiohttp.TraceConfig()
            tracing.on_request_redirect.append(_refuse_redirect)
            self._session = aiohttp.ClientSession(
                connector=connector,
                trace_configs=[tracing],
                timeout=self._timeout,
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": "tocsin", "Accept-Encoding": "identity"},
                auto_decompress=False,
            )
        return self._session


def check(request: Request, answer: Answer, detail: str = "") -> None:
    """Raise what a status other than 2xx means. `detail` is the service's own words, else they are the body."""
    if 200 <= answer.status < 300:
        return
    if 300 <= answer.status < 400:
        raise Refused(
            f"{_name(request)} answered {answer.status}, a redirect, which is not followed"
        )
    words = error_text(request, detail or answer.text())
    message = f"{_name(request)} answered {answer.status}" + (f": {words}" if words else "")
    if answer.status in TEMPORARY or answer.status >= 500:
        raise TryAgain(message, retry_after_s(answer.headers))
    raise Refused(message)


def error_text(request: Request, text: str) -> str:
    """Words of a receiver for an error of ours: one short inert line without a secret."""
    url = URL(request.url)
    return without_secrets(
        text, (*request.secrets, request.url, url.raw_path_qs, url.path_qs, url.raw_path, url.path)
    )


def without_secrets(text: str, secrets: Iterable[str]) -> str:
    """The text as one short inert line, with each secret replaced."""
    for secret in secrets:
        if len(secret) >= _SECRET_CHARACTERS_MIN:
            text = text.replace(secret, "[secret]")
    line = inert(" ".join(text.split()))
    return line if len(line) <= ERROR_TEXT_MAX else f"{line[:ERROR_TEXT_MAX]}..."


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """The seconds that `Retry-After` asks for (RFC 9110, 10.2.3: a number or a date), at most an hour; None without it."""
    value = headers.get("Retry-After", "").strip()
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - time.time()
        except ValueError:
            return None
    return min(max(seconds, 0.0), RETRY_AFTER_MAX_S) if seconds == seconds else None  # noqa: PLR0124 - NaN


async def _refuse_redirect(*_: object) -> None:
    """For a WebSocket: aiohttp cannot be told otherwise that it must not follow one."""
    raise aiohttp.ClientError("a redirect")


async def _read(response: aiohttp.ClientResponse, bytes_max: int) -> tuple[bytes, bool]:
    """At most `bytes_max` of the body, and whether that is all of it."""
    body = bytearray()
    try:
        while len(body) <= bytes_max:
            chunk = await response.content.read(bytes_max + 1 - len(body))
            if not chunk:
                return bytes(body), True
            body += chunk
    except (aiohttp.ClientError, OSError, asyncio.IncompleteReadError):
        return bytes(body), False
    response.close()  # the rest is not wanted, so the connection cannot be used again
    return bytes(body[:bytes_max]), False


def _failure(request: Request, error: Exception) -> Refused | TryAgain:
    """What an error of the connection means. Its own text may hold the URL, so it is not used."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):  # it has no os_error
        reason = getattr(error.certificate_error, "verify_message", "") or "it is not valid"
        return TryAgain(
            f"{_name(request)}: its certificate is not accepted: {error_text(request, reason)}"
        )
    if isinstance(error, aiohttp.ClientConnectorError):
        cause = error.os_error
        if isinstance(cause, PrivateAddress):
            return Refused(f"{request.service}: {cause}")
        if isinstance(error, aiohttp.ClientConnectorDNSError):
            return TryAgain(f"{_name(request)}: its name cannot be resolved")
        return TryAgain(
            f"{_name(request)}: no connection: {cause.strerror or type(cause).__name__}"
        )
    if isinstance(error, aiohttp.InvalidURL):
        return Refused(f"{request.service}: its URL is none")
    return TryAgain(f"{_name(request)}: the connection broke ({type(error).__name__})")


def _name(request: Request) -> str:
    return f"{request.service} at {inert(URL(request.url).host or 'no host')}"


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
