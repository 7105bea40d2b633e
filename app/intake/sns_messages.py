"""Messages of Amazon SNS over HTTP: what they say, what is signed, and by whose certificate.

Source: "Verifying the signatures of Amazon SNS messages" and "HTTP/HTTPS notification JSON format" in
the developer guide of Amazon SNS. Whether the signature is good is for the edge, which has the key.
"""

import base64
import binascii
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

from app.intake.normalise import parse_json
from models.reason import BadInput, Reason
from models.wire import instant_ms

AGE_MS_MAX = 3_600_000  # SNS tries for an hour; what is older may be a copy that somebody kept
_CERTIFICATE = re.compile(r"/SimpleNotificationService-[0-9a-zA-Z]{1,100}\.pem")


class SnsType(StrEnum):
    """What a message is."""

    NOTIFICATION = "Notification"
    SUBSCRIPTION = "SubscriptionConfirmation"
    UNSUBSCRIPTION = "UnsubscribeConfirmation"


_CONFIRMED = ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")
_SIGNED = {
    SnsType.NOTIFICATION: ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    SnsType.SUBSCRIPTION: _CONFIRMED,
    SnsType.UNSUBSCRIPTION: _CONFIRMED,
}


@dataclass(frozen=True, slots=True)
class SnsMessage:
    """A message whose addresses are Amazon's. Its signature is not checked yet."""

    kind: SnsType
    topic: str  # its ARN
    text: str
    subject: str
    subscribe_url: str  # which confirms a subscription; empty for a notification
    certificate_url: str
    signature: bytes
    version: str  # of the signature: "1" is over SHA-1, "2" over SHA-256
    signed: bytes  # what the signature is over

    def document(self) -> Any:
        """What a mapping sees: the JSON that the message is, else its subject and its text."""
        try:
            document = parse_json(self.text.encode())
        except BadInput:
            document = None
        if isinstance(document, dict | list):
            return document
        return {"Subject": self.subject, "Message": self.text}


def sns_message_of(document: Any, topics: tuple[str, ...], now_ms: int) -> SnsMessage:
    """The message in a body, of one of the topics, by their ARN. Raises BadInput."""
    if not isinstance(document, dict):
        raise BadInput(Reason.MALFORMED, "the body is no object, must be a message of SNS")
    try:
        kind = SnsType(_text(document, "Type"))
    except ValueError:
        found = f"Type: is {document.get('Type')!r:.60}, must be one of {', '.join(SnsType)}"
        raise BadInput(Reason.MALFORMED, found) from None
    topic = _text(document, "TopicArn")
    if topic not in topics:
        found = f"TopicArn: is {topic!r:.120}, must be one of TOCSIN_SNS_TOPICS"
        raise BadInput(Reason.UNKNOWN_NAME, found)
    _check_age(_text(document, "Timestamp"), now_ms)
    confirms = kind is not SnsType.NOTIFICATION
    return SnsMessage(
        kind,
        topic,
        _text(document, "Message"),
        _text(document, "Subject", ""),
        _amazon_url(document, "SubscribeURL", topic) if confirms else "",
        _certificate_url(document, topic),
        _signature(document),
        _version(document),
        _signed(document, kind),
    )


def _text(document: dict[str, Any], name: str, default: str | None = None) -> str:
    value = document.get(name, default)
    if value is None and default is not None:
        return default
    if not isinstance(value, str):
        found = "is missing" if value is None else f"is {value!r:.60}"
        raise BadInput(Reason.MALFORMED, f"{name}: {found}, must be a text")
    return value


def _check_age(timestamp: str, now_ms: int) -> None:
    sent_ms = instant_ms(timestamp, "Timestamp")
    if sent_ms is None or not -AGE_MS_MAX <= now_ms - sent_ms <= AGE_MS_MAX:
        found = f"Timestamp: is {timestamp!r:.60}, must be at most an hour from now"
        raise BadInput(Reason.BAD_TIME, found)


def _amazon_url(document: dict[str, Any], name: str, topic: str) -> str:
    """An address of SNS, in the region of the topic. Nobody else's is ever asked."""
    url = _text(document, name)
    region = topic.split(":")[3]  # the settings check that a topic has one
    hosts = (f"sns.{region}.amazonaws.com", f"sns.{region}.amazonaws.com.cn")
    try:
        parts = urlsplit(url)
        good = parts.scheme == "https" and parts.netloc in hosts and url.isprintable()
    except ValueError:
        good = False
    if not good:
        found_text = f"{name}: is {url!r:.120}, must be an https address of {hosts[0]}"
        raise BadInput(Reason.MALFORMED, found_text)
    return url


def _certificate_url(document: dict[str, Any], topic: str) -> str:
    url = _amazon_url(document, "SigningCertURL", topic)
    parts = urlsplit(url)
    if not _CERTIFICATE.fullmatch(parts.path) or parts.query or parts.fragment:
        found = f"SigningCertURL: is {url!r:.120}, must be a certificate of SNS"
        raise BadInput(Reason.MALFORMED, found)
    return url


def _signature(document: dict[str, Any]) -> bytes:
    try:
        return base64.b64decode(_text(document, "Signature"), validate=True)
    except (binascii.Error, ValueError):
        raise BadInput(Reason.MALFORMED, "Signature: must be Base64") from None


def _version(document: dict[str, Any]) -> str:
    version = _text(document, "SignatureVersion")
    if version not in ("1", "2"):
        raise BadInput(Reason.MALFORMED, f"SignatureVersion: is {version!r:.60}, must be 1 or 2")
    return version


def _signed(document: dict[str, Any], kind: SnsType) -> bytes:
    """Each signed field with its name, a line each; a subject only where there is one."""
    fields = [(name, document.get(name)) for name in _SIGNED[kind]]
    known = [(name, value) for name, value in fields if name != "Subject" or value is not None]
    return "".join(f"{name}\n{_text(document, name)}\n" for name, _ in known).encode()
