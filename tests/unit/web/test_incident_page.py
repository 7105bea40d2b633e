"""The page of one incident."""

from typing import Any

import pytest

from models.effect import Stream
from tests.support.hostile_texts import NASTY
from tests.support.incident_documents import INCIDENT, documents, entry, log_of, snapshot
from tests.support.served_page import PageReader, Seen, Visitor, see, visit

PATH = f"/incidents/{INCIDENT}"
HARMLESS = {
    *("html", "head", "meta", "title", "link", "script", "body", "a", "header", "nav", "details"),
    *("summary", "div", "form", "input", "label", "button", "p", "span", "main", "h1", "h2", "bdi"),
    *("section", "select", "option", "textarea", "ol", "li", "ul", "pre", "code", "svg", "rect"),
    *("line", "text", "g", "path", "circle", "time", "aside", "dl", "dt", "dd", "footer", "kbd"),
    *("strong", "br", "img", "b", "small", "datalist"),
}


def page_of(effects: dict[Stream, list[dict[str, Any]]], path: str = PATH) -> Seen:
    """A page about the incident of some effects."""
    return see(log_of(effects), path)


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "\"><img src=x onerror=alert(1)>' onclick='alert(1)",
        "".join(NASTY).replace("\ud800", ""),
        "x" * 10_000,
    ],
)
def test_bad_input(text: str) -> None:
    """Other people's texts add no tag and no attribute, and nothing in them drives what shows them."""
    effects = documents(text)
    effects[Stream.INCIDENTS][0] |= {"links": {text[:20]: "javascript:alert(1)"}}
    paths = (PATH, "/", "/?members=yes", f"{PATH}/report", f"/silences/new?incident={INCIDENT}")

    async def look(visitor: Visitor) -> list[Seen]:
        return [await visitor.get(path) for path in paths]

    for seen in visit(log_of(effects), look):
        reader = PageReader()
        reader.feed(seen.text)
        names = {name for name, _ in reader.attributes}
        addresses = [
            value for name, value in reader.attributes if name in ("href", "src", "action")
        ]
        assert seen.status == 200
        assert set(reader.tags) <= HARMLESS
        assert not [name for name in names if name.startswith("on") or name == "style"]
        assert not [address for address in addresses if not address.startswith(("/", "#"))]
        assert all(sign.isprintable() or sign == "\n" for sign in seen.text)
        assert len(seen.text.encode()) < 200_000


def test_what_to_do_first_and_where_to_look() -> None:
    """The first three steps stand on top, and links that a browser may follow are links."""
    steps = [{"say": f"Step {number}", "run": f"docker logs {number}"} for number in range(5)]
    links = {"runbook": "https://wiki.example.org/x", "odd": "javascript:alert(1)"}

    seen = page_of(
        {
            Stream.INCIDENTS: [snapshot(links=links)],
            Stream.TIMELINE: [entry("Runbook", "13:10:00", runbook="g", steps=steps)],
        }
    )

    first = seen.words[seen.words.index("Do first") :]
    assert first.startswith("Do first Step 0 docker logs 0 Step 1 docker logs 1 Step 2")
    assert "2 further steps" in first
    assert 'href="https://wiki.example.org/x" rel="noopener noreferrer nofollow"' in seen.text
    assert "odd: javascript:alert(1)" in first


def test_who_was_told_and_who_is_next() -> None:
    """Each message has its receiver, its channel and what became of it; the next step has its time."""
    told = {"at": "2026-04-12T13:10:00.000Z", "kind": "opened", "incident": INCIDENT}
    seen = page_of(
        {
            Stream.INCIDENTS: [snapshot(escalation_step=1)],
            Stream.TIMELINE: [
                entry("Delivered", "13:10:01", notification="0-7-1", detail=""),
                entry("DeliveryFailed", "13:10:01", notification="0-7-2", detail="no such room"),
            ],
            Stream.NOTIFICATIONS: [
                {**told, "id": f"0-7-{number}", "receiver": name, "channel": how, "wakes": wakes}
                for number, name, how, wakes in (
                    (1, "On-call AI Engineer", "pager", True),
                    (2, "AI Team", "chat", False),
                )
            ],
        }
    )

    assert "Next is Lead AI Engineer now, unless somebody takes it step 2 of 4" in seen.words
    assert "On-call AI Engineer pager, rings delivered" in seen.words
    assert "AI Team chat not delivered no such room" in seen.words


