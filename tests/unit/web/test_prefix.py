"""Behind `TOCSIN_ROUTE_PREFIX` everything that a browser is led to begins with the prefix."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from urllib.parse import urldefrag, urlsplit

import pytest

from app.bridge.access.sessions import COOKIE
from app.notifier.messages.incident_links import IncidentLinks
from app.settings import HttpSecurity
from models.effect import Stream
from models.events import Notification
from tests.support.fake_log import FakeLog
from tests.support.incident_documents import INCIDENT, documents, log_of, snapshot
from tests.support.notifications import OPENED
from tests.support.served_page import PageReader, Seen, Visitor, see, visit
from tests.support.token_files import write

PREFIX = "/ops/tocsin"
BEHIND = HttpSecurity(route_prefix=PREFIX)
TOKEN = "a" * 32
STARTS = ("/", "/?members=yes&page=2", "/history", f"/incidents/{INCIDENT}", "/incidents/INC-1-00A")
PAGES_MAX = 300


def addresses(seen: Seen, *names: str) -> set[str]:
    """The addresses of this server in some attributes of a page."""
    reader = PageReader()
    reader.feed(seen.text)
    values = (urldefrag(value).url for name, value in reader.attributes if name in names)
    return {value for value in values if value and not value.startswith("http")}


@pytest.fixture
def guarded(tmp_path: Path) -> HttpSecurity:
    """A bridge with a token, behind the prefix."""
    write(tmp_path / "tokens", f"ann operate {TOKEN}\n")
    return HttpSecurity(tokens_file=str(tmp_path / "tokens"), route_prefix=PREFIX)


def full_log() -> FakeLog:
    """An incident with everything that can be said of one, one that is part of it, and a closed one."""
    effects = documents("words")
    closed = snapshot(incident="INC-20260412T031502Z-000", state="closed", title="was over")
    effects[Stream.INCIDENTS] = [*effects[Stream.INCIDENTS], closed]
    return log_of(effects)


def test_every_link_leads_behind_the_prefix() -> None:
    """All pages, walked from link to link: each address has the prefix, and each that can be read is there."""
    forms = set[str]()

    async def walk(visitor: Visitor) -> dict[str, int]:
        statuses: dict[str, int] = {}
        await visitor.submit(f"{PREFIX}/", f"{PREFIX}/name", by="Ann")  # "mine" needs a name
        waiting = {PREFIX + start for start in STARTS}
        while waiting and len(statuses) < PAGES_MAX:
            address = waiting.pop()
            seen = await visitor.get(address)
            statuses[address] = seen.status
            if "html" in seen.headers["Content-Type"]:
                forms.update(addresses(seen, "action"))
                waiting |= addresses(seen, "href", "src") - set(statuses)
        return statuses

    statuses = visit(full_log(), walk, BEHIND)

    assert len(statuses) > 25
    assert [path for path in (*statuses, *forms) if not path.startswith(f"{PREFIX}/")] == []
    others = {path: status for path, status in statuses.items() if status != 200}
    assert others[f"{PREFIX}/incidents/INC-1-00A"] == 404
    assert [path for path in others if not path.startswith(f"{PREFIX}/incidents/")] == []
    assert statuses[f"{PREFIX}/incidents/{INCIDENT}/report"] == 200
    assert {f"{PREFIX}/name", f"{PREFIX}/silences", f"{PREFIX}/what-if"} <= forms


def test_a_page_without_the_prefix_has_the_same_links() -> None:
    """A proxy may take the prefix away: the browser behind it needs it all the same."""

    async def look(visitor: Visitor) -> list[set[str]]:
        pages = [await visitor.get(path) for path in ("/history", f"{PREFIX}/history")]
        return [addresses(page, "href", "src", "action") for page in pages]

    without, behind = visit(full_log(), look, BEHIND)

    assert without == behind


def test_a_login_stays_behind_the_prefix(guarded: HttpSecurity) -> None:
    """Redirects and cookies have it, the session is sent back, and a logout takes it away."""

    async def look(visitor: Visitor) -> list[Seen]:
        sent = await visitor.get(f"{PREFIX}/history?q=x")
        form = sent.headers["Location"]
        entered = await visitor.submit(
            form, f"{PREFIX}/login", token=TOKEN, next="/history?q=x", by="Ann"
        )
        history = await visitor.get(entered.headers["Location"])
        left = await visitor.submit(f"{PREFIX}/", f"{PREFIX}/logout")
        return [sent, entered, history, left, await visitor.get(f"{PREFIX}/")]

    sent, entered, history, left, after = visit(full_log(), look, guarded)

    assert sent.headers["Location"] == f"{PREFIX}/login?next=%2Fhistory%3Fq%3Dx"
    assert entered.headers["Location"] == f"{PREFIX}/history?q=x"
    assert COOKIE in entered.headers["Set-Cookie"]
    assert f"Path={PREFIX}" in entered.headers["Set-Cookie"].split("; ")
    assert history.status == 200
    assert left.headers["Location"] == f"{PREFIX}/login"
    assert after.status == 303


def test_an_act_and_a_name_work_behind_the_prefix() -> None:
    """Forms are taken there, and what they lead to is there too."""

    async def look(visitor: Visitor) -> list[Seen]:
        page = f"{PREFIX}/incidents/{INCIDENT}"
        return [
            await visitor.submit(page, f"{PREFIX}/name", by="Ann", next=f"/incidents/{INCIDENT}"),
            await visitor.submit(page, f"{page}/act/acknowledge", by="Ann"),
        ]

    named, acted = visit(full_log(), look, BEHIND, answer_seconds=0)

    assert named.headers["Location"] == f"{PREFIX}/incidents/{INCIDENT}"
    assert acted.status == 202


@pytest.mark.parametrize(
    "link", [IncidentLinks.incident, IncidentLinks.silence, IncidentLinks.acknowledge]
)
def test_a_link_of_a_message_leads_there(
    link: Callable[[IncidentLinks, Notification], str],
) -> None:
    """With the prefix in `public_url`."""
    links = IncidentLinks(f"https://tocsin.example.org{PREFIX}/")
    address = urlsplit(link(links, replace(OPENED, incident=INCIDENT)))

    seen = see(full_log(), f"{address.path}?{address.query}", http=BEHIND)

    assert address.path.startswith(f"{PREFIX}/")
    assert seen.status == 200


def test_the_script_knows_the_prefix() -> None:
    """The page says it, and the stream of events is asked for below it."""
    page = see(full_log(), f"{PREFIX}/", http=BEHIND)

    async def look(visitor: Visitor) -> str:
        async with visitor.session.get(f"{visitor.url}{PREFIX}/events") as response:
            return response.content_type

    assert f'<html lang="en" data-base="{PREFIX}">' in page.text
    assert visit(full_log(), look, BEHIND) == "text/event-stream"
