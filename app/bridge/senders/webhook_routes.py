"""`POST /api/v1/webhooks/NAME` and `POST /api/v1/cloudevents`: alerts in shapes of others.

A mapping of the policy, or one that ships with Tocsin, says what becomes of a body.
"""

from collections.abc import Callable
from typing import Any

from aiohttp import web

from app.bridge.access.authorization import asker_of
from app.bridge.access.request_bodies import CONTENT_TYPES, Bodies
from app.bridge.connections.partial_refusal import partial_refusal
from app.bridge.connections.refusals import count_refusal
from app.bridge.connections.responses import RequestDeclined, json_response
from app.bridge.senders.keyed_alerts import KeyedAlerts
from app.bridge.senders.pagerduty_event_routes import Accept
from app.core.rules.compiled_policy import CompiledPolicy
from app.history.alert_keys import KEY
from app.intake.cloud_events import BATCH, STRUCTURED, events_of, has_alerts
from app.intake.mapped_webhooks import in_mapping, mapped_entries, parse_mapped
from app.intake.normalise import Entries
from app.intake.raw_events import alerts_in
from app.intake.shipped_mappings import CLOUD_EVENTS, SHIPPED
from models.policy.webhook_mapping import WebhookMapping
from models.reason import BadInput, Reason
from models.text.suggest import did_you_mean

WEBHOOK, EVENTS = "/api/v1/webhooks/{name}", "/api/v1/cloudevents"


class WebhookRoutes:
    """The resources. `accept` writes alerts into the journal, and returns what was refused."""

    def __init__(
        self,
        bodies: Bodies,
        keyed: KeyedAlerts,
        accept: Accept,
        policy: Callable[[], CompiledPolicy],
    ) -> None:
        self._bodies, self._keyed = bodies, keyed
        self._accept, self._policy = accept, policy

    def routes(self) -> list[web.RouteDef]:
        """What there is."""
        return [web.post(WEBHOOK, self._post_webhook), web.post(EVENTS, self._post_events)]

    async def _post_webhook(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        self._mapping(name)  # an unknown one is refused before the body is read
        document = await self._bodies.read_json(request, parsed_by=parse_mapped)
        return await self.answer_mapped(request, name, document)

    async def answer_mapped(self, request: web.Request, name: str, document: Any) -> web.Response:
        """Make alerts of a document by the mapping of that name. Raises BadInput and RequestDeclined."""
        mapping = self._mapping(name)
        mapped = in_mapping(await self._with_keys(mapped_entries(name, mapping, document)))
        return await self._answer(request, [mapped])

    async def _post_events(self, request: web.Request) -> web.Response:
        types = (*CONTENT_TYPES, STRUCTURED, BATCH)
        document = await self._bodies.read_json(request, types, parsed_by=parse_mapped)
        parts: list[Entries] = []
        for event in events_of(request.content_type, request.headers, document):
            if has_alerts(event):
                parts.append(alerts_in(event["data"]))
            else:
                entries = mapped_entries(CLOUD_EVENTS, self._mapping(CLOUD_EVENTS), event)
                parts.append(in_mapping(await self._with_keys(entries)))
        return await self._answer(request, parts)

    async def _answer(self, request: web.Request, parts: list[Entries]) -> web.Response:
        refused: list[BadInput] = []
        number = 0
        for part in parts:
            refused += await self._accept(part, asker_of(request))
            number += len(part.entries)
        accepted = number - len(refused)
        if not refused:
            return json_response({"status": "success", "accepted": accepted})
        for refusal in refused:
            count_refusal(refusal.reason, refusal.message)
        return partial_refusal(accepted, refused)

    async def _with_keys(self, entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The entries with the labels that those with a key had before."""
        whole: list[dict[str, Any]] = []
        for entry in entries:
            whole += await self._keyed.entries(entry) if KEY in entry["labels"] else [entry]
        return whole

    def _mapping(self, name: str) -> WebhookMapping:
        """The mapping of that name. Raises RequestDeclined."""
        known = {**SHIPPED, **self._policy().policy.webhooks}
        mapping = known.get(name)
        if mapping is None:
            message = f"there is no mapping {name!r:.60}, must be one of {', '.join(sorted(known))}"
            raise RequestDeclined(
                404,
                Reason.UNKNOWN_NAME,
                f"{message}, or of the policy's `webhooks`{did_you_mean(name, known)}",
            )
        return mapping
