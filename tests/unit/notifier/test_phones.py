"""What rings phones: ntfy, Pushover, SMS and calls."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree as ET

import orjson
import pytest
from pydantic import ValidationError

from app.notifier.channel import Context
from app.notifier.channels import ntfy, pushover, twilio_sms, twilio_voice
from app.notifier.channels.twilio_sms import fit, segments
from app.notifier.channels.twilio_voice import TWIML_MAX, twiml
from app.notifier.outcome import Refused
from models.events import NextStep, Notification
from tests.support.asynchronous import asynchronous
from tests.support.notifications import (
    ACKNOWLEDGED,
    HOSTILE,
    INFORMED,
    OPENED,
    RESOLVED,
    UPDATED,
    hostile,
    large,
)
from tests.support.receivers.context import local_context
from tests.support.receivers.phones import (
    ACCOUNT_SID,
    NTFY_TOKEN,
    PUSHOVER_TOKEN,
    PUSHOVER_USER,
    TOPIC,
    TWILIO_TOKEN,
    NtfyServer,
    PushoverServer,
    TwilioServer,
)

ALL = (OPENED, UPDATED, INFORMED, ACKNOWLEDGED, RESOLVED)
PHONE = "+15550100123"
INCIDENT_URL = f"https://tocsin.example.org/incidents/{OPENED.incident}"
SILENCE_URL = f"https://tocsin.example.org/silences/new?incident={OPENED.incident}"
SECRETS = {
    "TOPIC": TOPIC,
    "NTFY_TOKEN": NTFY_TOKEN,
    "PUSHOVER_TOKEN": PUSHOVER_TOKEN,
    "PUSHOVER_USER": PUSHOVER_USER,
    "TWILIO_TOKEN": TWILIO_TOKEN,
}


@pytest.fixture(autouse=True)
def _secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, secret in SECRETS.items():
        monkeypatch.setenv(name, secret)


def ntfy_channel(server: NtfyServer, context: Context) -> ntfy.Ntfy:
    """A topic on the server."""
    return ntfy.make(
        ntfy.NtfyConfig(url=server.url, topic_env="TOPIC", token_env="NTFY_TOKEN"), context
    )


def pushover_channel(server: PushoverServer, context: Context) -> pushover.Pushover:
    """A user at the server."""
    config = pushover.PushoverConfig(
        url=server.url, token_env="PUSHOVER_TOKEN", user_env="PUSHOVER_USER"
    )
    return pushover.make(config, context)


def twilio_settings(server: TwilioServer, **changes: Any) -> Mapping[str, Any]:
    """An account at the server."""
    settings = {
        "account_sid": ACCOUNT_SID,
        "token_env": "TWILIO_TOKEN",
        "from": "+15550100999",
        "url": server.url,
    }
    return {**settings, **changes}


def sms_channel(server: TwilioServer, context: Context, **changes: Any) -> twilio_sms.TwilioSms:
    """SMS by the server."""
    return twilio_sms.make(
        twilio_sms.TwilioSmsConfig(**twilio_settings(server, **changes)), context
    )


def voice_channel(server: TwilioServer, context: Context) -> twilio_voice.TwilioVoice:
    """Calls by the server."""
    return twilio_voice.make(twilio_voice.TwilioVoiceConfig(**twilio_settings(server)), context)


@asynchronous
async def test_ntfy_rings_for_what_wakes() -> None:
    """Priority 5 for what wakes, 2 for what is acknowledged or over, 3 for the rest."""
    async with NtfyServer() as server, local_context() as context:
        for notification in ALL:
            await ntfy_channel(server, context).send(notification, "", "", notification.id)

    assert [request.json()["priority"] for request in server.requests] == [5, 3, 3, 2, 2]
    assert server.rings == ["[P0] KubePodCrashLooping: shop/checkout-7d9 (prod)"]


@asynchronous
async def test_an_ntfy_message() -> None:
    """Title, text, buttons, and what a tap opens."""
    async with NtfyServer() as server, local_context() as context:
        sent = await ntfy_channel(server, context).send(OPENED, "", "", "id")

    assert sent.receiver_id == "msg1"
    assert server.requests[0].json() == {
        "topic": TOPIC,
        "title": "[P0] KubePodCrashLooping: shop/checkout-7d9 (prod)",
        "message": (
            "Opened: Pod is crash looping.\n"
            "How bad: P0 (critical), 1 of 1 alert firing\n"
            "Where: cluster prod, namespace shop, pod checkout-7d9\n"
            "Since: 2026-04-12 03:15 UTC, for 12m\n"
            "Owner: ops\n"
            "Why you: On-call SRE: step 2 of 4: not acknowledged for 5m (rule page-ops)\n"
            "First step: Read the pod's last log.\n"
            "Run: kubectl -n shop logs checkout-7d9 --previous"
        ),
        "priority": 5,
        "tags": ["rotating_light"],
        "click": INCIDENT_URL,
        "actions": [
            {"action": "view", "label": "Acknowledge", "url": f"{INCIDENT_URL}/act/acknowledge"},
            {"action": "view", "label": "Silence", "url": SILENCE_URL},
            {"action": "view", "label": "Runbook", "url": "https://runbooks.example/crashloop"},
        ],
    }


@asynchronous
async def test_ntfy_says_what_is_wrong() -> None:
    """Its own words, without the topic."""
    async with NtfyServer() as server, local_context() as context:
        config = ntfy.NtfyConfig(url=server.url, topic_env="NTFY_TOKEN", token_env="NTFY_TOKEN")
        with pytest.raises(Refused) as caught:
            await ntfy.make(config, context).send(OPENED, "", "", "id")

    assert str(caught.value) == "ntfy at 127.0.0.1 answered 400: invalid request: topic invalid"


@asynchronous
async def test_pushover_rings_until_it_is_acknowledged() -> None:
    """An emergency is repeated, and the acknowledgement stops it, however many there are."""
    other = replace(OPENED, incident="INC-20260412T031502Z-OTHER")
    async with PushoverServer() as server, local_context() as context:
        channel = pushover_channel(server, context)
        for notification in (OPENED, OPENED, other):
            await channel.send(notification, "", "", notification.id)
        ringing = dict(server.ringing)
        await channel.send(ACKNOWLEDGED, "", "", ACKNOWLEDGED.id)

    assert sorted(ringing.values()) == [OPENED.incident, OPENED.incident, other.incident]
    assert list(server.ringing.values()) == [other.incident]


@asynchronous
async def test_a_pushover_message() -> None:
    """The whole emergency."""
    async with PushoverServer() as server, local_context() as context:
        sent = await pushover_channel(server, context).send(OPENED, "", "", "id")

    document = server.requests[0].json()
    message = document.pop("message")
    assert sent.receiver_id == "receipt1"
    assert message.startswith("Opened: Pod is crash looping.\nHow bad: P0")
    assert document == {
        "token": PUSHOVER_TOKEN,
        "user": PUSHOVER_USER,
        "title": "[P0] KubePodCrashLooping: shop/checkout-7d9 (prod)",
        "timestamp": 1775964422,
        "priority": 2,
        "retry": 60,
        "expire": 3600,
        "tags": OPENED.incident,
        "url": INCIDENT_URL,
        "url_title": "Incident",
    }


@asynchronous
async def test_pushover_rings_for_nothing_else() -> None:
    """What does not wake has no emergency priority."""
    async with PushoverServer() as server, local_context() as context:
        for notification in (UPDATED, INFORMED, ACKNOWLEDGED, RESOLVED):
            await pushover_channel(server, context).send(notification, "", "", notification.id)

    messages = [request.json() for request in server.requests if request.path == "/1/messages.json"]
    assert [message["priority"] for message in messages] == [0, 0, -1, -1]
    assert server.rings == []


@pytest.mark.parametrize(("retry_s", "expire_s"), [(29, 3600), (60, 10801)])
def test_pushovers_bounds_are_checked(retry_s: int, expire_s: int) -> None:
    """What Pushover would refuse cannot be configured."""
    with pytest.raises(ValidationError):
        pushover.PushoverConfig(token_env="T", user_env="U", retry_s=retry_s, expire_s=expire_s)


@asynchronous
async def test_an_sms_says_the_most_important() -> None:
    """What, where, since when, why, the first step as far as there is room, and the link whole."""
    async with TwilioServer() as server, local_context() as context:
        sent = await sms_channel(server, context).send(OPENED, PHONE, "", "id")

    assert sent.receiver_id == "SM1"
    assert server.messages == [
        {
            "To": PHONE,
            "From": "+15550100999",
            "Body": (
                "[P0] KubePodCrashLooping: shop/checkout-7d9 (prod). cluster prod, namespace shop,"
                " pod checkout-7d9. Since 2026-04-12 03:15 UTC, for 12m. On-call SRE: step 2 of 4: not"
                f" acknowledged for 5m (rule page-ops). First: Read the pod's last log. {INCIDENT_URL}"
            ),
        }
    ]


@asynchronous
async def test_a_messaging_service_sends_an_sms() -> None:
    """Its id stands where a number else does."""
    async with TwilioServer() as server, local_context() as context:
        await sms_channel(server, context, **{"from": "MG" + "0" * 32}).send(
            OPENED, PHONE, "", "id"
        )

    assert server.messages[0]["MessagingServiceSid"] == "MG" + "0" * 32


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("a" * 160, 1),
        ("a" * 161, 2),
        ("[" * 80, 1),
        ("[" * 81, 2),
        ("a" * 459, 3),
        ("ж" * 70, 1),
        ("ж" * 71, 2),
        ("\N{FIRE}" * 35, 1),
        ("\N{FIRE}" * 36, 2),
        ("", 1),
    ],
)
def test_segments_are_counted_as_they_are_paid(text: str, count: int) -> None:
    """By GSM's alphabet, in which some signs count twice, or by UTF-16."""
    assert segments(text) == count


