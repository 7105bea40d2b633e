"""Who asks, whether they may, and whether it is not too much: before anything else is done with a request.

Whoever has a token says it as `Authorization: Bearer TOKEN`, or by a name and the token as the
password (`Basic`). A browser that logged in has a cookie instead, with which only pages can be
asked for. Where there are no tokens, everybody who can reach the bridge may do everything; it is
then for loopback, or a network of friends.
"""

import base64
import binascii
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import cast

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from app import metrics
from app.bridge.access.certificates import client_name
from app.bridge.access.hosts import check_host
from app.bridge.access.proxies import TrustedProxies
from app.bridge.access.sessions import COOKIE, session_holder
from app.bridge.access.tokens import Permission, TokenHolder, Tokens
from app.bridge.board.board import RESOURCES
from app.bridge.connections.connection import Connection
from app.bridge.connections.limits import FRAMING_BYTES_ALERT
from app.bridge.connections.rate_limits import Sender, Senders, address_key
from app.bridge.connections.responses import RequestDeclined, logger
from app.files.file_watcher import WatchedFiles

Needs = Mapping[tuple[str, str], Permission | None]  # by method and resource

# What each resource takes. What is not here, and what does not exist, is for operators.
PERMISSIONS: Needs = {
    ("GET", "/healthz"): None,  # probes have no token
    ("GET", "/readyz"): None,
    ("GET", "/-/healthy"): None,
    ("GET", "/-/ready"): None,
    ("GET", "/api/v1/health"): Permission.READ,
    ("GET", "/api/v2/status"): Permission.READ,
    ("GET", "/api/v2/receivers"): Permission.READ,
    ("GET", "/api/v2/alerts"): Permission.READ,
    ("GET", "/api/v2/alerts/groups"): Permission.READ,
    ("POST", "/api/v2/alerts"): Permission.SEND,
    ("POST", "/webhook/alertmanager"): Permission.SEND,
    ("POST", "/api/v1/heartbeats/{name}"): Permission.SEND,
    ("POST", "/api/v1/webhooks/{name}"): Permission.SEND,
    ("POST", "/api/v1/cloudevents"): Permission.SEND,
    ("POST", "/v2/enqueue"): None,  # its routing key is a token (`PagerDutyEventRoutes`)
    ("POST", "/api/v1/receipts"): Permission.NOTIFY,
    ("POST", "/api/v1/deadletters/{letter}/resubmitted"): Permission.SEND,
    **{("GET", path): Permission.READ for path in RESOURCES},
    ("GET", "/api/v2/silences"): Permission.READ,
    ("GET", "/api/v2/silence/{id}"): Permission.READ,
    ("GET", "/api/v1/silences"): Permission.READ,
    ("GET", "/metrics"): Permission.READ,
    ("GET", "/progress"): Permission.READ,
    ("POST", "/api/v1/incidents"): Permission.OPERATE,
    ("POST", "/api/v1/incidents/{incident}/{command}"): Permission.OPERATE,
    ("POST", "/api/v2/silences"): Permission.OPERATE,
    ("DELETE", "/api/v2/silence/{id}"): Permission.OPERATE,
    ("POST", "/api/v1/silences"): Permission.OPERATE,
    ("DELETE", "/api/v1/silence/{id}"): Permission.OPERATE,
    ("POST", "/api/v1/silences/preview"): Permission.OPERATE,
    ("GET", "/act/{token}"): None,
    ("POST", "/act/{token}"): None,
    ("POST", "/api/v1/pagerduty"): None,
    ("POST", "/api/v1/sns/{name}"): None,
    ("PUT", "/clock"): Permission.OPERATE,
    ("POST", "/-/reload"): Permission.OPERATE,
}
# What proves by itself who asks: a signed link, a signed webhook. Who sends it is counted by address,
# so that nobody can try for ever.
SIGNED = frozenset(
    {
        ("GET", "/act/{token}"),
        ("POST", "/act/{token}"),
        ("POST", "/api/v1/pagerduty"),
        ("POST", "/api/v1/sns/{name}"),
        ("POST", "/v2/enqueue"),
    }
)

