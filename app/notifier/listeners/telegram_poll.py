"""Telegram by long polling: buttons, and replies to an incident's message.

A bot has one poller: a second one ends the first. So only the notifier that owns the first partition
of the deliveries polls; another one waits until it does. What was read is confirmed by the next poll,
once it is carried out: after a kill it comes again, and the engine counts it once.

Source: Telegram's Bot API (getUpdates, answerCallbackQuery).
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from app.notifier.channels.telegram import TelegramConfig
from app.notifier.connections.http import HttpClient, check, json_request
from app.notifier.listeners.sent_messages import SentMessages
from app.notifier.outcome import Refused, TryAgain
from app.notifier.replies.act import ActCommand, BadReply
from app.notifier.replies.act_outcome import ActHandler, ActOutcome, ActStatus
from app.notifier.replies.telegram import TelegramAct, message_of, parse_update
from app.notifier.shorten import one_line
from app.transport.log import LogUnavailable

POLL_S = 25  # that Telegram waits for something to happen
UPDATES_MAX = 20  # of one poll
TOAST_MAX = 200  # characters of what a button's press is answered
OWNER_PARTITION, OWNER_WAIT_S = 0, 5.0

logger = logging.getLogger("tocsin.notifier")

Document = dict[str, Any]


@dataclass(slots=True)
class TelegramPoll:
    """One bot. `receivers` are those of the receivers file that send with it.

    `http` is a client that waits as long as a poll takes.
    """

    receivers: frozenset[str]
    config: TelegramConfig
    http: HttpClient
    handler: ActHandler
    messages: SentMessages
    poll_s: int = POLL_S
    name: str = "Telegram"
    _next: int = field(default=0)  # the first update that is not carried out yet

    async def listen(self, on_connected: Callable[[], None]) -> None:
        """Poll for ever. Raises TryAgain and Refused."""
        while True:
            if not self.messages.owns(OWNER_PARTITION):
                await asyncio.sleep(OWNER_WAIT_S)
                continue
            updates = await self._call(
                "getUpdates",
                {
                    "offset": self._next,
                    "limit": UPDATES_MAX,
                    "timeout": self.poll_s,
                    "allowed_updates": ["message", "callback_query"],
                },
            )
            on_connected()
            for update in updates if isinstance(updates, list) else []:
                await self._take(update)

    async def _take(self, update: object) -> None:
        """Carry an update out. Raises TryAgain when the journal does not take it: it comes again then."""
        if not isinstance(update, dict) or not isinstance(update.get("update_id"), int):
            return
        try:
            await self._carry_out(update)
        except LogUnavailable as error:
            raise TryAgain(f"Telegram: what was pressed waits for the journal: {error}") from None
        except Exception:
            logger.exception("Telegram: an update")  # it is passed over, or it would come for ever
        self._next = update["update_id"] + 1

    async def _carry_out(self, update: Document) -> None:
        chat, message = message_of(update)
        known = await self.messages.incident_of(
            self.receivers,
            str(message),
            lambda memory: (memory.get("chat"), memory.get("message")) == (chat, message),
        )
        try:
            parsed = parse_update(update, lambda *_: known)
        except BadReply as error:
            logger.info("Telegram: an update is no act: %s", error)
            return
        if parsed is not None:
            outcome = await self.handler.carry_out(parsed.act)
            await self._tell(parsed, outcome, chat, message)

    async def _tell(
        self, parsed: TelegramAct, outcome: ActOutcome, chat: int, message: int
    ) -> None:
        """Answer the press of a button, and tell the chat what was done.

        The notifier tells of it, too, but not in each chat.
        """
        done = outcome.status is ActStatus.DONE
        text = one_line(outcome.reply, TOAST_MAX)
        try:
            if parsed.callback_id:
                answer = {"callback_query_id": parsed.callback_id, "text": text}
                await self._call("answerCallbackQuery", answer | {"show_alert": not done})
            if done and parsed.act.command is not ActCommand.NOTE:
                reply = {"message_id": message, "allow_sending_without_reply": True}
                body = {"chat_id": chat, "text": text, "reply_parameters": reply}
                await self._call("sendMessage", body | {"disable_notification": True})
        except (TryAgain, Refused) as error:
            logger.warning("Telegram: somebody is not told what came of it: %s", error)

    async def _call(self, method: str, document: Document) -> Any:
        """The `result`. Raises Refused and TryAgain."""
        token = self.config.secret("token")
        url = f"{self.config.url}/bot{token}/{method}"
        request = json_request("Telegram", url, document, secrets=(token,))
        answer = await self.http.exchange(request)
        result = answer.document()
        if answer.status == 409:
            raise TryAgain("Telegram: another program polls this bot, or it has a webhook")
        check(request, answer, str(result.get("description", "")))
        if result.get("ok") is not True:
            raise TryAgain(f"Telegram's answer to {method} cannot be read")
        return result.get("result")
