"""Who may look at pages, and who may act on them."""

import time
from dataclasses import replace
from pathlib import Path

import pytest

from app.bridge.access.authorization import PERMISSIONS as API_NEEDS
from app.bridge.access.sessions import COOKIE, LASTS_SECONDS, new_session, session_holder
from app.bridge.access.tokens import Permission, parse_tokens
from app.bridge.parts import BridgeParts
from app.bridge.resources import Bridge
from app.settings import HttpSecurity, Settings
from app.web.security import local_path
from app.web.site import NEEDS, Site
from tests.support.fake_log import FakeLog
from tests.support.served_page import Seen, Visitor, see, visit
from tests.support.shipped_policy import shipped
from tests.support.token_files import write
from tests.support.worked_log import WorkedLog

ANN, BOARD, SENDER = "a" * 32, "b" * 32, "c" * 32
TEXT = f"ann operate {ANN}\nboard read {BOARD}\nprometheus send {SENDER}\n"


@pytest.fixture
def http(tmp_path: Path) -> HttpSecurity:
    """A bridge with tokens."""
    write(tmp_path / "tokens", TEXT)
    return HttpSecurity(tokens_file=str(tmp_path / "tokens"))


async def log_in(visitor: Visitor, token: str, then: str = "/", by: str = "") -> Seen:
    """The answer to a login."""
    return await visitor.submit("/login", "/login", token=token, next=then, by=by)


@pytest.mark.parametrize("path", ["/", "/history?q=x", "/silences", "/incidents/INC-1-00A/report"])
def test_nobody_sees_a_page_without_a_login(path: str, http: HttpSecurity) -> None:
    """Who is not logged in is sent to the form, which brings them back."""
    seen = see(FakeLog(), path, http=http)

    assert seen.status == 303
    assert seen.headers["Location"].startswith("/login?next=%2F")
    assert "Set-Cookie" not in seen.headers


def test_a_login(http: HttpSecurity) -> None:
    """A token gives a session in a cookie that no script reads and no other site sends."""

    async def look(visitor: Visitor) -> list[Seen]:
        answer = await log_in(visitor, ANN, "/history?q=x")
        return [answer, await visitor.get("/history"), await visitor.get("/api/v1/incidents")]

    answer, history, api = visit(FakeLog(), look, http)

    cookie = answer.headers["Set-Cookie"]
    assert (answer.status, answer.headers["Location"]) == (303, "/history?q=x")
    assert cookie.startswith(f"{COOKIE}=ann~")
    assert all(part in cookie for part in ("HttpOnly", "SameSite=Strict", "Path=/"))
    assert ANN not in cookie
    assert history.status == 200
    assert api.status == 401, "a cookie lets nobody into the API, where forms are not checked"


@pytest.mark.parametrize(
    ("token", "problem"),
    [
        ("z" * 32, "The token is not one of TOCSIN_TOKENS."),
        ("", "The token is not one of TOCSIN_TOKENS."),
        (SENDER, "The token of prometheus may not read."),
    ],
)
def test_a_wrong_token(token: str, problem: str, http: HttpSecurity) -> None:
    """A token that is none, or that may not read, lets nobody in."""
    seen = visit(FakeLog(), lambda visitor: log_in(visitor, token), http)

    assert (seen.status, problem in seen.words) == (403, True)
    assert COOKIE not in seen.headers.get("Set-Cookie", "")


def test_acting_as_oneself(http: HttpSecurity) -> None:
    """What somebody does is signed with their name, and with whose token it was."""
    log = WorkedLog()
    log.fire()
    page = f"/incidents/{log.incidents()[0]}"

    async def look(visitor: Visitor) -> Seen:
        await log_in(visitor, ANN, by="bob")
        return await visitor.submit(page, f"{page}/act/acknowledge")

    assert "bob (via ann) acknowledged it" in visit(log, look, http).words


@pytest.mark.parametrize("proxies", [("127.0.0.1",), ("127.0.0.0/8", "::1")])
def test_a_proxy_says_who_it_is(proxies: tuple[str, ...], http: HttpSecurity) -> None:
    """The header of a trusted proxy is a login for pages, and signs what somebody does."""
    log = WorkedLog()
    log.fire()
    page = f"/incidents/{log.incidents()[0]}"
    trusting = replace(http, user_header="X-Forwarded-User", proxies=proxies)

    async def look(visitor: Visitor) -> tuple[Seen, Seen]:
        visitor.session.headers["X-Forwarded-User"] = "bob"
        acknowledged = await visitor.submit(page, f"{page}/act/acknowledge")
        return acknowledged, await visitor.get("/api/v1/incidents")

    acknowledged, api = visit(log, look, trusting)

    assert "bob acknowledged it" in acknowledged.words
    assert api.status == 401, "a header lets nobody into the API, which has tokens"