PROXY_MAY = frozenset({Permission.READ, Permission.OPERATE})  # whom a trusted proxy has logged in


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks.

    `name` is of the token or the certificate, and empty where nobody is asked for one. `may` is what
    the token allows.
    """

    name: str
    sender: Sender
    may: frozenset[Permission] = frozenset(Permission)

    def check(self) -> None:
        """Raise RequestDeclined when it has asked too often, or sent too much."""
        self._check(self.sender.wait_seconds())

    def check_alerts(self) -> None:
        """Raise RequestDeclined when it has sent too much since it was let in, by other requests."""
        self._check(self.sender.wait_seconds_for_alerts())

    def _check(self, wait: int) -> None:
        if wait:
            text = f"{self.sender.name} sends more than it may; nothing of this was kept, send it again in {wait} s"
            if self.sender.is_to_be_told():
                logger.warning(
                    "%s sends more than it may, and is asked to wait for %d s",
                    self.sender.name,
                    wait,
                )
            raise RequestDeclined(429, "too_much", text, wait)

    def count_alerts(self, number: float) -> None:
        """So many alerts, or KiB, were sent."""
        self.sender.count_alerts(number)

    def signature_of(self, by: str) -> str:
        """Who says something.

        As they call themselves, and by whose token, unless that is the same.
        """
        via = f" (via {self.name})"
        return by if not self.name or by == self.name or by.endswith(via) else f"{by}{via}"


_ASKER = web.RequestKey("asker", Asker)


def asker_of(request: web.Request) -> Asker:
    """Who sent a request that was let in."""
    return request[_ASKER]


class Access:
    """Lets requests in.

    `tokens` is None, and `certificates` is False, where nobody is asked for one.
    """

    def __init__(
        self,
        tokens: WatchedFiles[Tokens] | None,
        senders: Senders,
        *,
        certificates: bool,
        allowed_hosts: Collection[str] = (),
        proxies: TrustedProxies,
        pages: Needs | None = None,
    ) -> None:
        """`pages` is what resources for browsers take, beside `PERMISSIONS`."""
        self._allowed_hosts, self._proxies = allowed_hosts, proxies
        self._tokens, self._senders, self._certificates = tokens, senders, certificates
        self._pages = pages or {}
        self._needs = {**PERMISSIONS, **self._pages}

    def middleware(self) -> Middleware:
        """The middleware that does it. Raises RequestDeclined."""

        @web.middleware
        async def let_in(request: web.Request, handler: Handler) -> web.StreamResponse:
            connection = cast(Connection, request.protocol)
            connection.begin_request()
            try:
                asker = request[_ASKER] = self._authenticate(request)
                metrics.SENDERS.set(len(self._senders))
                connection.trusted = connection.trusted or bool(asker.name)
                return await handler(request)
            finally:
                charged = request.get(_ASKER) or self._asker_by_address(request)
                charged.count_alerts(connection.framing_bytes / FRAMING_BYTES_ALERT)

        return let_in

    def _authenticate(self, request: web.Request) -> Asker:
        route = _route_of(request)
        need = self._needs.get(route, Permission.OPERATE)
        if route in SIGNED or need is None:
            asker = self._asker_by_address(request)
            if route in SIGNED or request.can_read_body:
                self._begin(asker)
            # Else it costs less than to refuse it, and probes must not fail because others ask
            # too much.
            return asker
        user = self._proxies.user_of(request) if route in self._pages else ""
        if user:
            asker = Asker(user, self._senders.of(f"user {user}"), PROXY_MAY)
        elif self._tokens is None:
            asker = self._without_token(request)
        else:
            try:
                logged_in = self._logged_in(request) if route in self._pages else None
                holder = logged_in or authorized_holder(request, self._tokens.value)
                _check_role(holder, need)
            except RequestDeclined as refusal:
                # It counts for the address, so that nobody can try for ever, and only now: who has
                # a token is not kept out by others that come from where it does.
                self._begin(self._asker_by_address(request))
                self._log_refusal(request, refusal)
                raise
            asker = Asker(holder.name, self._senders.of(f"token {holder.name}"), holder.may)
        self._begin(asker)
        return asker

    def _logged_in(self, request: web.Request) -> TokenHolder | None:
        assert self._tokens is not None
        cookie = request.cookies.get(COOKIE, "")
        return session_holder(self._tokens.value, cookie, int(time.time()))

    def _begin(self, asker: Asker) -> None:
        asker.check()
        asker.sender.count_request()

    def _without_token(self, request: web.Request) -> Asker:
        if self._certificates:
            name = client_name(request.get_extra_info("peercert") or {})
            return Asker(name, self._senders.of(f"certificate {name}"))
        check_host(request.headers, self._allowed_hosts)
        return self._asker_by_address(request)

    def _asker_by_address(self, request: web.Request) -> Asker:
        return Asker("", self._senders.of(f"address {address_key(request.remote)}"))

    def _log_refusal(self, request: web.Request, refusal: RequestDeclined) -> None:
        if self._asker_by_address(request).sender.is_to_be_told():
            logger.warning("refused to %s: %s", request.remote, refusal)


def _route_of(request: web.Request) -> tuple[str, str]:
    """The method and the path of what is asked, as PERMISSIONS has them."""
    resource = request.match_info.route.resource
    method = "GET" if request.method == "HEAD" else request.method
    return method, resource.canonical if resource else ""


def authorized_holder(request: web.Request, tokens: Tokens) -> TokenHolder:
    """Whose token a request has. Raises RequestDeclined."""
    headers = request.headers.getall("Authorization", [])
    if not headers:
        text = "there is no token, must be one of TOCSIN_TOKENS: Authorization: Bearer TOKEN"
        raise RequestDeclined(401, "no_token", text)
    scheme, _, rest = headers[0].strip().partition(" ")
    name, token = None, rest.strip()
    if scheme.lower() == "basic":
        name, token = parse_basic_credentials(token)
    elif scheme.lower() != "bearer":
        token = ""
    holder = tokens.find_holder(token)
    if holder is None or len(headers) > 1 or name not in (None, holder.name):
        raise RequestDeclined(401, "wrong_token", "the token is not one of TOCSIN_TOKENS")
    return holder


def _check_role(holder: TokenHolder, need: Permission) -> None:
    """Refuse who may not do what a request needs. Raises RequestDeclined."""
    if need not in holder.may:
        may = ", ".join(permission for permission in Permission if permission in holder.may)
        raise RequestDeclined(
            403, "not_allowed", f"the token of {holder.name} may {may}, must be one that may {need}"
        )


def parse_basic_credentials(text: str) -> tuple[str, str]:
    """Name and password of basic authentication; empty ones when there are none."""
    try:
        name, _, password = base64.b64decode(text, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return "", ""
    return name, password
