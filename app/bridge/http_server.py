"""HTTP on a port.

What is asked is let in (`door`, `access`), counted, and answered; tokens and certificates stay
fresh.
"""

import asyncio
import errno
from collections.abc import Sequence

from aiohttp import web
from aiohttp.typedefs import Middleware
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from app.bridge.access.authorization import Access, Needs
from app.bridge.access.certificates import certificate_of
from app.bridge.access.proxies import TrustedProxies
from app.bridge.access.tokens import Tokens, tokens_in
from app.bridge.connections.limits import Limits, limits_of
from app.bridge.connections.listener import Listener, check_address
from app.bridge.connections.paths import with_plain_paths
from app.bridge.connections.rate_limits import Senders
from app.bridge.connections.responses import (
    answer_errors,
    json_response,
    logger,
    refuse_expectations,
)
from app.files.file_watcher import SECONDS
from app.settings import BadSettings, Settings, is_loopback

STOP_SECONDS = 5.0  # for requests under way


class HttpServer:
    """A server of some resources. Raises BadSettings when tokens or certificates cannot be read.

    `setting` is the variable that chose the port.
    """

    def __init__(
        self,
        settings: Settings,
        port: int,
        limits: Limits,
        setting: str = "TOCSIN_PORT",
        pages: Needs | None = None,
    ) -> None:
        """`pages` is what resources for browsers take."""
        security = settings.http
        self._settings, self._port, self._limits = settings, port, limits
        self._setting = setting
        self._tokens = tokens_in(security.tokens_file) if security.tokens_file else None
        self._certificate = certificate_of(security)
        self._access = Access(
            self._tokens,
            Senders(limits),
            certificates=bool(security.client_ca_file),
            allowed_hosts=security.allowed_hosts,
            proxies=TrustedProxies(security.user_header, security.proxies),
            pages=pages,
        )
        self._runner: web.AppRunner | None = None
        self._door: Listener | None = None
        self._rereading: asyncio.Task[None] | None = None
        self.url = ""

    async def check(self) -> None:
        """Raise BadSettings when nothing can listen there, before anything is started."""
        try:
            await check_address(self._settings.host, self._port)
        except OSError as error:
            raise self._cannot_listen(error) from None

    @property
    def tokens(self) -> Tokens | None:
        """The tokens as they stand in their file now; None where nobody is asked for one."""
        return self._tokens.value if self._tokens is not None else None

    async def start(
        self,
        routes: Sequence[web.RouteDef],
        pages: Sequence[web.RouteDef] = (),
        outermost: Sequence[Middleware] = (),
    ) -> None:
        """Listen. `outermost` see every answer last. Raises BadSettings when the port is taken."""
        ways = ", ".join(f"{route.method} {route.path}" for route in routes)
        inner = (answer_errors(ways), self._access.middleware())
        app = web.Application(middlewares=[*outermost, *inner])
        app.router.add_routes([*routes, *pages])
        self._runner = web.AppRunner(app, shutdown_timeout=STOP_SECONDS)
        await self._runner.setup()
        assert self._runner.server is not None
        self._runner.server.request_handler = refuse_expectations(
            self._runner.server.request_handler
        )
        self._runner.server.request_factory = with_plain_paths(
            self._runner.server.request_factory, self._settings.http.route_prefix
        )
        certificate = self._certificate
        self._door = Listener(
            self._runner.server,
            self._limits,
            lambda: certificate.value if certificate else None,
            identified=self._settings.http.identified,
        )
        try:
            host, port = await self._door.open(self._settings.host, self._port)
        except OSError as error:
            raise self._cannot_listen(error) from None
        scheme = "https" if certificate else "http"
        self.url = f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"
        self._rereading = asyncio.create_task(self._reread())
        self._warn()

    async def stop(self) -> None:
        """Answer what is under way, and stop listening."""
        if self._rereading is not None:
            self._rereading.cancel()
        if self._door is not None:
            await self._door.close()
        if self._runner is not None:
            await self._runner.cleanup()

    def _cannot_listen(self, error: OSError) -> BadSettings:
        host, port, name = self._settings.host, self._port, self._setting
        if error.errno == errno.EADDRINUSE:
            return BadSettings(
                f"port {port} of {host} is taken: stop what uses it, or set {name} to another"
            )
        if error.errno in (errno.EACCES, errno.EPERM):
            return BadSettings(
                f"port {port} of {host} is not allowed for this user: set {name} to 1024 or more"
            )
        return BadSettings(
            f"TOCSIN_HOST is {host!r}, must be an address of this machine ({error.strerror})"
        )

    async def _reread(self) -> None:
        while True:
            await asyncio.sleep(SECONDS)
            for files in (self._tokens, self._certificate):
                if files is not None:
                    await asyncio.to_thread(files.refresh)

    def _warn(self) -> None:
        security, beyond = self._settings.http, not is_loopback(self._settings.host)
        if security.insecure:
            logger.warning(
                "TOCSIN_INSECURE: whoever can reach %s may do EVERYTHING, and nobody is asked who they are",
                self.url,
            )
        elif not security.identified:
            logger.info(
                "whoever uses this machine may do everything at %s: there are no TOCSIN_TOKENS",
                self.url,
            )
        if security.tokens_file and beyond and not security.cert_file:
            logger.warning(
                "tokens go to %s unencrypted: set TOCSIN_TLS_CERT, unless TLS ends at a proxy before it",
                self.url,
            )


class MetricsServer:
    """A worker's metrics, on a port of their own.

    Raises BadSettings when tokens or certificates cannot be read.
    """

    def __init__(self, settings: Settings) -> None:
        limits = limits_of(settings.http)
        self._server = HttpServer(settings, settings.metrics_port, limits, "TOCSIN_METRICS_PORT")

    async def check(self) -> None:
        """Raise BadSettings when nothing can listen there."""
        await self._server.check()

    async def start(self) -> None:
        """Listen. Raises BadSettings when the port is taken."""
        await self._server.start(
            [web.get("/metrics", _get_metrics), web.get("/healthz", get_health)]
        )

    @property
    def url(self) -> str:
        """Where it listens, once it does."""
        return self._server.url

    async def stop(self) -> None:
        """Stop listening."""
        await self._server.stop()


def answer_metrics() -> web.Response:
    """The metrics of this process."""
    return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})


async def get_health(_: web.Request) -> web.Response:
    """The process is alive, whatever the journal does."""
    return json_response({"status": "alive"})


async def _get_metrics(_: web.Request) -> web.Response:
    return answer_metrics()
