"""What messages say, and that nothing which others wrote is obeyed."""

import logging
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from app.notifier.channels.terminal import line_of
from app.notifier.messages.formats import FORMATS, FormatName
from app.notifier.messages.incident_links import IncidentLinks
from app.notifier.messages.rendering import SHIPPED, Templates
from app.notifier.messages.words import Link, page, safe_url
from app.notifier.shorten import (
    characters,
    shorten,
    shorten_lines,
    utf8_bytes,
    utf16_units,
)
from models.events import Notification, NotificationReason
from tests.support.notifications import (
    ACKNOWLEDGED,
    CRASH,
    HOSTILE,
    INFORMED,
    OPENED,
    RESOLVED,
    hostile,
    large,
)

LINKS = IncidentLinks("https://tocsin.example.org/")
TEMPLATES = Templates(LINKS)
NAMES = sorted(path.name for path in SHIPPED.iterdir() if path.suffix != ".part")

BODY = """\
[P0] KubePodCrashLooping: shop/checkout-7d9 (prod)
Pod is crash looping.

How bad: P0 (critical), 1 of 1 alert firing
Where: cluster prod, namespace shop, pod checkout-7d9
Since: 2026-04-12 03:15 UTC, for 12m
Owner: ops
Why you: On-call SRE: step 2 of 4: not acknowledged for 5m (rule page-ops)
First step: Read the pod's last log.
Run: kubectl -n shop logs checkout-7d9 --previous
Runbook: https://runbooks.example/crashloop
Graph: https://prometheus.example/graph?g0.expr=x&g0.tab=1
Incident: https://tocsin.example.org/incidents/INC-20260412T031502Z-00K3F
Silence: https://tocsin.example.org/silences/new?incident=INC-20260412T031502Z-00K3F

Alerts:
- P0 KubePodCrashLooping: shop/checkout-7d9 - Pod is crash looping.

INC-20260412T031502Z-00K3F"""


class Tags(HTMLParser):
    """The tags of a document, with their attributes."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(document)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a tag."""
        self.tags.append((tag, dict(attrs)))


def test_a_body_says_everything_in_order() -> None:
    """What, how bad, where, since when, why, the first step, links, alerts."""
    assert TEMPLATES.render("body.txt", OPENED) == BODY


@pytest.mark.parametrize(
    ("notification", "title"),
    [
        (OPENED, "[P0] KubePodCrashLooping: shop/checkout-7d9 (prod)"),
        (ACKNOWLEDGED, "[P0, acknowledged] KubePodCrashLooping: shop/checkout-7d9 (prod)"),
        (RESOLVED, "[resolved] KubePodCrashLooping: shop/checkout-7d9 (prod)"),
        (INFORMED, "[P0] KubePodCrashLooping: shop/checkout-7d9 (prod)"),
    ],
)
def test_a_title_says_the_state(notification: Notification, title: str) -> None:
    """The severity, or that it is over."""
    assert TEMPLATES.render("title.txt", notification) == title


@pytest.mark.parametrize(
    ("labels", "place"),
    [
        (
            {"cluster": "c", "namespace": "n", "host": "h", "pod": "p"},
            "cluster c, namespace n, host h",
        ),
        ({"pod": "p", "instance": "exporter:8080"}, "pod p"),
        ({"instance": "db-1:9100"}, "host db-1:9100"),
        ({"namespace": "n"}, "namespace n"),
        ({"other": "x"}, ""),
    ],
)
def test_a_place_is_cluster_namespace_and_host(labels: dict[str, str], place: str) -> None:
    """The instance of a pod's alert is the exporter's, so a pod comes before it."""
    alert = replace(CRASH, labels=labels)

    assert page(replace(OPENED, common_labels={}, alerts=(alert,)), LINKS).where == place


def test_a_place_names_three_hosts() -> None:
    """Of five hosts three are named and the others counted."""
    alerts = tuple(replace(CRASH, labels={"host": f"h{number}"}) for number in range(5))

    assert (
        page(replace(OPENED, common_labels={}, alerts=alerts), LINKS).where
        == "host h0, h1, h2 and 2 more"
    )


@pytest.mark.parametrize(
    ("reason", "why"),
    [
        (NotificationReason("", 1, 1, ""), "On-call SRE: first notification"),
        (NotificationReason("r", 2, 3, ""), "On-call SRE: step 2 of 3 (rule r)"),
        (NotificationReason("r", 2, 3, "rule r, step 2"), "On-call SRE: rule r, step 2"),
    ],
)
def test_a_page_says_why_it_reaches_you(reason: NotificationReason, why: str) -> None:
    """The rule and the step, once each."""
    assert page(replace(OPENED, reason=reason), LINKS).why == why


