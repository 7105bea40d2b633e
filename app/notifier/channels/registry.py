"""All channels: what the settings of each look like, and how it is made."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from app.notifier.channel import Channel, ChannelKind, Context
from app.notifier.channels import (
    apprise,
    discord,
    email,
    mattermost,
    ntfy,
    pagerduty,
    pushover,
    slack,
    teams,
    telegram,
    terminal,
    twilio_sms,
    twilio_voice,
    webhook,
)
from app.notifier.config import ChannelConfig


@dataclass(frozen=True, slots=True)
class ChannelType:
    """A kind of channel. `make` takes settings of the type `config`."""

    config: type[ChannelConfig]
    make: Callable[[Any, Context], Channel]


CHANNELS: Mapping[ChannelKind, ChannelType] = {
    ChannelKind.PAGERDUTY: ChannelType(pagerduty.PagerDutyConfig, pagerduty.make),
    ChannelKind.SLACK: ChannelType(slack.SlackConfig, slack.make),
    ChannelKind.EMAIL: ChannelType(email.EmailConfig, email.make),
    ChannelKind.TEAMS: ChannelType(teams.TeamsConfig, teams.make),
    ChannelKind.TELEGRAM: ChannelType(telegram.TelegramConfig, telegram.make),
    ChannelKind.MATTERMOST: ChannelType(mattermost.MattermostConfig, mattermost.make),
    ChannelKind.DISCORD: ChannelType(discord.DiscordConfig, discord.make),
    ChannelKind.NTFY: ChannelType(ntfy.NtfyConfig, ntfy.make),
    ChannelKind.PUSHOVER: ChannelType(pushover.PushoverConfig, pushover.make),
    ChannelKind.TWILIO_SMS: ChannelType(twilio_sms.TwilioSmsConfig, twilio_sms.make),
    ChannelKind.TWILIO_VOICE: ChannelType(twilio_voice.TwilioVoiceConfig, twilio_voice.make),
    ChannelKind.WEBHOOK: ChannelType(webhook.WebhookConfig, webhook.make),
    ChannelKind.APPRISE: ChannelType(apprise.AppriseConfig, apprise.make),
    ChannelKind.TERMINAL: ChannelType(terminal.TerminalConfig, terminal.make),
}


def make_channel(config: ChannelConfig, context: Context) -> Channel:
    """The channel of these settings, by their type."""
    for channel in CHANNELS.values():
        if type(config) is channel.config:
            return channel.make(config, context)
    raise AssertionError(f"no channel has settings of {type(config).__name__}")
