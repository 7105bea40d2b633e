"""CloudWatch alarms through Amazon SNS: signed by Amazon, of our topics, fresh; all else is refused."""

import asyncio
import base64
import json
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from app.bridge.senders import sns_signatures
from app.intake.sns_messages import sns_message_of
from models.reason import BadInput
from models.text.instant import format_instant
from tests.support.fake_log import FakeLog
from tests.support.served_bridge import Answer, Client, serving
from tests.support.worked_log import WorkedLog
from tests.unit.bridge.test_pagerduty_events import incidents

TOPIC = "arn:aws:sns:eu-west-1:123456789012:alarms"
HOST = "https://sns.eu-west-1.amazonaws.com"
CERTIFICATE = f"{HOST}/SimpleNotificationService-0f3c6a5e.pem"
PATH = "/api/v1/sns/cloudwatch"
PLAIN = {"Content-Type": "text/plain; charset=UTF-8"}
HOUR_MS = 3_600_000
NOW_MS = FakeLog().at_ms
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)

# What CloudWatch sends of an alarm, field by field.
ALARM: dict[str, Any] = {
    "AlarmName": "web-1 CPU is high",
    "AlarmDescription": "The processor is busy",
    "AWSAccountId": "123456789012",
    "AlarmConfigurationUpdatedTimestamp": "2026-04-01T09:00:00.000+0000",
    "NewStateValue": "ALARM",
    "NewStateReason": "Threshold Crossed: 1 datapoint [97.0] was greater than the threshold (90.0).",
    "StateChangeTime": "2026-04-12T13:19:30.236+0000",
    "Region": "EU (Ireland)",
    "AlarmArn": "arn:aws:cloudwatch:eu-west-1:123456789012:alarm:web-1 CPU is high",
    "OldStateValue": "OK",
    "OKActions": [TOPIC],
    "AlarmActions": [TOPIC],
    "InsufficientDataActions": [],
    "Trigger": {
        "MetricName": "CPUUtilization",
        "Namespace": "AWS/EC2",
        "StatisticType": "Statistic",
        "Statistic": "AVERAGE",
        "Unit": None,
        "Dimensions": [{"value": "i-0a1b2c3d4e5f60718", "name": "InstanceId"}],
        "Period": 300,
        "EvaluationPeriods": 1,
        "ComparisonOperator": "GreaterThanThreshold",
        "Threshold": 90.0,
        "TreatMissingData": "missing",
        "EvaluateLowSampleCountPercentile": "",
    },
}


def certificate(key: rsa.RSAPrivateKey = KEY, days: int = 1) -> bytes:
    """A certificate of a key, as PEM, from yesterday for so many days from now."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.amazonaws.com")])
    now = datetime.now(UTC)
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name)
    made = made.public_key(key.public_key()).serial_number(x509.random_serial_number())
    made = made.not_valid_before(now - timedelta(days=9)).not_valid_after(now + timedelta(days))
    return made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def signed(document: dict[str, Any], key: rsa.RSAPrivateKey = KEY) -> dict[str, Any]:
    """The message with its signature, as the developer guide says it is made."""
    names = ["Message", "MessageId", "Subject", "SubscribeURL", "Timestamp", "Token", "TopicArn"]
    text = "".join(f"{name}\n{document[name]}\n" for name in [*names, "Type"] if name in document)
    digest = hashes.SHA1() if document["SignatureVersion"] == "1" else hashes.SHA256()
    signature = key.sign(text.encode(), padding.PKCS1v15(), digest)
    return document | {"Signature": base64.b64encode(signature).decode()}


def unsigned(**fields: Any) -> dict[str, Any]:
    """A notification of an alarm without its signature."""
    return {
        "Type": "Notification",
        "MessageId": "1f6e2c3a-0000-4000-8000-000000000001",
        "TopicArn": TOPIC,
        "Subject": 'ALARM: "web-1 CPU is high" in EU (Ireland)',
        "Message": json.dumps(ALARM),
        "Timestamp": format_instant(NOW_MS),
        "SignatureVersion": "1",
        "SigningCertURL": CERTIFICATE,
        "UnsubscribeURL": f"{HOST}/?Action=Unsubscribe&SubscriptionArn={TOPIC}:1",
    } | fields


def notification(alarm: Any = ALARM, **fields: Any) -> dict[str, Any]:
    """A signed notification of an alarm."""
    text = alarm if isinstance(alarm, str) else json.dumps(alarm)
    return signed(unsigned(Message=text, **fields))


def subscription(**fields: Any) -> dict[str, Any]:
    """A signed request to confirm a subscription."""
    document = unsigned(
        Type="SubscriptionConfirmation",
        Message="You have chosen to subscribe to the topic.",
        Token="2336412f37",
        SubscribeURL=f"{HOST}/?Action=ConfirmSubscription&TopicArn={TOPIC}&Token=2336412f37",
        **fields,
    )
    del document["Subject"], document["UnsubscribeURL"]
    return signed(document)


class Amazon:
    """What Amazon's addresses give, and which were asked."""

    def __init__(self) -> None:
        self.pages: dict[str, bytes] = {CERTIFICATE: certificate()}
        self.asked: list[str] = []

    async def fetch(self, url: str) -> bytes:
        """A page."""
        self.asked.append(url)
        if url.startswith(f"{HOST}/?Action=ConfirmSubscription"):
            return b"<ConfirmSubscriptionResponse/>"
        try:
            return self.pages[url]
        except KeyError:
            raise TimeoutError from None


