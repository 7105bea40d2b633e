"""What tools read from an Alertmanager: alerts that fire, their groups, receivers and the status.

Everything comes from the view of `tocsin.alerts`. The header `Tocsin-As-Of` says how old it is:
what the journal took before that time is in the answer.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from importlib.metadata import version

import orjson
from aiohttp import hdrs, web

from app.bridge.firing_alerts import AlertFilter, Document, alert_of, filter_of, groups_of
from app.bridge.responses import as_json
from app.bridge.silence_routes import in_v2, values_of
from app.core.rules.compiled_policy import Rulebook
from app.history.view import View
from models.instant import format_instant

API_VERSION = "0.25.0"  # of an Alertmanager with this API: amtool warns where its own differs
AS_OF, LEFT_OUT = "Tocsin-As-Of", "Tocsin-Left-Out"
CHUNK_ALERTS = 500  # that are looked at at once; then others have their turn


class AlertRoutes:
    """The reading part of Alertmanager's API v2. `policy` is asked for the teams of today."""

    def __init__(self, view: View, policy: Callable[[], Rulebook]) -> None:
        self._view, self._policy = view, policy
        self._started_ms = 0

    def routes(self) -> list[web.RouteDef]:
        """What there is."""
        self._started_ms = self._view.log.now_ms()
        return [
            web.get("/api/v2/status", in_v2(self._get_status)),
            web.get("/api/v2/receivers", in_v2(self._get_receivers)),
            web.get("/api/v2/alerts", in_v2(self._get_alerts)),
            web.get("/api/v2/alerts/groups", in_v2(self._get_groups)),
        ]

    async def _get_alerts(self, request: web.Request) -> web.StreamResponse:
        wanted = filter_of(values_of(request))
        known, as_of_ms = await self._view.alerts.firing(), await self._view.as_of_ms()
        response = web.StreamResponse(headers=_headers(as_of_ms, known.left_out))
        response.content_type = "application/json"
        await response.prepare(request)
        if request.method != hdrs.METH_HEAD:
            async for chunk in _in_chunks(known.documents(), wanted, as_of_ms):
                await response.write(chunk)
        await response.write_eof()
        return response

    async def _get_groups(self, request: web.Request) -> web.Response:
        wanted = filter_of(values_of(request))
        known, as_of_ms = await self._view.alerts.firing(), await self._view.as_of_ms()
        groups = await asyncio.to_thread(groups_of, known.documents(), wanted, as_of_ms)
        response = as_json(groups)
        response.headers.update(_headers(as_of_ms, known.left_out))
        return response

    async def _get_receivers(self, _: web.Request) -> web.Response:
        return as_json([{"name": name} for name in sorted(self._policy().policy.teams)])

    async def _get_status(self, _: web.Request) -> web.Response:
        return as_json(
            {
                "cluster": {"status": "disabled", "peers": []},
                "config": {"original": _configuration(self._policy())},
                "uptime": format_instant(self._started_ms),
                "versionInfo": {
                    "version": API_VERSION,
                    "revision": f"tocsin {version('tocsin')}",
                    "branch": "tocsin",
                    "buildUser": "",
                    "buildDate": "",
                    "goVersion": "",
                },
            }
        )


async def _in_chunks(
    documents: Iterable[Document], wanted: AlertFilter, as_of_ms: int
) -> AsyncIterator[bytes]:
    """The alerts that are asked for as a JSON array, some at a time."""
    separator, items = b"[", list[bytes]()
    for number, document in enumerate(documents, start=1):
        alert = alert_of(document, as_of_ms)
        if wanted.fits(alert):
            items.append(orjson.dumps(alert))
        if number % CHUNK_ALERTS == 0:
            if items:
                yield separator + b",".join(items)
                separator, items = b",", []
            await asyncio.sleep(0)
    start = separator if items or separator == b"[" else b""
    yield start + b",".join(items) + b"]"


def _headers(as_of_ms: int, left_out: int) -> dict[str, str]:
    headers = {AS_OF: format_instant(as_of_ms)}
    return headers | ({LEFT_OUT: str(left_out)} if left_out else {})


def _configuration(rules: Rulebook) -> str:
    """The teams in the shape of Alertmanager's configuration: names only, for tools that parse it."""
    policy = rules.policy
    names = "".join(f"  - name: {_quoted(name)}\n" for name in sorted(policy.teams))
    return (
        "# The teams of Tocsin's policy. `tocsin policy routes` shows what is decided by it.\n"
        f"route:\n  receiver: {_quoted(policy.default_owner)}\nreceivers:\n{names}"
    )


def _quoted(text: str) -> str:
    """A text in YAML: JSON's texts are such."""
    return orjson.dumps(text).decode()
