"""`POST /api/v1/sns/NAME`: what Amazon SNS delivers becomes alerts by a mapping, such as `cloudwatch`.

Amazon signs each message, so it needs no token of the bridge. Only messages of the topics in
`TOCSIN_SNS_TOPICS` are taken: anybody can have Amazon sign what a topic of their own sends.
"""

from aiohttp import ClientError, web

from app.bridge.access.request_bodies import CONTENT_TYPES, Bodies
from app.bridge.connections.responses import RequestDeclined, json_response, logger
from app.bridge.senders import sns_signatures
from app.bridge.senders.sns_signatures import SnsSignatures
from app.bridge.senders.webhook_routes import WebhookRoutes
from app.intake.mapped_webhooks import parse_mapped
from app.intake.sns_messages import SnsMessage, SnsType, sns_message_of
from app.settings import Settings
from app.transport.log import Log

PATH = "/api/v1/sns/{name}"
TYPES = (*CONTENT_TYPES, "text/plain")  # which SNS says; a signature is no page's


class SnsRoutes:
    """The resource. `webhooks` knows the mappings, and writes alerts into the journal."""

    def __init__(
        self, settings: Settings, bodies: Bodies, webhooks: WebhookRoutes, log: Log
    ) -> None:
        """Raises BadSettings where what checks signatures is missing."""
        self._topics, self._confirms = settings.sns_topics, settings.sns_confirm
        self._bodies, self._webhooks, self._log = bodies, webhooks, log
        self._signatures = SnsSignatures()

    def routes(self) -> list[web.RouteDef]:
        """What there is."""
        return [web.post(PATH, self._post)]

    async def _post(self, request: web.Request) -> web.Response:
        document = await self._bodies.read_json(request, TYPES, parsed_by=parse_mapped)
        message = sns_message_of(document, self._topics, self._log.now_ms())
        await self._signatures.check(message)
        match message.kind:
            case SnsType.NOTIFICATION:
                name = request.match_info["name"]
                return await self._webhooks.answer_mapped(request, name, message.document())
            case SnsType.SUBSCRIPTION:
                return await self._confirm(message)
            case SnsType.UNSUBSCRIPTION:
                logger.warning("%s is not subscribed any more", message.topic)
                return json_response({"status": "ignored"})

    async def _confirm(self, message: SnsMessage) -> web.Response:
        """Confirm a subscription, if the settings say so; else say how a person does."""
        if not self._confirms:
            logger.warning(
                "%s asks to be subscribed: open %s, or set TOCSIN_SNS_CONFIRM=yes and ask again",
                message.topic,
                message.subscribe_url,
            )
            return json_response({"status": "ignored", "text": "TOCSIN_SNS_CONFIRM is not set"})
        try:
            await sns_signatures.fetch(message.subscribe_url)
        except (ClientError, OSError, TimeoutError, ValueError) as error:
            text = f"SNS does not take the confirmation: {type(error).__name__}"
            raise RequestDeclined(503, "not_confirmed", text, 30) from None
        logger.info("%s is subscribed", message.topic)
        return json_response({"status": "confirmed"})
