"""Who asks, whether they may, and whether it is not too much: before anything else is done with a request.

Whoever has a token says it as `Authorization: Bearer TOKEN`, or by a name and the token as the
password (`Basic`). Where there are no tokens, everybody who can reach the bridge may do everything;
it is then for loopback, or a network of friends.
"""

import base64
import binascii
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from app import metrics
from app.bridge.board import RESOURCES
from app.bridge.certificates import name_in
from app.bridge.connection import Connection
from app.bridge.rate_limits import Sender, Senders, address_of
from app.bridge.responses import Declined, logger
from app.bridge.tokens import Holder, May, Tokens
from app.files.file_watcher import Reread

# What each resource takes. What is not here, and what does not exist, is for operators.
NEEDS: Mapping[tuple[str, str], May | None] = {
    ("GET", "/healthz"): None,  # probes have no token
    ("GET", "/readyz"): None,
    ("GET", "/-/healthy"): None,
    ("GET", "/-/ready"): None,
    ("GET", "/api/v2/status"): May.READ,
    ("GET", "/api/v2/receivers"): May.READ,
    ("GET", "/api/v2/alerts"): May.READ,
    ("GET", "/api/v2/alerts/groups"): May.READ,
    ("POST", "/api/v2/alerts"): May.SEND,
    ("POST", "/webhook/alertmanager"): May.SEND,
    ("POST", "/api/v1/receipts"): May.NOTIFY,
    ("POST", "/api/v1/deadletters/{letter}/resubmitted"): May.SEND,
    **{("GET", path): May.READ for path in RESOURCES},
    ("GET", "/api/v2/silences"): May.READ,
    ("GET", "/api/v2/silence/{id}"): May.READ,
    ("GET", "/api/v1/silences"): May.READ,
    ("GET", "/metrics"): May.READ,
    ("GET", "/progress"): May.READ,
    ("POST", "/api/v1/incidents/{incident}/{command}"): May.OPERATE,
    ("POST", "/api/v2/silences"): May.OPERATE,
    ("DELETE", "/api/v2/silence/{id}"): May.OPERATE,
    ("POST", "/api/v1/silences"): May.OPERATE,
    ("DELETE", "/api/v1/silence/{id}"): May.OPERATE,
    ("POST", "/api/v1/silences/preview"): May.OPERATE,
    ("PUT", "/clock"): May.OPERATE,
    ("POST", "/-/reload"): May.OPERATE,
}


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks.

    `name` is of the token or the certificate, and empty where nobody is asked for one.
    """

    name: str
    sender: Sender

    def check(self) -> None:
        """Raise Declined when it has asked too often, or sent too much."""
        self._check(self.sender.wait_seconds())

    def check_alerts(self) -> None:
        """Raise Declined when it has sent too much since it was let in, by other requests."""
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
            raise Declined(429, "too_much", text, wait)

    def count_alerts(self, number: float) -> None:
        """So many alerts, or KiB, were sent."""
        self.sender.count_alerts(number)

    def signed(self, by: str) -> str:
        """Who says something.

        As they call themselves, and by whose token, unless that is the same.
        """
        via = f" (via {self.name})"
        return by if not self.name or by == self.name or by.endswith(via) else f"{by}{via}"


_ASKER = web.RequestKey("asker", Asker)


def sender_of(request: web.Request) -> Asker:
    """Who sent a request that was let in."""
    return request[_ASKER]


class Access:
    """Lets requests in.

    `tokens` is None, and `certificates` is False, where nobody is asked for one.
    """

    def __init__(
        self, tokens: Reread[Tokens] | None, senders: Senders, *, certificates: bool
    ) -> None:
        self._tokens, self._senders, self._certificates = tokens, senders, certificates

    def middleware(self) -> Middleware:
        """The middleware that does it. Raises Declined."""

        @web.middleware
        async def let_in(request: web.Request, handler: Handler) -> web.StreamResponse:
            cast(Connection, request.protocol).begin_request()
            request[_ASKER] = self._asker(request)
            metrics.SENDERS.set(len(self._senders))
            return await handler(request)

        return let_in

    def _asker(self, request: web.Request) -> Asker:
        need = _need(request)
        if (
            need is None
        ):  # it costs less than to refuse it, and probes must not fail because others ask too much
            return self._address(request)
        if self._tokens is None:
            asker = self._without_token(request)
        else:
            try:
                holder = _holder(request, self._tokens.value, need)
            except Declined as refusal:
                # It counts for the address, so that nobody can try for ever, and only now: who has
                # a token is not kept out by others that come from where it does.
                self._begin(self._address(request))
                self._tell(request, refusal)
                raise
            asker = Asker(holder.name, self._senders.of(f"token {holder.name}"))
        self._begin(asker)
        return asker

    def _begin(self, asker: Asker) -> None:
        asker.check()
        asker.sender.count_request()

    def _without_token(self, request: web.Request) -> Asker:
        if self._certificates:
            name = name_in(request.get_extra_info("peercert") or {})
            return Asker(name, self._senders.of(f"certificate {name}"))
        _check_host(request)
        return self._address(request)

    def _address(self, request: web.Request) -> Asker:
        return Asker("", self._senders.of(f"address {address_of(request.remote)}"))

    def _tell(self, request: web.Request, refusal: Declined) -> None:
        if self._address(request).sender.is_to_be_told():
            logger.warning("refused to %s: %s", request.remote, refusal)


def _need(request: web.Request) -> May | None:
    resource = request.match_info.route.resource
    method = "GET" if request.method == "HEAD" else request.method
    return NEEDS.get((method, resource.canonical if resource else ""), May.OPERATE)


def _holder(request: web.Request, tokens: Tokens, need: May) -> Holder:
    """Whose token a request has, which may do what it needs. Raises Declined."""
    found = request.headers.getall("Authorization", [])
    if not found:
        text = "there is no token, must be one of TOCSIN_TOKENS: Authorization: Bearer TOKEN"
        raise Declined(401, "no_token", text)
    scheme, _, rest = found[0].strip().partition(" ")
    name, token = None, rest.strip()
    if scheme.lower() == "basic":
        name, token = _basic(token)
    elif scheme.lower() != "bearer":
        token = ""
    holder = tokens.holder(token)
    if holder is None or len(found) > 1 or name not in (None, holder.name):
        raise Declined(401, "wrong_token", "the token is not one of TOCSIN_TOKENS")
    if need not in holder.may:
        may = ", ".join(one for one in May if one in holder.may)
        raise Declined(
            403, "not_allowed", f"the token of {holder.name} may {may}, must be one that may {need}"
        )
    return holder


def _basic(text: str) -> tuple[str, str]:
    """Name and password of basic authentication; empty ones when there are none."""
    try:
        name, _, password = base64.b64decode(text, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return "", ""
    return name, password


def _check_host(request: web.Request) -> None:
    """Refuse what a web page may have sent by way of its reader's browser. Raises Declined.

    A page of any site can point a name of its own at 127.0.0.1 and then ask the bridge as if it
    were its own server. A browser names the site in `Host`. It cannot be an address, nor a name
    without a dot, such as localhost or a container's.
    """
    host = request.headers.get("Host", "").strip()
    name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    if "." in name or ":" in name:
        try:
            ipaddress.ip_address(name)
        except ValueError:
            text = f"the bridge has no tokens, so it must be asked by an address or localhost, is asked as {name!r:.80}"
            raise Declined(
                403, "foreign_host", f"{text}; with TOCSIN_TOKENS it may have any name"
            ) from None
