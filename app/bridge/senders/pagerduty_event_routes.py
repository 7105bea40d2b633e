"""`POST /v2/enqueue`: events in the shape of PagerDuty's Events API v2, answered in its shape.

A routing key is a token of the bridge with the role `send`, for its clients send no other.
"""

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from app import metrics
from app.bridge.access.authorization import Asker, asker_of
from app.bridge.access.hosts import check_host
from app.bridge.access.request_bodies import Bodies
from app.bridge.access.tokens import Permission, Tokens
from app.bridge.commands.acts import ActRunner
from app.bridge.connections.refusals import count_refusal
from app.bridge.connections.responses import json_response
from app.bridge.senders.keyed_alerts import KeyedAlerts
from app.intake.normalise import Entries
from app.intake.pagerduty_events import SENDER, EventAction, PagerDutyEvent, parse_event
from app.notifier.replies.act import ActCommand, make_act
from models.reason import BadInput

PATH = "/v2/enqueue"
SHOWN_SECONDS = 2.0  # that an acknowledgement waits for the incident of its alert
LOOK_SECONDS = 0.2

Accept = Callable[[Entries, Asker], Awaitable[list[BadInput]]]


class PagerDutyEventRoutes:
    """The resource. `accept` writes alerts into the journal, and returns what was refused."""

    def __init__(
        self,
        bodies: Bodies,
        keyed: KeyedAlerts,
        accept: Accept,
        runner: ActRunner,
        tokens: Callable[[], Tokens | None],
        allowed_hosts: tuple[str, ...],
    ) -> None:
        self._bodies, self._keyed, self._accept = bodies, keyed, accept
        self._runner, self._tokens, self._allowed_hosts = runner, tokens, allowed_hosts

    def routes(self) -> list[web.RouteDef]:
        """What there is."""
        return [web.post(PATH, self._post)]

    async def _post(self, request: web.Request) -> web.Response:
        try:
            event = parse_event(await self._bodies.read_json(request))
            self._authorize(request, event)
            await self._carry_out(event, asker_of(request))
        except BadInput as refusal:
            count_refusal(refusal.reason, refusal.message)
            return _invalid(refusal.message)
        except _WrongKey:
            count_refusal("wrong_token", "a routing key is no token that may send")
            return _invalid("'routing_key' is invalid")
        answer = {"status": "success", "message": "Event processed", "dedup_key": event.key}
        return json_response(answer, 202)

    def _authorize(self, request: web.Request, event: PagerDutyEvent) -> None:
        """Raises _WrongKey, and RequestDeclined for a web page of a stranger."""
        tokens = self._tokens()
        if tokens is None:
            check_host(request.headers, self._allowed_hosts)
            return
        holder = tokens.find_holder(event.routing_key)
        if holder is None or Permission.SEND not in holder.may:
            raise _WrongKey

    async def _carry_out(self, event: PagerDutyEvent, asker: Asker) -> None:
        """Raises BadInput and LogUnavailable."""
        if event.action is EventAction.ACKNOWLEDGE:
            await self._acknowledge(event)
            return
        labels = {"sender": SENDER, "dedup_key": event.key}
        entry = event.entry or {"status": "resolved", "labels": labels}
        entries = await self._keyed.entries(entry)
        if not entries:
            metrics.ACTS.labels(SENDER, "ignored").inc()
        for refusal in await self._accept(Entries(entries, "", until_resolved=True), asker):
            raise refusal

    async def _acknowledge(self, event: PagerDutyEvent) -> None:
        """Acknowledge the incident of the alert, which the worker may be about to open."""
        incident = await self._keyed.incident(SENDER, event.key)
        waits = SHOWN_SECONDS if self._keyed.is_known(SENDER, event.key) else 0.0
        while not incident and waits > 0:
            await asyncio.sleep(LOOK_SECONDS)
            waits -= LOOK_SECONDS
            incident = await self._keyed.incident(SENDER, event.key)
        if not incident:
            metrics.ACTS.labels(SENDER, "ignored").inc()
            return
        by, once = event.client or "an event", uuid.uuid4().hex
        act = make_act(ActCommand.ACKNOWLEDGE, incident, by, SENDER, once)
        await self._runner.carry_out(act)


class _WrongKey(Exception):
    """The routing key is no token that may send."""


def _invalid(message: str) -> web.Response:
    body: dict[str, Any] = {"status": "invalid event", "message": "Event object is invalid"}
    return json_response(body | {"errors": [message]}, 400)