def test_members_are_folded() -> None:
    """A run of alike entries is one line with its number and its times."""
    fired = [
        entry("MemberFired", f"13:{11 + number // 60}:{number % 60:02d}", f"m{number}")
        for number in range(120)
    ]

    seen = page_of({Stream.INCIDENTS: [snapshot()], Stream.TIMELINE: fired})

    assert "120 times, 13:11:00 to 13:12:59" in seen.words
    assert "and 100 more" in seen.words


def test_five_thousand_members() -> None:
    """An incident with a long timeline is a page of bounded size; older entries are a link away."""
    kinds = ("MemberFired", "Noted")
    long = [
        entry(kinds[number % 2], f"13:{10 + number // 600}:{number // 10 % 60:02d}", f"m{number}")
        for number in range(5000)
    ]
    effects = {Stream.INCIDENTS: [snapshot()], Stream.TIMELINE: long}

    first, second = page_of(effects), page_of(effects, f"{PATH}?from=40")

    assert len(first.text.encode()) < 150_000
    assert f'href="{PATH}?from=40#timeline">Older' in first.text
    listed = [seen.text.partition("<h2>Timeline</h2>")[2] for seen in (first, second)]
    assert ["m4999" in text for text in listed] == [True, False]


def test_common_labels_are_shown_once() -> None:
    """Labels that all alerts share stand above them, and each alert has what is its own."""
    alert = snapshot()["alerts"][0]
    labels = {"alertname": "Down", "namespace": "shop"}
    alerts = [
        {**alert, "labels": {**labels, "pod": name}, "fingerprint": name * 8}
        for name in ("a1", "b2")
    ]

    seen = page_of(
        {Stream.INCIDENTS: [snapshot(alerts=alerts, common_labels={"namespace": "shop"})]}
    )

    assert (seen.words.count("namespace=shop"), seen.words.count("pod=a1")) == (1, 1)


def test_it_was_there_before() -> None:
    """Closed incidents of the same title are counted, with the last cause."""
    closed = [
        snapshot(
            incident=f"INC-20260412T131000Z-00K{number}",
            state="closed",
            opened_at=f"2026-04-0{number}T00:00:00.000Z",
            resolved_at=f"2026-04-0{number}T01:00:00.000Z",
            root_cause=f"cause {number}",
        )
        for number in (1, 2)
    ]

    seen = page_of({Stream.INCIDENTS: [snapshot(), *closed]})

    assert "2 times in 30 days. Last cause: cause 2" in seen.words


def test_an_unknown_incident() -> None:
    """There is no page of what there is not, and it says what there is."""
    seen = page_of({Stream.INCIDENTS: [snapshot()]}, "/incidents/INC-20260412T131000Z-00ZZZ")

    assert seen.status == 404
    assert f"the newest are: {INCIDENT}" in seen.words


def test_the_report() -> None:
    """The report on one screen leads to the whole one, which a browser saves as a file."""
    effects = documents("x")

    page, whole = page_of(effects, f"{PATH}/report"), page_of(effects, f"{PATH}/report.md")

    assert f'href="{PATH}/report.md"' in page.text
    assert "2026-04-12 13:19, after 9m" in page.words
    assert whole.text.startswith(f"# Incident report {INCIDENT}")
    assert whole.headers["Content-Disposition"] == f'attachment; filename="{INCIDENT}.md"'
