"""The resources of probes and monitors.

`/readyz` is about this bridge alone. It is ready while it can append, whatever the workers do: an
orchestrator that took it out of service would lose the alerts that a worker can apply later.
"""

from aiohttp import web

from app.bridge.connections.responses import json_response
from app.bridge.health.health_watch import HealthWatch
from app.bridge.writer import JournalWriter

PATH = "/api/v1/health"


class HealthRoutes:
    """The resources of probes and monitors."""

    def __init__(self, watch: HealthWatch, writer: JournalWriter) -> None:
        self._watch, self._writer = watch, writer

    def routes(self) -> list[web.RouteDef]:
        """What there is."""
        return [
            web.get(PATH, self._get_health),
            web.get("/readyz", self._get_ready),
            web.get("/-/ready", self._get_ready),
        ]

    async def _get_ready(self, _: web.Request) -> web.Response:
        """503 while the journal takes nothing. Raises LogUnavailable."""
        await self._writer.probe()
        problems = await self._watch.now()
        if not problems:
            return json_response({"status": "ready"})
        return json_response(
            {"status": "degraded", "problems": [problem.text for problem in problems]}
        )

    async def _get_health(self, _: web.Request) -> web.Response:
        document = await self._watch.document()
        return json_response(document, 503 if document["problems"] else 200)