@pytest.mark.parametrize("segments_max", [1, 3, 10])
@pytest.mark.parametrize(
    "text", ["a" * 5000, "[{" * 900, "ж" * 900, "a" * 300 + "\N{FIRE}" * 300, "ab. " * 3]
)
def test_an_sms_fits(text: str, segments_max: int) -> None:
    """However it is counted, and the link is whole."""
    body = fit(text, " https://t.example/INC", segments_max)

    assert segments(body) <= segments_max
    assert body.endswith(" https://t.example/INC")


@asynchronous
async def test_a_call_says_it_twice() -> None:
    """Only what wakes is a call."""
    async with TwilioServer() as server, local_context() as context:
        for notification in ALL:
            await voice_channel(server, context).send(notification, PHONE, "", notification.id)

    said = (
        "Tocsin. P0 (critical), 1 of 1 alert firing. KubePodCrashLooping: shop/checkout-7d9 (prod). cluster prod,"
        " namespace shop, pod checkout-7d9. Since 2026-04-12 03:15 UTC, for 12m. On-call SRE: step 2 of 4: not"
        " acknowledged for 5m (rule page-ops). First step: Read the pod's last log.."
    )
    assert server.calls == [
        {
            "To": PHONE,
            "From": "+15550100999",
            "Twiml": f'<Response><Say>{said}</Say><Pause length="1"/><Say>{said}</Say></Response>',
        }
    ]


