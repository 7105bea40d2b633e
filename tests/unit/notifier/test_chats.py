"""Telegram, Discord, Mattermost, Teams and apprise: what is posted, changed and told."""

import re
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import orjson
import pytest

from app.notifier.channel import Channel, Context
from app.notifier.channels import apprise, discord, mattermost, teams, telegram
from app.notifier.outcome import Refused, TryAgain
from models.events import Notification
from tests.support.asynchronous import asynchronous
from tests.support.notifications import (
    ACKNOWLEDGED,
    INFORMED,
    OPENED,
    RESOLVED,
    UPDATED,
    hostile,
    large,
)
from tests.support.receivers.chats import (
    DISCORD_PATH,
    MATTERMOST_PATH,
    TEAMS_PATH,
    TELEGRAM_TOKEN,
    DiscordServer,
    MattermostServer,
    TeamsServer,
    TelegramServer,
)
from tests.support.receivers.context import local_context
from tests.support.receivers.server import Fault, Server

ALL = (OPENED, UPDATED, INFORMED, ACKNOWLEDGED, RESOLVED)
CHAT = "-1001234"
INCIDENT_URL = f"https://tocsin.example.org/incidents/{OPENED.incident}"
SILENCE_URL = f"https://tocsin.example.org/silences/new?incident={OPENED.incident}"
MARKS = re.compile(r"\\.|`[^`]*`", re.DOTALL)  # what Markdown does not obey


@pytest.fixture(autouse=True)
def _secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TELEGRAM_TOKEN", TELEGRAM_TOKEN)


def telegram_channel(server: Server, context: Context, **options: Any) -> telegram.Telegram:
    """A bot at the server."""
    config = telegram.TelegramConfig(url=server.url, token_env="TELEGRAM_TOKEN", **options)
    return telegram.make(config, context)


def by_url(
    module: Any, path: str, server: Server, context: Context, monkeypatch: pytest.MonkeyPatch
) -> Channel:
    """A channel whose URL is its secret."""
    monkeypatch.setenv("WEBHOOK_URL", f"{server.url}{path}")
    config = next(
        kind
        for name, kind in vars(module).items()
        if name.endswith("Config") and name != "ChannelConfig"
    )
    made: Channel = module.make(config(url_env="WEBHOOK_URL"), context)
    return made


async def send_all(
    channel: Channel, address: str, notifications: tuple[Notification, ...] = ALL
) -> str:
    """Send one after the other, and return the last memory."""
    memory = ""
    for notification in notifications:
        memory = (await channel.send(notification, address, memory, notification.id)).memory
    return memory


@asynchronous
async def test_telegram_changes_one_message_and_replies() -> None:
    """The message is the incident's state; replies tell what happened, without sound unless they wake."""
    async with TelegramServer() as server, local_context() as context:
        memory = await send_all(telegram_channel(server, context), CHAT)

    first, *replies = server.messages.values()
    assert memory == '{"chat":-1001234,"message":100}'
    assert first["text"].startswith(
        "<b>[resolved] KubePodCrashLooping: shop/checkout-7d9 (prod)</b>\n"
    )
    assert [
        (reply["reply_parameters"]["message_id"], reply["text"].split("\n")[0]) for reply in replies
    ] == [
        (100, "<b>Updated</b>: 2 alerts more."),
        (100, "<b>Reminder</b>: Still open."),
        (100, "<b>Acknowledged</b>: Ann acknowledged it."),
        (100, "<b>Resolved</b>: All alerts ended."),
    ]
    assert len(server.rings) == 1


