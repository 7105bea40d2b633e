"""What tools read from an Alertmanager: alerts that fire, their groups, receivers and the status.

Everything comes from the view of `tocsin.alerts`. The header `Tocsin-As-Of` says how old it is:
what the journal took before that time is in the answer.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from importlib.metadata import version

import orjson
from aiohttp import hdrs, web

from app.bridge.alertmanager.firing_alerts import (
    AlertFilter,
    Document,
    Group,
    alert_of,
    filter_of,
    groups_of,
    receiver_matches,
)
from app.bridge.alertmanager.root_alerts import RootAlerts
from app.bridge.alertmanager.silence_routes import in_v2, values_of
from app.bridge.connections.responses import json_response
from app.core.rules.compiled_policy import CompiledPolicy
from app.history.view import View
from models.text.instant import format_instant

API_VERSION = "0.25.0"  # of an Alertmanager with this API: amtool warns where its own differs
AS_OF, LEFT_OUT = "Tocsin-As-Of", "Tocsin-Left-Out"
CHUNK_ALERTS = 500  # that are looked at at once; then others have their turn

Found = tuple[Document, bytes]
Chunks = Callable[[AsyncIterator[Found]], AsyncIterator[bytes]]


class AlertRoutes:
    """The reading part of Alertmanager's API v2. `policy` is asked for the teams of today."""

    def __init__(self, view: View, policy: Callable[[], CompiledPolicy]) -> None:
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
        return await self._stream(request, _alerts_in_chunks)

    async def _get_groups(self, request: web.Request) -> web.StreamResponse:
        return await self._stream(request, _groups_in_chunks)

    async def _stream(self, request: web.Request, chunks: Chunks) -> web.StreamResponse:
        """A JSON array in parts, so that a long one neither takes memory nor the process' time."""
        wanted = filter_of(values_of(request))
        known, as_of_ms = await self._view.alerts.firing(), await self._view.as_of_ms()
        response = web.StreamResponse(headers={AS_OF: format_instant(as_of_ms)})
        if known.left_out:
            response.headers[LEFT_OUT] = str(known.left_out)
        response.content_type = "application/json"
        await response.prepare(request)
        if request.method != hdrs.METH_HEAD:
            separator = b"["
            roots = RootAlerts(self._view.incidents, known.values)
            async for chunk in chunks(_found(known.documents(), wanted, as_of_ms, roots)):
                await response.write(separator + chunk)
                separator = b","
            await response.write(b"[]" if separator == b"[" else b"]")
        await response.write_eof()
        return response

    async def _get_receivers(self, request: web.Request) -> web.Response:
        names = sorted(self._policy().policy.teams) if receiver_matches(values_of(request)) else []
        return json_response([{"name": name} for name in names])

    async def _get_status(self, _: web.Request) -> web.Response:
        return json_response(
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


async def _found(
    documents: Iterable[Document], wanted: AlertFilter, as_of_ms: int, roots: RootAlerts
) -> AsyncIterator[Found]:
    """The records that are asked for, each with its alert as JSON; others have their turn between."""
    for number, document in enumerate(documents, start=1):
        inhibited_by = await roots.inhibited_by(document) if document["suppressed_by"] else []
        alert = alert_of(document, as_of_ms, inhibited_by)
        if wanted.fits(alert):
            yield document, orjson.dumps(alert)
        if number % CHUNK_ALERTS == 0:
            await asyncio.sleep(0)


async def _alerts_in_chunks(alerts: AsyncIterator[Found]) -> AsyncIterator[bytes]:
    items = list[bytes]()
    async for _, alert in alerts:
        items.append(alert)
        if len(items) == CHUNK_ALERTS:
            yield b",".join(items)
            items = []
    if items:
        yield b",".join(items)


async def _groups_in_chunks(shown: AsyncIterator[Found]) -> AsyncIterator[bytes]:
    groups: dict[Group, list[bytes]] = {}
    async for document, alert in shown:
        for group in groups_of(document):
            groups.setdefault(group, []).append(alert)
    for group, alerts in sorted(groups.items()):
        parts = orjson.dumps(group.labels), orjson.dumps({"name": group.receiver})
        yield b'{"alerts":[%s],"labels":%s,"routeLabels":{},"receiver":%s}' % (
            b",".join(alerts),
            *parts,
        )


def _configuration(rules: CompiledPolicy) -> str:
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
