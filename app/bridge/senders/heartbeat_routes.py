"""`POST /api/v1/heartbeats/NAME`: a job says that it ran. When it does not for long enough, an incident opens.

NAME is of the policy's `heartbeats`; for how long it may be missing is the rule's `missing`.
"""

from collections.abc import Callable

from aiohttp import web

from app.bridge.access.authorization import asker_of
from app.bridge.connections.refusals import count_refusal
from app.bridge.connections.responses import error_json, json_response, refuse_web_page
from app.bridge.senders.pagerduty_event_routes import Accept
from app.core.rules.compiled_policy import CompiledPolicy
from app.intake.made_labels import heartbeat_labels
from app.intake.normalise import Entries
from app.transport.log import Log
from models.reason import BadInput
from models.text.duration import format_ms
from models.text.instant import format_instant

PATH = "/api/v1/heartbeats/{name}"


class HeartbeatRoutes:
    """The resource. `accept` writes alerts into the journal, and returns what was refused."""

    def __init__(self, log: Log, policy: Callable[[], CompiledPolicy], accept: Accept) -> None:
        self._log, self._policy, self._accept = log, policy, accept
        self._since_ms: dict[str, int] = {}  # of the policy's names, of which there are a few

    def routes(self) -> list[web.RouteDef]:
        """What there is."""
        return [web.post(PATH, self._post)]

    async def _post(self, request: web.Request) -> web.Response:
        """A body is not needed, and not read: curl sends what a job printed, perhaps."""
        if not asker_of(request).name:  # a page has no token
            refuse_web_page(request)
        name, policy, now_ms = request.match_info["name"], self._policy(), self._log.now_ms()
        try:
            labels = heartbeat_labels(policy, name)
        except BadInput as refusal:
            count_refusal(refusal.reason, refusal.message)
            return error_json(404, refusal.reason, refusal.message)
        rule = policy.heartbeat(name)
        assert rule is not None
        since_ms = self._since_ms.setdefault(name, now_ms)
        due_ms = now_ms + rule.missing
        entry = {
            "labels": labels,
            "annotations": {"summary": f"{name} was heard of"},
            "startsAt": format_instant(since_ms),
            "endsAt": format_instant(due_ms),
        }
        for refused in await self._accept(Entries([entry], ""), asker_of(request)):
            raise refused
        return json_response(
            {
                "status": "success",
                "heartbeat": name,
                "grace": format_ms(rule.missing),
                "missing_at": format_instant(due_ms),
            }
        )