@asynchronous
async def test_a_telegram_message() -> None:
    """The whole message to a topic of a forum, with links for buttons."""
    async with TelegramServer() as server, local_context() as context:
        await telegram_channel(server, context).send(OPENED, f"{CHAT}/17", "", "id")

    assert server.requests[0].json() == {
        "chat_id": -1001234,
        "message_thread_id": 17,
        "text": (
            "<b>[P0] KubePodCrashLooping: shop/checkout-7d9 (prod)</b>\n"
            "Pod is crash looping.\n"
            "<b>How bad</b>: P0 (critical), 1 of 1 alert firing\n"
            "<b>Where</b>: cluster prod, namespace shop, pod checkout-7d9\n"
            "<b>Since</b>: 2026-04-12 03:15 UTC, for 12m\n"
            "<b>Owner</b>: ops\n"
            "<b>Why you</b>: On-call SRE: step 2 of 4: not acknowledged for 5m (rule page-ops)\n"
            "<b>First step</b>: Read the pod&#x27;s last log.\n"
            "<code>kubectl -n shop logs checkout-7d9 --previous</code>\n"
            '<a href="https://runbooks.example/crashloop">Runbook</a> | '
            '<a href="https://prometheus.example/graph?g0.expr=x&amp;g0.tab=1">Graph</a> | '
            f'<a href="{INCIDENT_URL}">Incident</a> | <a href="{SILENCE_URL}">Silence</a>\n'
            "<b>Alerts</b>\n"
            "P0 KubePodCrashLooping: shop/checkout-7d9 - Pod is crash looping."
        ),
        "parse_mode": "HTML",
        "link_preview_options": {"is_disabled": True},
        "reply_markup": {
            "inline_keyboard": [
                [
                    {"text": "Acknowledge", "url": f"{INCIDENT_URL}/act/acknowledge"},
                    {"text": "Silence", "url": SILENCE_URL},
                ]
            ]
        },
        "disable_notification": False,
    }


@asynchronous
async def test_telegrams_buttons_name_command_and_incident() -> None:
    """Where Tocsin hears them; what makes no sense any more is not offered."""
    async with TelegramServer() as server, local_context() as context:
        for notification in (OPENED, ACKNOWLEDGED, RESOLVED):
            await telegram_channel(server, context, buttons=True).send(notification, CHAT, "", "id")

    keyboards = [request.json()["reply_markup"]["inline_keyboard"] for request in server.requests]
    names = ("acknowledge", "resolve", "escalate", "silence_1h")
    assert [
        [button["callback_data"] for row in keyboard for button in row] for keyboard in keyboards
    ] == [
        [f"{name}:{OPENED.incident}" for name in names],
        [f"{name}:{OPENED.incident}" for name in names[1:]],
        [],
    ]


@asynchronous
async def test_telegram_posts_anew_what_was_deleted() -> None:
    """And does not mind a change that changes nothing."""
    async with TelegramServer() as server, local_context() as context:
        bot = telegram_channel(server, context)
        memory = await send_all(bot, CHAT, (OPENED, OPENED))
        server.messages.clear()
        again = await bot.send(UPDATED, CHAT, memory, "id")

    assert memory == '{"chat":-1001234,"message":100}'
    assert list(server.messages) == [int(again.receiver_id)]


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("-1", "Telegram at 127.0.0.1 answered 403: Forbidden: bot was kicked from the group chat"),
        ("", "'' must be a chat's id or @name, and may have /TOPIC behind it"),
        ("-100/x", "'-100/x' must be a chat's id or @name, and may have /TOPIC behind it"),
    ],
)
@asynchronous
async def test_a_chat_that_is_none_is_refused(address: str, message: str) -> None:
    """Without the token, which stands in the URL."""
    async with TelegramServer() as server, local_context() as context:
        with pytest.raises(Refused) as caught:
            await telegram_channel(server, context).send(OPENED, address, "", "id")

    assert str(caught.value) == message


@asynchronous
async def test_discord_changes_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    """A plain update changes the message only; what people should know is a message of its own as well."""
    async with DiscordServer() as server, local_context() as context:
        memory = await send_all(by_url(discord, DISCORD_PATH, server, context, monkeypatch), "")

    first, *others = server.messages.values()
    assert memory == '{"message":"1000"}'
    title = first["embeds"][0]["title"]
    assert title == r"\[resolved\] KubePodCrashLooping: shop/checkout-7d9 (prod)"
    assert [other["content"].split("\n")[1] for other in others] == [
        "**Reminder**: Still open.",
        "**Acknowledged**: Ann acknowledged it.",
        "**Resolved**: All alerts ended.",
    ]
    assert all(
        document["allowed_mentions"] == {"parse": []} for document in server.messages.values()
    )


@asynchronous
async def test_a_discord_message(monkeypatch: pytest.MonkeyPatch) -> None:
    """Title, colour, link, time, and a description in Markdown."""
    async with DiscordServer() as server, local_context() as context:
        await by_url(discord, DISCORD_PATH, server, context, monkeypatch).send(OPENED, "", "", "id")

    embed = server.requests[0].json()["embeds"][0]
    description = embed.pop("description")
    assert description.startswith(
        "Pod is crash looping.\n**How bad**: P0 (critical), 1 of 1 alert firing\n"
    )
    assert embed == {
        "title": r"\[P0\] KubePodCrashLooping: shop/checkout-7d9 (prod)",
        "color": 0xD92D20,
        "timestamp": OPENED.at,
        "footer": {"text": f"{OPENED.incident}, episode 1"},
        "url": INCIDENT_URL,
    }


