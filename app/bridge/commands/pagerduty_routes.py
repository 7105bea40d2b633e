"""`POST /api/v1/pagerduty`: what people do in PagerDuty with an incident of ours is done here, too.

PagerDuty signs what it sends, so it needs no token of the bridge. It sends an event again when it is
not answered with 2xx within 5 s, so what was understood is answered with 200, whatever came of it;
only what the journal did not take is to be sent again.
"""

import asyncio
from collections.abc import Callable

from aiohttp import web

from app import metrics
from app.bridge.commands.acts import ActRunner
from app.bridge.connections.limits import Limits
from app.bridge.connections.responses import RequestDeclined, json_response
from app.core.rules.compiled_policy import CompiledPolicy
from app.files.file_watcher import read_text, warn_of_readers
from app.notifier.replies.act import BadReply
from app.notifier.replies.pagerduty import (
    BODY_MAX,
    SIGNATURE_HEADER,
    is_signed,
    parse_webhook,
)
from app.settings import BadSettings
from models.reason import BadInput, Reason

PATH = "/api/v1/pagerduty"
SETTING = "TOCSIN_PAGERDUTY_KEY"
SECRETS_MAX = 20  # while one is changed there are two of each subscription
SECRET_CHARACTERS_MIN = 16


class PagerDutyRoutes:
    """The webhook of PagerDuty, version 3. `secrets` are those of the subscriptions."""

    def __init__(
        self,
        secrets: tuple[str, ...],
        runner: ActRunner,
        policy: Callable[[], CompiledPolicy],
        limits: Limits,
    ) -> None:
        self._secrets, self._runner, self._policy = secrets, runner, policy
        self._limits = limits

    def routes(self) -> list[web.RouteDef]:
        """What there is."""
        return [web.post(PATH, self._post)]

    async def _post(self, request: web.Request) -> web.Response:
        body = await self._read(request)
        if not is_signed(body, request.headers.get(SIGNATURE_HEADER, ""), self._secrets):
            text = f"the {SIGNATURE_HEADER} is not of a secret in {SETTING}"
            raise RequestDeclined(401, "wrong_signature", text)
        try:
            act = parse_webhook(body)
        except BadReply as error:
            raise BadInput(Reason.MALFORMED, str(error)) from None
        if act is None:
            metrics.ACTS.labels("pagerduty", "ignored").inc()
            return json_response({"status": "ignored"})
        outcome = await self._runner.carry_out(act, self._policy().policy.contacts)
        return json_response({"status": outcome.status, "text": outcome.text})

    async def _read(self, request: web.Request) -> bytes:
        """The body. Raises RequestDeclined for one that is too large, or that does not arrive."""
        body = bytearray()
        try:
            async with asyncio.timeout(self._limits.body_seconds):
                while chunk := await request.content.readany():
                    body += chunk
                    if len(body) > BODY_MAX:
                        raise RequestDeclined(
                            413, Reason.TOO_LARGE, f"the body is larger than {BODY_MAX} bytes"
                        )
        except TimeoutError:
            raise RequestDeclined(408, "too_slow", "the body did not arrive in time") from None
        except (ConnectionError, web.RequestPayloadError):
            raise RequestDeclined(400, "disconnected", "the body cannot be read") from None
        return bytes(body)


def secrets_of(file: str) -> tuple[str, ...]:
    """The secrets in a file, one a line; none without a file. Raises BadSettings."""
    if not file:
        return ()
    secrets = tuple(line.strip() for line in read_text(SETTING, file).splitlines() if line.strip())
    if not 1 <= len(secrets) <= SECRETS_MAX or any(
        len(secret) < SECRET_CHARACTERS_MIN for secret in secrets
    ):
        message = f"{SETTING} is {file!r}, which must have 1 to {SECRETS_MAX} secrets, one a line"
        raise BadSettings(f"{message}, of {SECRET_CHARACTERS_MIN} characters or more")
    warn_of_readers(SETTING, file)
    return secrets
