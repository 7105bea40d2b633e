"""Microsoft Teams, by the URL of a workflow ("Post to a channel when a webhook request is received"): an adaptive card.

Texts stand in RichTextBlocks, whose runs are shown as they are: the card's other texts are read as Markdown. A workflow
answers before it posts, and without an id, so that a card cannot be changed.

Sources: Microsoft's "Microsoft Teams connector" (28 KB), "Adaptive Cards" (RichTextBlock, Action.OpenUrl).
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import orjson

from app.notifier.channel import ChannelKind, Context
from app.notifier.channels.config import ChannelConfig
from app.notifier.connections.http import Request, check, error_text, json_request
from app.notifier.memory import preview_json
from app.notifier.messages.words import page
from app.notifier.outcome import Refused, Sent, TryAgain
from app.notifier.shorten import shorten
from models.events import Action, Notification

CARD_BYTES_MAX = 25_000  # of 28 KB; Teams adds to what it is given
TITLE_MAX = 300
ACTIONS_MAX = 6  # that Teams shows
COLORS = {"P0": "attention", "P1": "warning", "P2": "warning", "P3": "accent"}


class TeamsConfig(ChannelConfig):
    """The workflow's URL, which is a secret."""

    secrets = ("url",)

    url_file: str = ""
    url_env: str = ""


@dataclass(frozen=True, slots=True)
class Teams:
    """One workflow. The address is not used: a workflow posts to its channel."""

    config: TeamsConfig
    context: Context
    kind: ClassVar[ChannelKind] = ChannelKind.TEAMS

    async def send(self, notification: Notification, address: str, memory: str, key: str) -> Sent:  # noqa: ARG002
        """Post one card."""
        url = self.config.secret("url")
        request = json_request("Teams", url, self._message_body(notification), secrets=(url,))
        answer = await self.context.http.exchange(request)
        check(request, answer)
        _check_old_connector(request, answer.text())
        return Sent()

    def preview(self, notification: Notification, address: str) -> str:  # noqa: ARG002
        """The message, whose card Microsoft's designer shows."""
        return preview_json(self._message_body(notification))

    async def close(self) -> None:
        """Nothing is open."""

    def _message_body(self, notification: Notification) -> dict[str, Any]:
        """The card; with fewer lines where all would be too large."""
        lines = self.context.templates.render("body.txt", notification).split("\n")[
            1:
        ]  # the title stands above
        while True:
            message = _message(self._card(notification, lines))
            if len(orjson.dumps(message)) <= CARD_BYTES_MAX or not lines:
                return message
            lines = lines[: len(lines) * 3 // 4]

    def _card(self, notification: Notification, lines: list[str]) -> dict[str, Any]:
        title = shorten(self.context.templates.render("title.txt", notification), TITLE_MAX)
        color = (
            "good"
            if notification.action is Action.RESOLVE
            else COLORS.get(notification.severity, "attention")
        )
        return {
            "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
            "type": "AdaptiveCard",
            "version": "1.4",
            "msteams": {"width": "Full"},
            "body": [
                _rich_text(
                    [
                        {
                            "type": "TextRun",
                            "text": title,
                            "weight": "bolder",
                            "size": "large",
                            "color": color,
                        }
                    ]
                ),
                *(_rich_text(_runs(line)) for line in lines if line),
            ],
            "actions": self._actions(notification),
        }

    def _actions(self, notification: Notification) -> list[dict[str, str]]:
        links = self.context.links
        titles = {link.title: link.url for link in page(notification, links).links}
        if notification.action in (Action.TRIGGER, Action.UPDATE) and (
            url := links.acknowledge(notification)
        ):
            titles = {"Acknowledge": url, **titles}
        actions = [
            {"type": "Action.OpenUrl", "title": title, "url": url} for title, url in titles.items()
        ]
        return actions[:ACTIONS_MAX]


def make(config: TeamsConfig, context: Context) -> Teams:
    """The channel."""
    return Teams(config, context)


def _message(card: dict[str, Any]) -> dict[str, Any]:
    attachment = {
        "contentType": "application/vnd.microsoft.card.adaptive",
        "contentUrl": None,
        "content": card,
    }
    return {"type": "message", "attachments": [attachment]}


def _rich_text(runs: list[dict[str, Any]]) -> dict[str, Any]:
    return {"type": "RichTextBlock", "inlines": runs, "spacing": "small"}


def _runs(line: str) -> list[dict[str, Any]]:
    """A line, with its name in bold if it is `Name: text`."""
    name, colon, text = line.partition(": ")
    if colon and len(name) <= 20 and not name.startswith("-"):
        return [
            {"type": "TextRun", "text": f"{name}: ", "weight": "bolder"},
            {"type": "TextRun", "text": text},
        ]
    return [{"type": "TextRun", "text": line}]


def _check_old_connector(request: Request, text: str) -> None:
    """The connectors before workflows say in a 200 that Teams did not take a card."""
    if "HTTP error 429" in text:
        raise TryAgain(f"Teams answered: {error_text(request, text)}")
    if "delivery failed" in text:
        raise Refused(f"Teams answered: {error_text(request, text)}")
