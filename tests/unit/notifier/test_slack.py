"""Slack: one message an incident, its thread, what rings, and the limits of blocks."""

import re
from dataclasses import replace
from typing import Any

import pytest

from app.notifier.channel import Context
from app.notifier.channels.slack import Slack, SlackConfig, make
from app.notifier.outcome import Refused, TryAgain
from models.events import NotificationKind
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
from tests.support.receivers.context import local_context
from tests.support.receivers.server import Fault
from tests.support.receivers.slack import TOKEN, SlackServer, block_errors

ESCALATED = replace(
    OPENED, id="3-1055-0", kind=NotificationKind.ESCALATED, text="Not acknowledged for 5m."
)


@pytest.fixture(autouse=True)
def _secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLACK_TOKEN", TOKEN)


def channel(server: SlackServer, context: Context, **options: Any) -> Slack:
    """A channel to the server, whose buttons are heard."""
    options = {"app_token_env": "SLACK_APP_TOKEN", **options}
    return make(SlackConfig(token_env="SLACK_TOKEN", url=f"{server.url}/api", **options), context)


def buttons(blocks: list[dict[str, Any]]) -> list[str]:
    """The ids of the buttons."""
    return [
        element["action_id"]
        for block in blocks
        if block["type"] == "actions"
        for element in block["elements"]
    ]


@asynchronous
async def test_an_incident_is_one_message_and_its_thread() -> None:
    """The message is changed; what happened is told in its thread, and only what wakes is shown in the channel."""
    async with SlackServer() as server, local_context() as context:
        slack, memory = channel(server, context), ""
        for notification in (OPENED, UPDATED, ESCALATED, ACKNOWLEDGED, INFORMED, RESOLVED):
            memory = (await slack.send(notification, "#ops", memory, notification.id)).memory

    first, *replies = server.messages.values()
    assert [(reply["thread_ts"], reply["reply_broadcast"]) for reply in replies] == [
        ("1744427702.000000", wakes) for wakes in (False, True, False, False, False)
    ]
    assert [reply["text"].split("\n")[0] for reply in replies] == [
        "*Updated*: 2 alerts more.",
        "*Escalated*: Not acknowledged for 5m.",
        "*Acknowledged*: Ann acknowledged it.",
        "*Reminder*: Still open.",
        "*Resolved*: All alerts ended.",
    ]
    assert len(server.rings) == 2
    assert first["blocks"][0]["text"]["text"] == (
        "\N{WHITE HEAVY CHECK MARK} [resolved] KubePodCrashLooping: shop/checkout-7d9 (prod)"
    )
    assert buttons(first["blocks"]) == []


@asynchronous
async def test_a_message_has_everything() -> None:
    """The whole message of an incident that opens."""
    async with SlackServer() as server, local_context() as context:
        sent = await channel(server, context).send(OPENED, "#ops", "", "id")

    document = server.requests[0].json()
    section = document["blocks"][1]["text"]
    document["blocks"][1]["text"] = "checked below"
    names = (("acknowledge", "Acknowledge"), ("resolve", "Resolve"), ("escalate", "Escalate"))
    elements = [
        {
            "type": "button",
            "action_id": name,
            "text": {"type": "plain_text", "text": title},
            "value": OPENED.incident,
        }
        for name, title in (*names, ("silence_1h", "Silence 1h"), ("note", "Note"))
    ]
    elements[0]["style"] = "primary"
    assert (sent.receiver_id, sent.memory) == (
        "1744427702.000000",
        '{"channel":"C0OPS","ts":"1744427702.000000"}',
    )
    assert section["text"].split("\n")[:4] == [
        "Pod is crash looping.",
        "*How bad*: P0 (critical), 1 of 1 alert firing",
        "*Where*: cluster prod, namespace shop, pod checkout-7d9",
        "*Since*: 2026-04-12 03:15 UTC, for 12m",
    ]
    assert document == {
        "channel": "#ops",
        "text": "[P0] KubePodCrashLooping: shop/checkout-7d9 (prod) | cluster prod, namespace shop, pod checkout-7d9"
        " | On-call SRE: step 2 of 4: not acknowledged for 5m (rule page-ops) | first: Read the pod's last log.",
        "blocks": [
            {
                "type": "header",
                "text": {
                    "type": "plain_text",
                    "text": "\N{LARGE RED CIRCLE} [P0] KubePodCrashLooping: shop/checkout-7d9 (prod)",
                    "emoji": True,
                },
            },
            {"type": "section", "text": "checked below"},
            {"type": "actions", "block_id": f"incident:{OPENED.incident}", "elements": elements},
            {
                "type": "context",
                "elements": [
                    {"type": "mrkdwn", "text": f"{OPENED.incident}, episode 1", "verbatim": True}
                ],
            },
        ],
        "unfurl_links": False,
        "unfurl_media": False,
        "parse": "none",
    }