@pytest.fixture
def amazon(monkeypatch: pytest.MonkeyPatch) -> Amazon:
    """Amazon, which no test can reach."""
    amazon = Amazon()
    monkeypatch.setattr(sns_signatures, "fetch", amazon.fetch)
    return amazon


def posted(
    log: FakeLog, *documents: dict[str, Any], path: str = PATH, confirm: bool = False
) -> list[Answer]:
    """The answers to messages, one after the other."""

    async def talk(client: Client) -> list[Answer]:
        return [await client.ask("POST", path, document, PLAIN) for document in documents]

    answers: list[Answer] = with_topic(log, talk, confirm=confirm)
    return answers


def with_topic(
    log: FakeLog, talk: Callable[[Client], Awaitable[Any]], *, confirm: bool = False
) -> Any:
    """What `talk` returns of a conversation with a bridge that takes the topic."""

    async def conversation() -> Any:
        async with serving(log, sns_topics=(TOPIC,), sns_confirm=confirm) as client:
            return await talk(client)

    return asyncio.run(conversation())


@pytest.mark.parametrize("version", ["1", "2"])
def test_an_alarm_opens_an_incident_and_ends_it(version: str, amazon: Amazon) -> None:
    """The certificate is fetched once."""
    log = WorkedLog()
    over = ALARM | {"NewStateValue": "OK", "OldStateValue": "ALARM"}

    async def talk(client: Client) -> list[Any]:
        begin, end = (notification(alarm, SignatureVersion=version) for alarm in (ALARM, over))
        answers = [await client.ask("POST", PATH, begin, PLAIN)]
        states = [incident["state"] for incident in incidents(log)]
        return [*answers, states, await client.ask("POST", PATH, end, PLAIN)]

    accepted = (200, {"status": "success", "accepted": 1})
    assert with_topic(log, talk) == [accepted, ["open"], accepted]
    assert [incident["state"] for incident in incidents(log)] == ["resolved"]
    assert amazon.asked == [CERTIFICATE]


def test_what_an_alarm_becomes(amazon: Amazon) -> None:
    """Its name, what it watches, and why; the alarm's own name recognises its end."""
    log = FakeLog()

    posted(log, notification())

    [(_, [record])] = log.batches
    value = json.loads(record.value or b"")
    assert value["labels"] == {
        "alertname": "web-1 CPU is high",
        "component": "i-0a1b2c3d4e5f60718",
        "instance": "i-0a1b2c3d4e5f60718",
        "metric": "CPUUtilization",
        "account": "123456789012",
        "region": "EU (Ireland)",
        "sender": "cloudwatch",
        "dedup_key": ALARM["AlarmArn"],
    }
    assert value["annotations"] == {
        "summary": "The processor is busy",
        "description": ALARM["NewStateReason"],
    }
    assert amazon.asked == [CERTIFICATE]


@pytest.mark.usefixtures("amazon")
def test_an_alarm_without_data_changes_nothing() -> None:
    """Nobody knows whether it is over. A text that is no JSON is an alert of its subject."""
    log = FakeLog()
    lacking = ALARM | {"NewStateValue": "INSUFFICIENT_DATA"}

    answers = posted(log, notification(lacking), notification("The disk is full", Subject="Disk"))

    assert [answer["accepted"] for _, answer in answers] == [0, 1]
    labels = json.loads(log.batches[-1][1][0].value or b"")["labels"]
    assert (labels["alertname"], labels["component"]) == ("Disk", "Disk")