@pytest.mark.parametrize(
    ("started_at", "since"),
    [
        ("2026-04-12T03:27:02.000Z", "2026-04-12 03:27 UTC, just now"),
        ("2026-04-12T05:27:00.000+02:00", "2026-04-12 03:27 UTC, for 2s"),
        ("yesterday", "yesterday"),
        ("2026-04-12T03:27:02", "2026-04-12T03:27:02"),
    ],
)
def test_a_page_says_since_when(started_at: str, since: str) -> None:
    """In UTC and with the age; what is no instant is shown as it is."""
    assert page(replace(OPENED, started_at=started_at), LINKS).since == since


def test_without_a_public_url_there_are_no_links_to_incidents() -> None:
    """A link that leads nowhere is not shown."""
    assert [link.title for link in page(OPENED, IncidentLinks()).links] == ["Runbook", "Graph"]


def test_a_message_of_no_incident_has_no_links_to_one() -> None:
    """A test message or a digest."""
    trial = replace(OPENED, incident="", links={}, alerts=())

    assert page(trial, LINKS).links == ()


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "file:///x",
        "https://",
        "//x",
        "https://x/ y",
        'https://x/"',
        "https://x/\n",
        "x",
        "",
    ],
)
def test_only_a_web_address_is_a_link(url: str) -> None:
    """What a person should not follow is no link."""
    assert safe_url(url) == ""


def test_links_are_bounded() -> None:
    """The incident's own links stay; of the others those that fit."""
    links = {f"link{number}": f"https://links.example/{number}/{'x' * 900}" for number in range(20)}
    links["graph"] = CRASH.generator_url

    titles = [link.title for link in page(replace(OPENED, links=links), LINKS).links]

    assert titles == ["Graph", "Incident", "Silence", "link0", "link1"]


def test_lines_are_left_out_whole() -> None:
    """A text of markup ends after a whole line."""
    assert (
        shorten_lines("<b>one</b>\n<b>two</b>\n<b>three</b>", 30, tail=" more")
        == "<b>one</b>\n<b>two</b>\n... more"
    )
    assert shorten_lines("short", 5) == "short"


def test_hostile_links_are_left_out() -> None:
    """Of the links in annotations those stay that are web addresses, and their titles are inert."""
    titles = [(link.title[:11], link.url) for link in page(hostile(), IncidentLinks()).links]

    assert titles == [("<!channel> ", "https://ok.example/a")]


@pytest.mark.parametrize("name", NAMES)
def test_every_text_is_inert(name: str) -> None:
    """In no template does a control character, a change of direction or an invisible sign of others survive."""
    text = TEMPLATES.render(name, hostile())

    assert all(line.isprintable() for line in text.split("\n"))


def test_html_of_others_is_text() -> None:
    """A mail has the tags and attributes of the template only."""
    tags = Tags(TEMPLATES.render("body.html", hostile())).tags

    expected = {tag for tag, _ in Tags(TEMPLATES.render("body.html", OPENED)).tags}
    assert {tag for tag, _ in tags} <= expected
    assert {name for _, attributes in tags for name in attributes} <= {
        "href",
        "style",
        "lang",
        "charset",
        "name",
        "content",
    }
    assert all(str(attributes.get("href", "https:")).startswith("https:") for _, attributes in tags)


def test_slack_markup_of_others_is_text() -> None:
    """In mrkdwn the only `<` are those of our own links."""
    text = TEMPLATES.render("body.slack", hostile())

    assert all(match.startswith("https://") for match in re.findall("<([^>|]*)", text))
    assert "*bold" not in text.replace("`", "").split("Alerts")[0].split("First step")[0]


@pytest.mark.parametrize("name", ["body.discord", "body.mattermost", "body.telegram"])
def test_mentions_of_others_are_text(name: str) -> None:
    """Outside of the command nobody is mentioned, and no Markdown link is made."""
    text = re.sub("`[^`]*`|<code>.*?</code>", "", TEMPLATES.render(name, hostile()))

    assert not re.search(r"(?<!\w)@\w", text)
    assert not re.search(r"(?<!\\)\[t\]", text) or name == "body.telegram"