@pytest.mark.parametrize(
    ("proxies", "values"),
    [
        (("10.0.0.0/8",), ["bob"]),
        (("127.0.0.1",), ["bob", "eve"]),
        (("127.0.0.1",), ["bob,eve"]),
        (("127.0.0.1",), [""]),
    ],
)
def test_a_header_that_is_no_login(
    proxies: tuple[str, ...], values: list[str], http: HttpSecurity
) -> None:
    """A header from elsewhere says nothing, nor does one that is there twice or empty."""
    trusting = replace(http, user_header="X-Forwarded-User", proxies=proxies)

    async def look(visitor: Visitor) -> int:
        headers = [("X-Forwarded-User", value) for value in values]
        async with visitor.session.get(
            f"{visitor.url}/", headers=headers, allow_redirects=False
        ) as response:
            return response.status

    assert visit(FakeLog(), look, trusting) == 303


def test_who_may_only_read(http: HttpSecurity) -> None:
    """Who may only read sees no forms, and is refused if they send one."""
    log = WorkedLog()
    log.fire()
    page = f"/incidents/{log.incidents()[0]}"

    async def look(visitor: Visitor) -> tuple[Seen, Seen]:
        await log_in(visitor, BOARD)
        shown = await visitor.get(page)
        return shown, await visitor.submit("/", f"{page}/act/acknowledge")

    shown, refused = visit(log, look, http)

    assert "/act/" not in shown.text
    assert refused.status == 403
    assert "the token of board may read, must be one that may operate" in refused.words


def test_logging_out(http: HttpSecurity) -> None:
    """Who has logged out has to log in again."""

    async def look(visitor: Visitor) -> tuple[Seen, Seen]:
        await log_in(visitor, ANN)
        answer = await visitor.submit("/", "/logout")
        return answer, await visitor.get("/")

    answer, after = visit(FakeLog(), look, http)

    assert (answer.headers["Location"], after.status) == ("/login", 303)


def test_a_session_ends_with_its_token() -> None:
    """A session is over at its time, and when its token is taken back or changed."""
    tokens = parse_tokens("f", TEXT)
    holder = tokens.find_holder(ANN)
    assert holder is not None
    now_s = int(time.time())

    cookie = new_session(holder, now_s)

    assert session_holder(tokens, cookie, now_s) == holder
    assert session_holder(tokens, cookie, now_s + LASTS_SECONDS) is None
    changed = parse_tokens("f", TEXT.replace(ANN, "d" * 32))
    assert session_holder(changed, cookie, now_s) is None
    later = cookie.replace(f"~{now_s + LASTS_SECONDS}~", f"~{now_s + 2 * LASTS_SECONDS}~")
    assert session_holder(tokens, later, now_s) is None
    assert session_holder(tokens, cookie.replace("ann~", "board~"), now_s) is None


@pytest.mark.parametrize(
    ("asked", "path"),
    [
        ("/incidents/INC-1?from=40", "/incidents/INC-1?from=40"),
        ("/?label=a%3D%22b%22", "/?label=a%3D%22b%22"),
        ("//evil.example.org", "/"),
        ("https://evil.example.org", "/"),
        ("/\\evil.example.org", "/"),
        ("/x\r\nSet-Cookie: y", "/"),
        ("", "/"),
    ],
)
def test_where_a_login_leads(asked: str, path: str) -> None:
    """A login leads to a path of this server only."""
    assert local_path(asked) == path


def test_every_page_says_what_it_takes() -> None:
    """Each route has a role, no role is of no route, and only acting needs more than to read."""
    sites: list[Site] = []

    def make(parts: BridgeParts) -> Site:
        sites.append(Site(parts))
        return sites[0]

    Bridge(Settings(port=0, partitions=2), shipped(), FakeLog(), pages=make)
    routes = {(route.method, route.path) for route in sites[0].routes()}

    assert routes == set(NEEDS)
    assert not routes & set(API_NEEDS)
    acting = {path for (_, path), may in NEEDS.items() if may is Permission.OPERATE}
    assert acting == {
        "/silences",
        "/silences/{silence}/expire",
        "/incidents/{incident}/act/{command}",
        "/what-if",
    }