@pytest.mark.parametrize(
    ("document", "status", "reason"),
    [
        (notification() | {"Message": json.dumps(ALARM | {"AlarmName": "x"})}, 401, "wrong_signature"),
        (notification() | {"Subject": "x"}, 401, "wrong_signature"),
        (signed(unsigned(), OTHER_KEY), 401, "wrong_signature"),
        (notification() | {"SignatureVersion": "2"}, 401, "wrong_signature"),
        (notification() | {"Signature": "%"}, 400, "malformed"),
        (notification(SignatureVersion="3"), 400, "malformed"),
        (notification(TopicArn=f"{TOPIC}-of-others"), 400, "unknown_name"),
        (notification(Timestamp=format_instant(NOW_MS - HOUR_MS - 1)), 400, "bad_time"),
        (notification(Timestamp=format_instant(NOW_MS + HOUR_MS + 1)), 400, "bad_time"),
        (notification(Type="Other"), 400, "malformed"),
        (notification(SigningCertURL="https://evil.example/SimpleNotificationService-1.pem"), 400, "malformed"),
        (notification(SigningCertURL=f"{HOST}.evil.example/SimpleNotificationService-1.pem"), 400, "malformed"),
        (notification(SigningCertURL=CERTIFICATE.replace("https", "http")), 400, "malformed"),
        (notification(SigningCertURL=CERTIFICATE.replace("eu-west-1", "eu-west-2")), 400, "malformed"),
        (notification(SigningCertURL=CERTIFICATE.replace("sns", "x@sns")), 400, "malformed"),
        (notification(SigningCertURL=CERTIFICATE.replace(".com/", ".com:8443/")), 400, "malformed"),
        (notification(SigningCertURL=f"{HOST}/?Action=x.pem"), 400, "malformed"),
        (notification(SigningCertURL=f"{CERTIFICATE}?x"), 400, "malformed"),
        (notification(SigningCertURL=f"{HOST}/SimpleNotificationService-2.pem"), 503, "certificate_unavailable"),
        (subscription(SigningCertURL="https://["), 400, "malformed"),
    ],
)  # fmt: skip
def test_bad_input(document: dict[str, Any], status: int, reason: str, amazon: Amazon) -> None:
    """Nothing is written, and no address but Amazon's is asked."""
    log = FakeLog()

    [(given_status, answer)] = posted(log, document, confirm=True)

    assert (given_status, answer["reason"], log.batches) == (status, reason, [])
    assert all(url.startswith(f"{HOST}/SimpleNotificationService-") for url in amazon.asked)


def test_a_certificate_that_is_over_proves_nothing(amazon: Amazon) -> None:
    """Nor does what is no certificate."""
    for page in (certificate(days=-1), b"nothing", b""):
        amazon.pages[CERTIFICATE] = page

        [(status, answer)] = posted(FakeLog(), notification())

        assert (status, answer["reason"]) == (401, "wrong_signature")


@pytest.mark.parametrize("confirm", [False, True])
def test_a_subscription_is_confirmed_on_request_only(
    amazon: Amazon, caplog: pytest.LogCaptureFixture, *, confirm: bool
) -> None:
    """Without the setting the log has the address, and nobody is asked."""
    document = subscription()
    caplog.set_level(logging.INFO, "tocsin.bridge")

    [(status, answer)] = posted(FakeLog(), document, confirm=confirm)

    assert (status, answer["status"]) == (200, "confirmed" if confirm else "ignored")
    assert amazon.asked[1:] == ([document["SubscribeURL"]] if confirm else [])
    assert (document["SubscribeURL"] in caplog.text) is not confirm


@pytest.mark.parametrize("url", ["https://evil.example/?Action=ConfirmSubscription", "x"])
def test_only_amazon_is_asked_to_confirm(url: str, amazon: Amazon) -> None:
    """Even when the message is signed."""
    document = subscription()
    del document["Signature"]

    [(status, _)] = posted(FakeLog(), signed(document | {"SubscribeURL": url}), confirm=True)

    assert (status, amazon.asked) == (400, [])


def test_without_topics_there_is_no_such_path() -> None:
    """It is there when the settings name a topic."""

    async def conversation() -> int:
        async with serving(FakeLog()) as client:
            return (await client.ask("POST", PATH, notification(), PLAIN))[0]

    assert asyncio.run(conversation()) == 404


@given(st.dictionaries(st.text(), st.none() | st.text() | st.integers()) | st.none() | st.text())
def test_no_document_is_a_fault(document: Any) -> None:
    """Whatever a stranger sends is a message or refused."""
    base = notification()
    for body in (document, base | document if isinstance(document, dict) else document):
        with suppress(BadInput):
            sns_message_of(body, (TOPIC,), NOW_MS)