@pytest.mark.parametrize(
    ("name", "text", "escaped"),
    [
        (
            FormatName.SLACK,
            "node_cpu *x* <!here> a&b",
            "node_cpu \N{ASTERISK OPERATOR}x* &lt;!here&gt; a&amp;b",
        ),
        (FormatName.SLACK, "db:5432", "db:5432"),
        (
            FormatName.DISCORD,
            "node_cpu _x_ <@1> ann@example.org",
            "node_cpu \\_x\\_ \\<\N{FULLWIDTH COMMERCIAL AT}1\\> ann@example.org",
        ),
        (
            FormatName.MATTERMOST,
            ":fire: @all #tag",
            "\N{MODIFIER LETTER COLON}fire: \N{FULLWIDTH COMMERCIAL AT}all \\#tag",
        ),
        (FormatName.TELEGRAM, "@ann <b>", "\N{FULLWIDTH COMMERCIAL AT}ann &lt;b&gt;"),
        (FormatName.HTML, "<'\">", "&lt;&#x27;&quot;&gt;"),
        (FormatName.TEXT, "<x>", "<x>"),
    ],
)
def test_each_format_escapes_its_own_signs(name: FormatName, text: str, escaped: str) -> None:
    """What would be obeyed is written so that it shows, and names stay readable."""
    assert FORMATS[name].escape(text) == escaped


@pytest.mark.parametrize("name", NAMES)
def test_the_largest_notification_renders(name: str) -> None:
    """Every text is bounded, whatever the alerts hold."""
    assert len(TEMPLATES.render(name, large())) < 60_000


def test_an_own_template_is_used(tmp_path: Path) -> None:
    """A template in the installation's folder replaces the shipped one, and may include it."""
    (tmp_path / "body.slack").write_text(
        "{{ bold(page.owner) }} {{ notification.common_labels.cluster }} <b>"
    )

    assert (
        Templates(LINKS, tmp_path)
        .render("body.slack", hostile(owner="<ops>"))
        .startswith("*&lt;ops&gt;* &lt;!channel")
    )
    assert Templates(LINKS, tmp_path).render("title.txt", OPENED) == TEMPLATES.render(
        "title.txt", OPENED
    )


@pytest.mark.parametrize(
    ("source", "failure"),
    [
        (
            "{{ page.nothing }}",
            "UndefinedError: 'app.notifier.messages.words.Page object' has no attribute 'nothing'",
        ),
        ("{% if %}", "TemplateSyntaxError: Expected an expression, got 'end of statement block'"),
        ("{{ 1 / 0 }}", "ZeroDivisionError: division by zero"),
        ("{{ ''.__class__.__mro__[1].__subclasses__() }}", "SecurityError: "),
        ("{{ page.alerts.append(1) }}", "UndefinedError: "),
        ("{% for i in range(1000000) %}x{% endfor %}", "OverflowError: "),
        ("{% include 'nothing' %}", "TemplateNotFound: nothing"),
        ("{{ 'x' * 3 }}{{ page.facts().pop() }}", "UndefinedError: "),
        ("  \n", "it rendered to nothing"),
    ],
)
def test_a_template_that_fails_falls_back_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, source: str, failure: str
) -> None:
    """The shipped template goes out, with the failure in the message and in the log."""
    (tmp_path / "body.txt").write_text(source)

    with caplog.at_level(logging.WARNING):
        text = Templates(LINKS, tmp_path).render("body.txt", OPENED)

    assert text.startswith(f"{BODY}\nTemplate body.txt failed ({failure}")
    assert text.endswith(". This is the shipped one.")
    assert f"template body.txt failed, the shipped one is used: {failure}" in caplog.text


@pytest.mark.parametrize("size", [characters, utf8_bytes, utf16_units])
@pytest.mark.parametrize("limit", [1, 3, 5, 40, 41, 60, 120])
def test_a_shortened_text_fits(size: Callable[[str], int], limit: int) -> None:
    """However a service counts, the text with its tail is no longer than the limit."""
    text = "é\N{FIRE}x" * 20

    assert size(shorten(text, max(limit, 3), tail=" https://t.example/INC", size=size)) <= max(
        limit, 3
    )


def test_a_shortened_text_ends_in_its_tail() -> None:
    """The link to the whole stays, and a text that fits is left alone."""
    assert shorten("word " * 10, 20, tail=" https://x") == "word wo... https://x"
    assert shorten("short", 20, tail=" https://x") == "short"


def test_a_link_has_a_title_once() -> None:
    """A graph that is the alert's generator URL as well is one link."""
    links = page(OPENED, IncidentLinks()).links

    assert links == (
        Link("Runbook", "https://runbooks.example/crashloop"),
        Link("Graph", "https://prometheus.example/graph?g0.expr=x&g0.tab=1"),
    )
    assert HOSTILE not in str(links)


@pytest.mark.parametrize("end", ["", "."])
def test_a_title_is_said_once(end: str) -> None:
    """An alert without a summary has its title as its text: nobody is told the same twice."""
    named = replace(OPENED, title="DiskFull on postgres", text=f"DiskFull on postgres{end}")

    assert page(named, LINKS).text == ""
    assert line_of(named, "ops").count("DiskFull on postgres") == 1
    assert page(replace(named, text="DiskFull on postgres: 95 %"), LINKS).text.endswith("95 %")