@asynchronous
async def test_buttons_that_nobody_hears_are_links() -> None:
    """Without Socket Mode the buttons open pages."""
    async with SlackServer() as server, local_context() as context:
        await channel(server, context, app_token_env="").send(OPENED, "#ops", "", "id")

    actions = server.requests[0].json()["blocks"][2]["elements"]
    assert [(element["action_id"], element["url"].rpartition("/")[2]) for element in actions] == [
        ("open_acknowledge", "acknowledge"),
        ("open_silence", f"new?incident={OPENED.incident}"),
    ]


@pytest.mark.parametrize("app_token_env", ["", "SLACK_APP_TOKEN"])
@pytest.mark.parametrize(
    "sample", [OPENED, ACKNOWLEDGED, RESOLVED, UPDATED, INFORMED, large(), hostile()]
)
@asynchronous
async def test_blocks_are_within_the_documented_limits(sample: Any, app_token_env: str) -> None:
    """Whatever the incident holds."""
    async with SlackServer() as server, local_context() as context:
        await channel(server, context, app_token_env=app_token_env).send(sample, "#ops", "", "id")

    assert list(block_errors(server.requests[0].json()["blocks"])) == []


@asynchronous
async def test_a_long_message_ends_in_a_link() -> None:
    """What does not fit is behind the incident's link."""
    labels = dict.fromkeys(("alertname", "namespace", "pod"), "&" * 200)
    alert = replace(OPENED.alerts[0], labels=labels, annotations={"summary": "&" * 500})
    async with SlackServer() as server, local_context() as context:
        await channel(server, context).send(replace(OPENED, alerts=(alert,) * 10), "#ops", "", "id")

    last = [block for block in server.requests[0].json()["blocks"] if block["type"] == "section"][
        -1
    ]
    assert last["text"]["text"].endswith(
        f"... <https://tocsin.example.org/incidents/{OPENED.incident}|all of it>"
    )


@asynchronous
async def test_texts_of_others_mention_nobody() -> None:
    """No text of the message and of a reply has a mention, a link or formatting of somebody else."""
    async with SlackServer() as server, local_context() as context:
        slack = channel(server, context)
        sent = await slack.send(hostile(), "#ops", "", "id")
        await slack.send(hostile(), "#ops", sent.memory, "id2")

    texts = [document["text"] for document in server.messages.values()]
    texts += [
        block["text"]["text"]
        for block in server.requests[0].json()["blocks"]
        if block["type"] == "section"
    ]
    assert len(texts) >= 3
    assert all(
        link.startswith("https://") for text in texts for link in re.findall("<([^>|]*)", text)
    )


@asynchronous
async def test_a_message_that_was_deleted_is_posted_anew() -> None:
    """Somebody deleted the incident's message, so the next one is a message again."""
    async with SlackServer() as server, local_context() as context:
        slack = channel(server, context)
        sent = await slack.send(OPENED, "#ops", "", "id")
        server.messages.clear()
        again = await slack.send(UPDATED, "#ops", sent.memory, "id2")

    assert list(server.messages) == [again.receiver_id]
    assert "thread_ts" not in server.messages[again.receiver_id]


@pytest.mark.parametrize(
    ("address", "token", "message"),
    [
        ("#nowhere", TOKEN, "Slack refused chat.postMessage: channel_not_found"),
        ("#ops", "xoxb-other-token", "Slack refused chat.postMessage: invalid_auth"),
    ],
)
@asynchronous
async def test_what_slack_refuses_is_permanent(
    monkeypatch: pytest.MonkeyPatch, address: str, token: str, message: str
) -> None:
    """An error in a 200 is an error."""
    monkeypatch.setenv("SLACK_TOKEN", token)
    async with SlackServer() as server, local_context() as context:
        with pytest.raises(Refused) as caught:
            await channel(server, context).send(OPENED, address, "", "id")

    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("fault", "message", "after_s"),
    [
        (Fault.RATE_LIMITED, "Slack at 127.0.0.1 answered 429: ratelimited", 7.0),
        (Fault.HALF_ANSWER, "Slack's answer to chat.postMessage cannot be read", None),
    ],
)
@asynchronous
async def test_what_may_pass_is_tried_again(
    fault: Fault, message: str, after_s: float | None
) -> None:
    """A rate limit, with when, and an answer without the message's timestamp."""
    async with SlackServer() as server, local_context() as context:
        server.faults.append(fault)
        with pytest.raises(TryAgain) as caught:
            await channel(server, context).send(OPENED, "#ops", "", "id")

    assert (str(caught.value), caught.value.retry_after_s) == (message, after_s)


@asynchronous
async def test_a_preview_is_the_message() -> None:
    """The blocks, which Slack's builder shows."""
    async with SlackServer() as server, local_context() as context:
        preview = channel(server, context).preview(OPENED, "#ops")

    assert preview.startswith('{\n  "channel": "#ops",\n  "text": "[P0] KubePodCrashLooping')
    assert TOKEN not in preview
