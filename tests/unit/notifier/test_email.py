"""Mail: what is in it, threads, and what a mail server's answers mean."""

import ssl
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import ValidationError

from app.notifier.channel import Context
from app.notifier.channels.email import Email, EmailConfig, Tls, mailbox, make
from app.notifier.connections.addresses import AddressPolicy
from app.notifier.connections.http import HttpClient
from app.notifier.outcome import Refused, TryAgain
from deploy.kafka.secured import authority, certificate
from tests.support.asynchronous import asynchronous
from tests.support.notifications import ACKNOWLEDGED, HOSTILE, OPENED, RESOLVED, hostile, large
from tests.support.receivers.context import LOCAL, local_context
from tests.support.receivers.mail import PASSWORD, USERNAME, MailServer

ANN = "Ann <ann@example.org>"
ROOT = f"<{OPENED.incident}@example.org>"


@pytest.fixture(autouse=True)
def _secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAIL_PASSWORD", PASSWORD)


def config(server: MailServer, **options: str) -> EmailConfig:
    """Settings of a server without TLS."""
    return EmailConfig.model_validate(
        {
            "smarthost": server.smarthost,
            "from": "Tocsin <tocsin@example.org>",
            "tls": "none",
            **options,
        }
    )


def channel(server: MailServer, context: Context) -> Email:
    """A channel to the server."""
    return make(config(server), context)


def identifier(notification_id: str) -> str:
    """The Message-ID of a notification."""
    return f"<{notification_id}.{OPENED.incident}@example.org>"


@asynchronous
async def test_an_incident_is_a_thread() -> None:
    """Each mail refers to the incident and to the mail before, and has the first one's subject."""
    async with MailServer() as server, local_context() as context:
        mail, memory = channel(server, context), ""
        for notification in (OPENED, ACKNOWLEDGED, RESOLVED):
            memory = (await mail.send(notification, ANN, memory, notification.id)).memory

    names = ("Subject", "Message-ID", "In-Reply-To", "References")
    title = "[P0] KubePodCrashLooping: shop/checkout-7d9 (prod)"
    first, second, third = (
        identifier(notification.id) for notification in (OPENED, ACKNOWLEDGED, RESOLVED)
    )
    assert [tuple(str(mail[name]) for name in names) for mail in server.mails] == [
        (title, first, ROOT, ROOT),
        (f"Re: {title}", second, first, f"{ROOT} {first}"),
        (f"Re: {title}", third, second, f"{ROOT} {second}"),
    ]


@asynchronous
async def test_a_mail_has_text_and_html() -> None:
    """Both say the same, and machines are told not to answer."""
    async with MailServer() as server, local_context() as context:
        sent = await channel(server, context).send(OPENED, ANN, "", OPENED.id)

    mail = server.mails[0]
    text, html = (part.get_content().replace("\r\n", "\n").strip() for part in mail.iter_parts())
    headers = {
        name: str(mail[name])
        for name in ("From", "To", "Date", "Auto-Submitted", "Importance", "X-Priority")
    }
    assert sent.receiver_id == mail["Message-ID"]
    assert text == context.templates.render("body.txt", OPENED)
    assert html == context.templates.render("body.html", OPENED)
    assert headers == {
        "From": "Tocsin <tocsin@example.org>",
        "To": "Ann <ann@example.org>",
        "Date": "Sun, 12 Apr 2026 03:27:02 +0000",
        "Auto-Submitted": "auto-generated",
        "Importance": "high",
        "X-Priority": "1",
    }


@asynchronous
async def test_a_worse_severity_has_a_subject_of_its_own() -> None:
    """What becomes a P0 is no reply under P2; once it is milder again the subject stays."""
    async with MailServer() as server, local_context() as context:
        mail, memory = channel(server, context), ""
        for severity in ("P2", "P0", "P1"):
            notification = replace(OPENED, severity=severity)
            memory = (await mail.send(notification, ANN, memory, notification.id)).memory

    assert [str(mail["Subject"])[:8] for mail in server.mails] == [
        "[P2] Kub",
        "[P0] Kub",
        "Re: [P0]",
    ]


@asynchronous
async def test_a_thread_survives_a_lost_memory() -> None:
    """Without a memory a mail still refers to the incident's id."""
    async with MailServer() as server, local_context() as context:
        await channel(server, context).send(RESOLVED, ANN, "", RESOLVED.id)

    assert server.mails[0]["References"] == ROOT


@asynchronous
async def test_a_second_try_has_the_same_id() -> None:
    """Whoever gets a mail twice can see it."""
    async with MailServer() as server, local_context() as context:
        for _ in range(2):
            await channel(server, context).send(OPENED, ANN, "", OPENED.id)

    assert server.mails[0]["Message-ID"] == server.mails[1]["Message-ID"]


@asynchronous
async def test_texts_of_others_add_no_header() -> None:
    """A title with a line end and `Bcc:` is one subject, and the largest mail is taken."""
    async with MailServer() as server, local_context() as context:
        await channel(server, context).send(hostile(), ANN, "", "id-1")
        await channel(server, context).send(large(), ANN, "", "id-2")

    assert server.mails[0]["Bcc"] is None
    assert str(server.mails[0]["Subject"]).isprintable()
    assert HOSTILE not in str(server.mails[0])
    assert len(server.mails) == 2


