"""The listeners of a receivers file: one for each app or bot whose buttons are heard."""

from collections.abc import Iterable, Mapping
from typing import TypeVar

from app.notifier.channels.slack import SlackConfig
from app.notifier.channels.telegram import TelegramConfig
from app.notifier.connections.http import HttpClient
from app.notifier.listeners.listener import Listener
from app.notifier.listeners.sent_messages import SentMessages
from app.notifier.listeners.slack_socket import SlackSocket
from app.notifier.listeners.telegram_poll import TelegramPoll
from app.notifier.replies.act_outcome import ActHandler
from app.notifier.setup.receivers_file import Receiver

Config = TypeVar("Config")


def listeners_of(
    receivers: Mapping[str, Receiver],
    http: HttpClient,
    polling: HttpClient,
    handler: ActHandler,
    messages: SentMessages,
) -> list[Listener]:
    """One for each app or bot: receivers that share its token are heard through one connection.

    `polling` is a client that waits as long as a poll takes.
    """
    apps: dict[tuple[str, ...], dict[str, SlackConfig]] = {}
    for name, config in _of(receivers.items(), SlackConfig):
        if config.has_buttons:
            key = (config.url, config.app_token_file, config.app_token_env)
            apps.setdefault(key, {})[name] = config
    bots: dict[tuple[str, ...], dict[str, TelegramConfig]] = {}
    for name, bot in _of(receivers.items(), TelegramConfig):
        if bot.buttons:
            bots.setdefault((bot.url, bot.token_file, bot.token_env), {})[name] = bot
    return [
        *(
            SlackSocket(frozenset(configs), next(iter(configs.values())), http, handler, messages)
            for configs in apps.values()
        ),
        *(
            TelegramPoll(
                frozenset(configs), next(iter(configs.values())), polling, handler, messages
            )
            for configs in bots.values()
        ),
    ]


def _of(
    receivers: Iterable[tuple[str, Receiver]], kind: type[Config]
) -> Iterable[tuple[str, Config]]:
    for name, receiver in receivers:
        if isinstance(receiver.config, kind):
            yield name, receiver.config