@asynchronous
async def test_discord_posts_anew_what_was_deleted(monkeypatch: pytest.MonkeyPatch) -> None:
    """An unknown message is posted, an unknown webhook refused without its token."""
    async with DiscordServer() as server, local_context() as context:
        channel = by_url(discord, DISCORD_PATH, server, context, monkeypatch)
        again = await channel.send(UPDATED, "", '{"message":"99"}', "id")
        wrong = by_url(
            discord, "/api/webhooks/1234/other-secret-token", server, context, monkeypatch
        )
        with pytest.raises(Refused) as caught:
            await wrong.send(OPENED, "", "", "id")

    assert list(server.messages) == [again.receiver_id]
    assert str(caught.value) == "Discord at 127.0.0.1 answered 404: Unknown Webhook"


@asynchronous
async def test_a_mattermost_post(monkeypatch: pytest.MonkeyPatch) -> None:
    """Urgent if it wakes, and in the channel of the address."""
    async with MattermostServer() as server, local_context() as context:
        channel = by_url(mattermost, MATTERMOST_PATH, server, context, monkeypatch)
        await channel.send(OPENED, "#ops", "", "id")
        await channel.send(RESOLVED, "ops@example.org", "", "id")

    first, second = server.posts
    assert first.pop("text").startswith(
        "**\\[P0\\] KubePodCrashLooping: shop/checkout-7d9 (prod)**\nPod is crash"
    )
    assert first == {"username": "Tocsin", "channel": "ops", "priority": {"priority": "urgent"}}
    assert sorted(second) == ["text", "username"]