@pytest.mark.parametrize(
    ("stage", "answer", "kind"),
    [
        ("rcpt", "451 4.7.1 greylisted", TryAgain),
        ("rcpt", "550 5.1.1 no such user", Refused),
        ("data", "452 4.3.1 no space", TryAgain),
        ("data", "554 5.7.1 spam\x1b[31m", Refused),
    ],
)
@asynchronous
async def test_a_reply_code_is_temporary_or_permanent(
    stage: str, answer: str, kind: type[Exception]
) -> None:
    """4xx may pass, 5xx will not."""
    async with MailServer() as server, local_context() as context:
        getattr(server, stage).append(answer)
        with pytest.raises(kind) as caught:
            await channel(server, context).send(OPENED, ANN, "", "id")

    code, words = answer.replace("\x1b", "\N{REPLACEMENT CHARACTER}").split(" ", 1)
    assert str(caught.value) == f"the mail server {server.smarthost} answered {code}: {words}"
    assert server.mails == []


@asynchronous
async def test_a_server_that_breaks_off_after_the_mail_has_it() -> None:
    """Once the mail is accepted nothing else matters, so it is not sent twice."""
    async with MailServer(breaks_after_mail=True) as server, local_context() as context:
        await channel(server, context).send(OPENED, ANN, "", "id")

    assert len(server.mails) == 1


@asynchronous
async def test_a_silent_server_is_tried_again() -> None:
    """A server that says nothing holds up nobody."""
    async with MailServer(silent=True) as server, local_context() as context:
        with pytest.raises(TryAgain, match=r"gave no answer within 0\.2 s"):
            await Email(config(server), context, timeout_s=0.2).send(OPENED, ANN, "", "id")


@asynchronous
async def test_a_private_mail_server_has_to_be_allowed() -> None:
    """The rule for private addresses holds for mail, too."""
    async with MailServer() as server, local_context() as context:
        client = HttpClient(AddressPolicy())
        with pytest.raises(Refused, match=r"^mail: 127\.0\.0\.1 has a private address"):
            await channel(server, replace(context, http=client)).send(OPENED, ANN, "", "id")

    assert server.mails == []


@asynchronous
async def test_a_password_is_sent_over_tls_only(tmp_path: Path) -> None:
    """With STARTTLS and the right authority the mail is taken; a wrong password is told, not shown; no TLS is refused."""
    authority(tmp_path, "ca")
    certificate(tmp_path, "server", "ca", "IP:127.0.0.1")
    theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    theirs.load_cert_chain(tmp_path / "server.crt", tmp_path / "server.key")
    ours = ssl.create_default_context(cafile=tmp_path / "ca.crt")
    options = {"tls": Tls.STARTTLS, "username": USERNAME, "password_env": "MAIL_PASSWORD"}
    async with MailServer(tls=theirs, asks_for_password=True) as server, local_context() as context:
        trusting = replace(context, http=HttpClient(LOCAL, tls=ours))
        await make(config(server, **options), trusting).send(OPENED, ANN, "", "id")
        with pytest.raises(TryAgain, match="certificate verify failed"):
            await make(config(server, **options), context).send(OPENED, ANN, "", "id")
        with pytest.raises(Refused, match="answered 535: ") as wrong:
            await make(config(server, **{**options, "username": "other-name"}), trusting).send(
                OPENED, ANN, "", "id"
            )
        server.tls = None
        with pytest.raises(TryAgain, match="STARTTLS extension not supported by server"):
            await make(config(server, **options), trusting).send(OPENED, ANN, "", "id")

    assert len(server.mails) == 1
    assert PASSWORD not in str(wrong.value)


@pytest.mark.parametrize(
    "address", ["", "ann", "@example.org", "a@b, c@d", "a b@example.org", "a@b\nBcc: c@d", "<a@b"]
)
def test_what_is_no_address_is_none(address: str) -> None:
    """One address with a domain, and nothing else."""
    assert mailbox(address) is None


@asynchronous
async def test_no_mail_goes_to_what_is_no_address() -> None:
    """It is refused before anything is sent."""
    async with MailServer() as server, local_context() as context:
        with pytest.raises(Refused, match="'nobody' is no mail address"):
            await channel(server, context).send(OPENED, "nobody", "", "id")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"smarthost": "mail.example.org"}, "must be HOST:PORT"),
        ({"from": "nobody"}, "must be an address"),
        ({"username": "x"}, "must be given together"),
        ({"username": "x", "password_env": "Y", "tls": "none"}, "in the clear"),
    ],
)
def test_settings_are_checked(changes: dict[str, str], message: str) -> None:
    """What cannot work is refused when it is read."""
    with pytest.raises(ValidationError, match=message):
        EmailConfig.model_validate(
            {"smarthost": "m.example.org:587", "from": "t@example.org", **changes}
        )


@asynchronous
async def test_a_preview_is_headers_and_text() -> None:
    """What the mail says."""
    async with MailServer() as server, local_context() as context:
        preview = channel(server, context).preview(OPENED, ANN)

    assert preview.startswith(
        "From: Tocsin <tocsin@example.org>\nTo: Ann <ann@example.org>\nSubject: [P0] Kube"
    )
    assert "How bad: P0 (critical)" in preview