@pytest.mark.parametrize("text", [HOSTILE, "&" * 4000, "<" * 4000, "]]><!--" * 500, "x" * 9000])
def test_spoken_texts_of_others_are_text(text: str) -> None:
    """A call's document has only our own elements, and is as short as Twilio wants it."""
    document = twiml(text.replace("\x1b", " "))

    assert [element.tag for element in ET.fromstring(document).iter()] == [
        "Response",
        "Say",
        "Pause",
        "Say",
    ]
    assert len(document) <= TWIML_MAX


@pytest.mark.parametrize(
    "address", ["", "ann", "15550100", "+1 555 0100", "+1555\n0100123", "+" + "1" * 20]
)
@asynchronous
async def test_what_is_no_number_is_called_by_nobody(address: str) -> None:
    """An address that is no number is refused before anything is sent."""
    async with TwilioServer() as server, local_context() as context:
        with pytest.raises(Refused, match="must be a phone number such as"):
            await sms_channel(server, context).send(OPENED, address, "", "id")
        with pytest.raises(Refused, match="must be a phone number such as"):
            await voice_channel(server, context).send(OPENED, address, "", "id")

    assert server.requests == []


@asynchronous
async def test_twilio_says_what_is_wrong() -> None:
    """Its code and words."""
    async with TwilioServer() as server, local_context() as context:
        with pytest.raises(Refused) as caught:
            await sms_channel(server, context).send(OPENED, "+15005550001", "", "id")

    assert str(caught.value) == "Twilio at 127.0.0.1 answered 400: 21211 Invalid 'To' Phone Number"


@pytest.mark.parametrize(
    "sample", [hostile(), large(), replace(large(), next_step=NextStep("x" * 5000, "y" * 5000))]
)
@asynchronous
async def test_every_service_takes_the_worst(sample: Notification) -> None:
    """The servers refuse what the services' limits forbid, and nothing is refused; texts are inert."""
    async with (
        local_context() as context,
        NtfyServer() as first,
        PushoverServer() as second,
        TwilioServer() as third,
    ):
        await ntfy_channel(first, context).send(sample, "", "", "id")
        await pushover_channel(second, context).send(sample, "", "", "id")
        await sms_channel(third, context).send(sample, PHONE, "", "id")
        await voice_channel(third, context).send(sample, PHONE, "", "id")

    message = first.requests[0].json()
    assert len(message["message"].encode()) <= 4096
    assert len(first.rings) == len(second.rings) == len(third.messages) == len(third.calls) == 1
    texts = (
        message["message"],
        message["title"],
        second.requests[0].json()["message"],
        third.messages[0]["Body"],
    )
    assert all(line.isprintable() for text in texts for line in text.split("\n"))


@asynchronous
async def test_previews() -> None:
    """What each would send, without its secrets."""
    async with (
        local_context() as context,
        NtfyServer() as first,
        PushoverServer() as second,
        TwilioServer() as third,
    ):
        previews = [
            ntfy_channel(first, context).preview(OPENED, ""),
            pushover_channel(second, context).preview(OPENED, ""),
            sms_channel(third, context).preview(OPENED, PHONE),
            voice_channel(third, context).preview(OPENED, PHONE),
            voice_channel(third, context).preview(RESOLVED, PHONE),
        ]

    assert orjson.loads(previews[0])["priority"] == 5
    assert orjson.loads(previews[1])["priority"] == 2
    assert previews[2].endswith("\n(2 of at most 3 segments)")
    assert previews[3].startswith("<Response><Say>Tocsin. ")
    assert previews[4] == "nothing: nobody is called for what does not wake"
    assert not any(secret in preview for secret in SECRETS.values() for preview in previews)
