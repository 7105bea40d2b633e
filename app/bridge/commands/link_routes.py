"""One-tap links, `/act/TOKEN`: GET shows a page, POST acts.

The token is the proof of who asks, so there is no other. A mail scanner, a preview or a browser that
fetches ahead sends GET or HEAD, which change nothing. The path holds the token, so it stands in no
log and no metric.
"""

import logging
from typing import Any

from aiohttp import web

from app.bridge.commands.acts import ActRunner
from app.notifier.replies.act import ActCommand, BadReply, LinkExpired
from app.notifier.replies.act_outcome import ActOutcome, ActStatus
from app.notifier.replies.link_page import HEADERS, QUESTIONS, message_page, question_page
from app.notifier.replies.one_tap import Grant, OneTap
from app.transport.log import Log, LogUnavailable
from models.incident import State
from models.text.sanitize import inert

PATH = "/act/{token}"
BODY_BYTES_MAX = 4096  # a form without fields has none, ntfy's posts have none
STATUS_OF = {
    ActStatus.DONE: 200,
    ActStatus.WAITS: 202,
    ActStatus.REFUSED: 409,
    ActStatus.UNKNOWN: 404,
}
_TITLES = {
    ActStatus.DONE: "Done",
    ActStatus.WAITS: "Accepted",
    ActStatus.REFUSED: "Not done",
    ActStatus.UNKNOWN: "Not done",
}
# What makes no sense in a state is not offered.
_POINTLESS = {
    State.ACKNOWLEDGED: {ActCommand.ACKNOWLEDGE},
    State.RESOLVED: set(QUESTIONS),
    State.CLOSED: set(QUESTIONS),
}

logger = logging.getLogger("tocsin.bridge")


class LinkRoutes:
    """The page, and what its buttons do."""

    def __init__(self, one_tap: OneTap, runner: ActRunner, log: Log) -> None:
        self._one_tap, self._runner, self._log = one_tap, runner, log

    def routes(self) -> list[web.RouteDef]:
        """What there is."""
        return [web.get(PATH, self._get), web.post(PATH, self._post)]

    async def _get(self, request: web.Request) -> web.Response:
        """What the link would do, and how the incident is. Nothing changes."""
        try:
            grant = self._grant(request)
            known = await self._runner.snapshot(grant.incident)
        except BadReply as error:
            return _not_valid(error)
        except LogUnavailable:
            return _unavailable()
        if known is None:
            return _html(404, message_page(grant.incident, "There is no such incident."))
        pointless = _POINTLESS.get(State(known["state"]), set())
        tokens = {
            command: self._one_tap.token_beside(grant, command)
            for command in QUESTIONS
            if command not in pointless
        }
        return _html(200, question_page(grant, tokens, _state_text(known)))

    async def _post(self, request: web.Request) -> web.Response:
        """Do it, and say what came of it."""
        if (request.content_length or 0) > BODY_BYTES_MAX:
            return _html(413, message_page("Not done", "The request is too large."))
        try:
            grant = self._grant(request)
            if grant.command is ActCommand.VIEW:
                return _html(409, message_page("Not done", "This link shows the incident only."))
            outcome = await self._runner.carry_out(grant.act(request.match_info["token"]))
        except BadReply as error:
            return _not_valid(error)
        except LogUnavailable:
            return _unavailable()
        return _html(STATUS_OF[outcome.status], _outcome_page(grant, outcome))

    def _grant(self, request: web.Request) -> Grant:
        return self._one_tap.read(request.match_info["token"], self._log.now_ms() / 1000)


def _outcome_page(grant: Grant, outcome: ActOutcome) -> str:
    return message_page(_TITLES[outcome.status], f"{grant.incident}: {inert(outcome.text)}")


def _state_text(incident: dict[str, Any]) -> str:
    """The incident in a line: `[P0] DiskFull: db. Acknowledged by Ann. 2 of 3 alerts firing`."""
    by = incident["acknowledged_by"] if incident["state"] == State.ACKNOWLEDGED else ""
    by = incident["resolved_by"] if incident["state"] == State.RESOLVED else by
    state = f"{incident['state'].capitalize()}{f' by {by}' if by else ''}"
    firing = f"{incident['alerts_firing']} of {incident['alerts_total']} alerts firing"
    return inert(f"[{incident['severity']}] {incident['title']}. {state}. {firing}.")


def _not_valid(error: BadReply) -> web.Response:
    text = f"{str(error)[:1].upper()}{str(error)[1:]}."
    status = 410 if isinstance(error, LinkExpired) else 404
    return _html(status, message_page("Not done", text))


def _unavailable() -> web.Response:
    text = "The journal does not answer. Nothing was done. Try again."
    response = _html(503, message_page("Not done", text))
    response.headers["Retry-After"] = "5"
    return response


def _html(status: int, page: str) -> web.Response:
    return web.Response(status=status, body=page.encode(), headers=HEADERS)
