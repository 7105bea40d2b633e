"""The kinds of channels that there are: for each, the model of its settings, and how it is made."""

from app.notifier.channel import ChannelKind
from app.notifier.channels import pagerduty, terminal, webhook
from app.notifier.registry_types import ChannelType, Registry

REGISTRY: Registry = {
    ChannelKind.PAGERDUTY: ChannelType(pagerduty.PagerDutyConfig, pagerduty.make),
    ChannelKind.WEBHOOK: ChannelType(webhook.WebhookConfig, webhook.make),
    ChannelKind.TERMINAL: ChannelType(terminal.TerminalConfig, terminal.make),
}