@asynchronous
async def test_a_teams_card(monkeypatch: pytest.MonkeyPatch) -> None:
    """A card whose texts are runs, which Teams does not read as Markdown, and whose buttons open pages."""
    async with TeamsServer() as server, local_context() as context:
        await by_url(teams, TEAMS_PATH, server, context, monkeypatch).send(OPENED, "", "", "id")

    card = server.cards[0]
    title, *blocks = [block["inlines"] for block in card["body"]]
    assert title == [
        {
            "type": "TextRun",
            "text": "[P0] KubePodCrashLooping: shop/checkout-7d9 (prod)",
            "weight": "bolder",
            "size": "large",
            "color": "attention",
        }
    ]
    assert blocks[1] == [
        {"type": "TextRun", "text": "How bad: ", "weight": "bolder"},
        {"type": "TextRun", "text": "P0 (critical), 1 of 1 alert firing"},
    ]
    assert {block["type"] for block in card["body"]} == {"RichTextBlock"}
    assert [action["title"] for action in card["actions"]] == [
        "Acknowledge",
        "Runbook",
        "Graph",
        "Incident",
        "Silence",
    ]


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (
            "Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 429",
            TryAgain,
        ),
        (
            "Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 413",
            Refused,
        ),
    ],
)
@asynchronous
async def test_a_failure_in_a_200_of_teams_is_one(
    answer: str, kind: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connectors before workflows answer so."""
    async with TeamsServer(old_answer=answer) as server, local_context() as context:
        with pytest.raises(kind, match="Teams answered: Webhook message delivery failed"):
            await by_url(teams, TEAMS_PATH, server, context, monkeypatch).send(OPENED, "", "", "id")


@pytest.mark.parametrize("sample", [hostile(), large()])
@asynchronous
async def test_every_chat_takes_the_worst(
    sample: Notification, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The servers refuse what the services' limits forbid, and nothing is refused; nobody is mentioned."""
    async with (
        local_context() as context,
        TelegramServer() as first,
        DiscordServer() as second,
        MattermostServer() as third,
        TeamsServer() as fourth,
    ):
        for notifications in ((sample, replace(sample, id="2")),):
            await send_all(telegram_channel(first, context), CHAT, notifications)
            await send_all(
                by_url(discord, DISCORD_PATH, second, context, monkeypatch), "", notifications
            )
            await send_all(
                by_url(mattermost, MATTERMOST_PATH, third, context, monkeypatch), "", notifications
            )
            await send_all(
                by_url(teams, TEAMS_PATH, fourth, context, monkeypatch), "", notifications
            )

    assert (len(first.messages), len(second.messages), len(third.posts), len(fourth.cards)) == (
        2,
        2,
        2,
        2,
    )
    obeyed = [MARKS.sub("", post["text"]) for post in third.posts]
    obeyed += [MARKS.sub("", message.get("content", "")) for message in second.messages.values()]
    assert not any(re.search(r"(?<!\w)@\w|<[@!#]|\]\(http://evil", text) for text in obeyed)


@pytest.mark.parametrize(
    ("fault", "after_s"),
    [(Fault.RATE_LIMITED, 11.0), (Fault.BROKEN, None), (Fault.HALF_ANSWER, None)],
)
@asynchronous
async def test_telegram_says_when_to_try_again(fault: Fault, after_s: float | None) -> None:
    """Its answer has the seconds in the body."""
    async with TelegramServer() as server, local_context() as context:
        server.faults.append(fault)
        with pytest.raises(TryAgain) as caught:
            await telegram_channel(server, context).send(OPENED, CHAT, "", "id")

    assert caught.value.retry_after_s == after_s


@asynchronous
async def test_discord_says_when_to_try_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """To the fraction of a second."""
    async with DiscordServer() as server, local_context() as context:
        server.faults.append(Fault.RATE_LIMITED)
        with pytest.raises(TryAgain) as caught:
            await by_url(discord, DISCORD_PATH, server, context, monkeypatch).send(
                OPENED, "", "", "id"
            )

    assert caught.value.retry_after_s == 0.65


@asynchronous
async def test_previews_are_json(monkeypatch: pytest.MonkeyPatch) -> None:
    """What each would post, without a secret."""
    async with local_context() as context, Server() as server:
        channels = [
            telegram_channel(server, context),
            by_url(discord, DISCORD_PATH, server, context, monkeypatch),
            by_url(mattermost, MATTERMOST_PATH, server, context, monkeypatch),
            by_url(teams, TEAMS_PATH, server, context, monkeypatch),
        ]
        previews = [channel.preview(OPENED, CHAT) for channel in channels]

    assert all(isinstance(orjson.loads(preview), dict) for preview in previews)
    assert not any(
        path.rpartition("/")[2] in str(previews)
        for path in (DISCORD_PATH, MATTERMOST_PATH, TEAMS_PATH)
    )
    assert TELEGRAM_TOKEN not in str(previews)


@asynchronous
async def test_apprise_sends(monkeypatch: pytest.MonkeyPatch) -> None:
    """The real library posts to a JSON service; what would be a mention is none."""
    async with Server() as server, local_context() as context:
        channel = by_url(apprise, "/apprise-secret", server, context, monkeypatch)
        monkeypatch.setenv("WEBHOOK_URL", f"{server.url.replace('http', 'json', 1)}/apprise-secret")
        await channel.send(hostile(), "", "", "id")
        await channel.send(RESOLVED, "", "", "id")

    documents = [request.json() for request in server.requests]
    assert [document["type"] for document in documents] == ["failure", "success"]
    assert documents[1]["title"] == "[resolved] KubePodCrashLooping: shop/checkout-7d9 (prod)"
    assert "@" not in documents[0]["message"] + documents[0]["title"]
    assert "<" not in documents[0]["message"] + documents[0]["title"]


@asynchronous
async def test_apprise_that_fails_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """It says only that it failed; an unknown URL is refused, without showing it."""
    async with Server() as server, local_context() as context:
        server.faults.append(Fault.BROKEN)
        channel = by_url(apprise, "", server, context, monkeypatch)
        monkeypatch.setenv("WEBHOOK_URL", server.url.replace("http", "json", 1))
        with pytest.raises(TryAgain, match="apprise could not send the message"):
            await channel.send(OPENED, "", "", "id")
        monkeypatch.setenv("WEBHOOK_URL", "nothing://secret-of-apprise")
        with pytest.raises(Refused, match=r"^apprise does not know the URL of this receiver$"):
            await channel.send(OPENED, "", "", "id")


@asynchronous
async def test_without_the_library_apprise_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The extra is optional, and is asked for only when it is used."""

    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(apprise, "importlib", SimpleNamespace(import_module=missing))
    async with Server() as server, local_context() as context:
        with pytest.raises(Refused, match=r"pip install 'tocsin\[apprise\]'"):
            await by_url(apprise, "", server, context, monkeypatch).send(OPENED, "", "", "id")
