"""Each channel that speaks HTTP, and each way in which a service can misbehave."""

import re
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from app.notifier.channel import Channel, ChannelKind, Context
from app.notifier.channels.config import ChannelConfig
from app.notifier.channels.registry import REGISTRY
from app.notifier.connections.addresses import AddressPolicy
from app.notifier.connections.http import HttpClient
from app.notifier.outcome import Refused, TryAgain
from tests.support.asynchronous import asynchronous
from tests.support.notifications import OPENED
from tests.support.receivers import chats, pagerduty, phones, slack
from tests.support.receivers.context import local_context
from tests.support.receivers.server import Fault, Server

HOOK_SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3"


class Case(NamedTuple):
    """A service, and how a channel reaches it."""

    kind: ChannelKind
    server: Callable[[], Server]
    settings: dict[str, Any]  # with {url} for the server's
    secrets: dict[str, str]
    address: str = ""


TWILIO = {
    "account_sid": phones.ACCOUNT_SID,
    "from": "+15550100999",
    "url": "{url}",
    "token_env": "TOKEN",
}
CASES = [
    Case(
        ChannelKind.PAGERDUTY,
        pagerduty.PagerDutyServer,
        {"url": "{url}/v2/enqueue", "routing_key_env": "KEY"},
        {"KEY": pagerduty.ROUTING_KEY},
    ),
    Case(
        ChannelKind.SLACK,
        slack.SlackServer,
        {"url": "{url}/api", "token_env": "TOKEN"},
        {"TOKEN": slack.TOKEN},
        "#ops",
    ),
    Case(
        ChannelKind.WEBHOOK,
        Server,
        {"url": "{url}/hook-path-secret", "secret_env": "SECRET"},
        {"SECRET": HOOK_SECRET},
    ),
    Case(
        ChannelKind.TELEGRAM,
        chats.TelegramServer,
        {"url": "{url}", "token_env": "TOKEN"},
        {"TOKEN": chats.TELEGRAM_TOKEN},
        "-1001234",
    ),
    Case(
        ChannelKind.DISCORD,
        chats.DiscordServer,
        {"url_env": "URL"},
        {"URL": "{url}" + chats.DISCORD_PATH},
    ),
    Case(
        ChannelKind.MATTERMOST,
        chats.MattermostServer,
        {"url_env": "URL"},
        {"URL": "{url}" + chats.MATTERMOST_PATH},
    ),
    Case(
        ChannelKind.TEAMS,
        chats.TeamsServer,
        {"url_env": "URL"},
        {"URL": "{url}" + chats.TEAMS_PATH},
    ),
    Case(
        ChannelKind.NTFY,
        phones.NtfyServer,
        {"url": "{url}", "topic_env": "TOPIC", "token_env": "TOKEN"},
        {"TOPIC": phones.TOPIC, "TOKEN": phones.NTFY_TOKEN},
    ),
    Case(
        ChannelKind.PUSHOVER,
        phones.PushoverServer,
        {"url": "{url}", "token_env": "TOKEN", "user_env": "USER_KEY"},
        {"TOKEN": phones.PUSHOVER_TOKEN, "USER_KEY": phones.PUSHOVER_USER},
    ),
    Case(
        ChannelKind.TWILIO_SMS,
        phones.TwilioServer,
        TWILIO,
        {"TOKEN": phones.TWILIO_TOKEN},
        "+15550100123",
    ),
    Case(
        ChannelKind.TWILIO_VOICE,
        phones.TwilioServer,
        TWILIO,
        {"TOKEN": phones.TWILIO_TOKEN},
        "+15550100123",
    ),
]
ENDS = {
    Fault.RATE_LIMITED: TryAgain,
    Fault.BROKEN: TryAgain,
    Fault.SILENT: TryAgain,
    Fault.REDIRECT: Refused,
    Fault.ECHO: Refused,
}


def channel_of(case: Case, url: str, context: Context, monkeypatch: pytest.MonkeyPatch) -> Channel:
    """The channel to this URL."""
    for name, secret in case.secrets.items():
        monkeypatch.setenv(name, secret.replace("{url}", url))
    settings = {name: text.replace("{url}", url) for name, text in case.settings.items()}
    kind = REGISTRY[case.kind]
    return kind.make(kind.config.model_validate(settings), context)


def secrets_of(case: Case) -> list[str]:
    """What must stand in no error: secrets, and the parts of URLs that are."""
    paths = [secret.removeprefix("{url}") for secret in case.secrets.values()]
    return [*paths, *(re.split(r"[/=]", path)[-1] for path in paths), "hook-path-secret"]


@pytest.mark.parametrize("fault", ENDS)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.kind)
@asynchronous
async def test_each_fault_ends_as_it_should(
    case: Case, fault: Fault, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Temporary or permanent, in one inert line, without a secret in it or in the log; then the message goes through."""
    caplog.set_level(0)
    async with (
        case.server() as server,
        local_context(timeout_s=0.3 if fault is Fault.SILENT else 30) as context,
    ):
        channel = channel_of(case, server.url, context, monkeypatch)
        server.faults.append(fault)
        with pytest.raises(ENDS[fault]) as caught:
            await channel.send(OPENED, case.address, "", OPENED.id)
        requests = len(server.requests)
    async with case.server() as server, local_context() as context:
        await channel_of(case, server.url, context, monkeypatch).send(
            OPENED, case.address, "", OPENED.id
        )

    message = str(caught.value)
    assert message.isprintable()
    assert len(message) < 400
    assert not any(secret in message + caplog.text for secret in secrets_of(case))
    assert requests == 1


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.kind)
@asynchronous
async def test_no_channel_reaches_a_private_address(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unless it is allowed."""
    async with case.server() as server, local_context() as context:
        strict = Context(HttpClient(AddressPolicy()), context.templates, context.links)
        channel = channel_of(case, server.url, strict, monkeypatch)
        with pytest.raises(Refused, match="is a private address"):
            await channel.send(OPENED, case.address, "", OPENED.id)
        await strict.http.close()

    assert server.requests == []


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.kind)
@asynchronous
async def test_a_secret_that_is_missing_is_temporary(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mounted secret may be there a moment later; the error names its place."""
    async with case.server() as server, local_context() as context:
        channel = channel_of(case, server.url, context, monkeypatch)
        for name in case.secrets:
            monkeypatch.delenv(name)
        with pytest.raises(TryAgain, match=r"_env '[A-Z_]+' is empty"):
            await channel.send(OPENED, case.address, "", OPENED.id)

    assert server.requests == []


@pytest.mark.parametrize(("kind", "channel"), REGISTRY.items())
def test_the_registry_has_every_channel(kind: ChannelKind, channel: Any) -> None:
    """Each kind has settings that refuse what they do not know."""
    assert sorted(REGISTRY) == sorted(ChannelKind)
    assert issubclass(channel.config, ChannelConfig)
    assert channel.config.model_config["extra"] == "forbid", kind
