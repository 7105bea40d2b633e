"""The kinds of channels that there are: for each, the model of its settings, and how it is made."""

from app.notifier.channel import ChannelKind
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
from app.notifier.channels.registry_types import ChannelType, Registry

REGISTRY: Registry = {
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
