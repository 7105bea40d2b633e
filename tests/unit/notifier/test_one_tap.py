"""Signed links: what they allow, for how long, and that nobody makes or changes one."""

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.notifier.channels import ntfy
from app.notifier.messages.incident_links import IncidentLinks
from app.notifier.messages.rendering import Templates
from app.notifier.replies.act import Act, ActCommand, BadReply
from app.notifier.replies.link_page import QUESTIONS, message_page, question_page
from app.notifier.replies.one_tap import LINKED, TTL_S, Grant, OneTap
from tests.support.asynchronous import asynchronous
from tests.support.notifications import HOSTILE, OPENED
from tests.support.receivers.context import local_context

AT = "2026-04-12T03:27:02.000Z"
AT_S = 1775964422
ONE_TAP = OneTap(b"a secret of enough bytes")
TOKEN = ONE_TAP.token(ActCommand.ACKNOWLEDGE, OPENED.incident, "On-call SRE", AT)


class Forms(HTMLParser):
    """The forms and scripts of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.forms: list[tuple[str | None, str | None]] = []
        self.tags: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a tag."""
        self.tags.add(tag)
        if tag == "form":
            self.forms.append((dict(attrs).get("method"), dict(attrs).get("action")))


def test_a_token_says_what_and_until_when() -> None:
    """Command, incident, receiver and the end of its time."""
    grant = ONE_TAP.read(TOKEN, AT_S)

    assert grant == Grant(ActCommand.ACKNOWLEDGE, OPENED.incident, "On-call SRE", AT_S + TTL_S)


def test_a_token_is_the_same_each_time() -> None:
    """A message that is sent again has the same links, and two taps are one act."""
    again = ONE_TAP.token(ActCommand.ACKNOWLEDGE, OPENED.incident, "On-call SRE", AT)

    act = ONE_TAP.read(again, AT_S).act(again)
    assert again == TOKEN
    assert act == Act(ActCommand.ACKNOWLEDGE, OPENED.incident, "On-call SRE", "link", act.key)
    assert act.key == ONE_TAP.read(TOKEN, AT_S + 1).act(TOKEN).key


@pytest.mark.parametrize(("late_s", "works"), [(-1, True), (0, False), (86400, False)])
def test_a_token_expires(late_s: int, works: bool) -> None:
    """To the second."""
    now_s = AT_S + TTL_S + late_s

    if works:
        assert ONE_TAP.read(TOKEN, now_s).command is ActCommand.ACKNOWLEDGE
    else:
        with pytest.raises(BadReply, match="this link has expired"):
            ONE_TAP.read(TOKEN, now_s)


@given(st.integers(0, len(TOKEN) - 1), st.characters())
def test_a_changed_token_is_not_valid(place: int, sign: str) -> None:
    """Each sign of it counts."""
    changed = TOKEN[:place] + sign + TOKEN[place + 1 :]

    if changed != TOKEN:
        with pytest.raises(BadReply, match=r"^this link is not valid$"):
            ONE_TAP.read(changed, AT_S)


@pytest.mark.parametrize(
    "token", ["", ".", "....", "x" * 10_000, TOKEN + "x", TOKEN.rpartition(".")[0], "é\ud800.x"]
)
def test_what_is_no_token_is_not_valid(token: str) -> None:
    """Whatever it is."""
    with pytest.raises(BadReply, match=r"^this link is not valid$"):
        ONE_TAP.read(token, AT_S)


def test_another_secret_ends_all_links() -> None:
    """And a secret has a length."""
    with pytest.raises(BadReply):
        OneTap(b"another secret of enough").read(TOKEN, AT_S)
    with pytest.raises(ValueError, match="at least 16 bytes"):
        OneTap(b"short")


@pytest.mark.parametrize("command", sorted(LINKED))
def test_a_link_is_short(command: ActCommand) -> None:
    """It fits into an SMS beside the message."""
    assert len(ONE_TAP.token(command, OPENED.incident, "On-call SRE", AT)) <= 100


def test_a_page_asks_before_it_acts() -> None:
    """The first button is the link's own command; each form posts, and nothing else is on the page."""
    grant = ONE_TAP.read(TOKEN, AT_S)
    tokens = {command: ONE_TAP.token_beside(grant, command) for command in QUESTIONS}

    forms = Forms(question_page(grant, tokens))

    assert forms.forms[0] == ("post", TOKEN)
    assert [action for _, action in forms.forms] == list(tokens.values())
    assert {method for method, _ in forms.forms} == {"post"}
    assert forms.tags == {
        "html",
        "head",
        "meta",
        "title",
        "style",
        "body",
        "h1",
        "p",
        "form",
        "button",
    }


def test_a_page_shows_texts_of_others_as_text() -> None:
    """A receiver's name and a message are no HTML."""
    grant = Grant(ActCommand.VIEW, OPENED.incident, HOSTILE, AT_S)

    tags = Forms(question_page(grant, {})).tags | Forms(message_page(HOSTILE, HOSTILE)).tags

    assert tags == {"html", "head", "meta", "title", "style", "body", "h1", "p"}


def test_links_that_act_are_signed() -> None:
    """With a secret each link that acts is a token for the receiver. The incident's is its page."""
    links = IncidentLinks("https://tocsin.example.org/", ONE_TAP)
    body = Templates(links).render("body.txt", OPENED)

    urls = [word for word in body.split() if word.startswith("https://tocsin.example.org/act/")]
    grants = [ONE_TAP.read(url.rpartition("/")[2], AT_S) for url in urls]
    assert [grant.command for grant in grants] == [
        ActCommand.ACKNOWLEDGE,
        ActCommand.SILENCE_1H,
    ]
    assert f"https://tocsin.example.org/incidents/{OPENED.incident}" in body.split()
    assert {grant.receiver for grant in grants} == {"On-call SRE"}


def test_an_sms_has_one_link_and_it_acts() -> None:
    """There is room for one only, and who reads an SMS may have no login at hand."""
    url = IncidentLinks("https://tocsin.example.org/", ONE_TAP).short(OPENED)

    grant = ONE_TAP.read(url.removeprefix("https://tocsin.example.org/act/"), AT_S)
    assert grant.command is ActCommand.VIEW


@asynchronous
async def test_ntfy_acknowledges_with_one_tap() -> None:
    """Its buttons post to the signed links by themselves."""
    links = IncidentLinks("https://tocsin.example.org", ONE_TAP)
    async with local_context() as context:
        signed = type(context)(context.http, context.templates, links)
        channel = ntfy.make(ntfy.NtfyConfig(topic_env="TOPIC"), signed)
        actions = channel._message_body(OPENED)["actions"]

    assert actions[0] == {
        "action": "http",
        "label": "Acknowledge",
        "url": f"https://tocsin.example.org/act/{TOKEN}",
        "method": "POST",
        "clear": True,
    }
    assert [action["action"] for action in actions] == ["http", "http", "view"]
