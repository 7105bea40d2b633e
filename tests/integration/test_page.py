"""The page in Debian's Chromium: the demo's day, each act, live, without scripts, by keyboard, for everybody."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, expect

from tests.integration.chromium import (
    ALERT,
    DESK,
    PHONE,
    SECONDS,
    chromium,
    demo_until,
    findings,
    tab,
)
from tests.support.engines import Tocsin

OLLAMA = "INC-20260927T082000Z-0014"
PAGES = (
    "/",
    "/?members=yes&severity=P2",
    "/history",
    "/look-back?period=7%20days",
    f"/incidents/{OLLAMA}",
    f"/incidents/{OLLAMA}/act/update",
    f"/incidents/{OLLAMA}/report",
    "/silences",
    f"/silences/new?incident={OLLAMA}",
    "/what-if",
    "/incidents/INC-20260927T082000Z-00ZZZZ",
)

expect.set_options(timeout=SECONDS)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for all tests."""
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Tocsin in the middle of the demo's day. Nobody changes anything there."""
    service = demo_until(tmp_path_factory.mktemp("day"), 47)
    yield service.url
    service.stop()


@pytest.fixture
def quiet(tmp_path: Path) -> Iterator[Tocsin]:
    """A Tocsin of a test's own, with one incident."""
    service = Tocsin("up", TOCSIN_BROKER=f"embedded:{tmp_path / 'journal'}")
    assert service.post("/api/v2/alerts", [{"labels": ALERT}])[0] == 200
    service.wait_applied()
    yield service
    if service.process.poll() is None:
        service.stop()


@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_day(
    day: str, browser: Browser, size: tuple[int, int], scheme: str, tmp_path: Path
) -> None:
    """Every page fits the screen in both colour schemes, breaks no rule, and everybody can read it."""
    backgrounds = set()
    with tab(browser, day, size, scheme) as opened:
        for number, path in enumerate(PAGES):
            page = opened.page
            page.goto(path)
            page.screenshot(path=tmp_path / f"{number}.png", full_page=True)

            assert findings(page) == [], path
            assert page.evaluate("document.documentElement.scrollWidth") == size[0], path
            backgrounds.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
        assert opened.complaints == []
    assert backgrounds == {"rgb(246, 247, 249)" if scheme == "light" else "rgb(14, 18, 22)"}


def test_what_the_day_shows(day: str, browser: Browser) -> None:
    """The worst incident stands first, and its page has steps, picture, people and folded members."""
    with tab(browser, day) as opened:
        page = opened.page
        page.goto("/")
        expect(page.locator(".row a.title").first).to_have_text("OllamaServiceDown on ollama")
        page.locator(".row a.title").first.click()

        expect(page.locator("h1")).to_have_text("OllamaServiceDown on ollama")
        text = opened.text()
        shown = page.locator("#picture svg:visible").count()
    assert "Check the container docker ps" in text
    assert "On-call AI Engineer pager, rings" in text
    assert "41 times, 08:21:00 to 08:24:00" in text
    assert shown > 0


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
def test_acts_on_a_phone(quiet: Tocsin, browser: Browser, *, scripts: bool) -> None:
    """Somebody new acknowledges, updates, silences and resolves, with scripts and without."""
    with tab(browser, quiet.url, PHONE, scripts=scripts) as opened:
        page = opened.page
        page.goto("/")
        page.locator(".row a.title").click()
        page.locator(".bar input[name=by]").fill("ann")
        page.locator(".bar button").click()
        expect(page.locator(".said")).to_contain_text("ann acknowledged it")

        page.locator("#act-update summary").click()
        page.locator("#act-update textarea").fill("restarting")
        page.locator("#act-update button").click()
        expect(page.locator(".said")).to_contain_text("ann: restarting")

        page.get_by_role("link", name="Silence", exact=True).click()
        page.get_by_role("button", name="Show what it matches").click()
        expect(page.locator(".outcome")).to_contain_text("1 alert that fires is matched")
        page.get_by_role("button", name="Silence", exact=True).click()
        expect(page.locator(".said")).to_contain_text("Silenced")

        page.goto("/")
        page.locator(".row a.title").click()
        page.locator(".bar button").click()
        expect(page.locator(".said")).to_contain_text("ann resolved it")
        assert opened.complaints == []


def test_it_is_live(quiet: Tocsin, browser: Browser) -> None:
    """An open page shows a new incident, and what others do, without being loaded again."""
    with tab(browser, quiet.url) as opened:
        page = opened.page
        page.goto("/")
        page.evaluate("window.loadedOnce = true")
        other = {"alertname": "ServiceDown", "component": "shop", "severity": "critical"}
        quiet.post("/api/v2/alerts", [{"labels": other}])
        expect(page.locator(".row")).to_have_count(2)

        first = page.locator(".row a.title").first.get_attribute("href")
        quiet.post(f"/api/v1{first}/acknowledge", {"by": "bob", "text": ""})

        expect(page.locator(".state.acknowledged")).to_have_count(1)
        assert page.evaluate("window.loadedOnce") is True


def test_behind_a_prefix(tmp_path: Path, browser: Browser) -> None:
    """Styled, live and driven by keys, with every address below the prefix of a proxy."""
    prefix = "/ops/tocsin"
    service = Tocsin(
        "up", TOCSIN_BROKER=f"embedded:{tmp_path / 'journal'}", TOCSIN_ROUTE_PREFIX=prefix
    )
    asked = list[str]()
    with tab(browser, service.url) as opened:
        page = opened.page
        page.on("request", lambda request: asked.append(urlsplit(request.url).path))
        page.goto(f"{prefix}/history")
        page.keyboard.press("h")
        expect(page.locator(".alive")).to_contain_text("Tocsin is well")
        service.post("/api/v2/alerts", [{"labels": ALERT}])
        expect(page.locator(".row")).to_have_count(1)
        page.locator(".row a.title").click()
        expect(page.locator("h1")).to_contain_text("DiskFull")
        page.keyboard.press("u")
        page.keyboard.type("soon")
        page.keyboard.press("Tab")
        page.keyboard.press("Tab")
        page.keyboard.type("ann")
        page.keyboard.press("Enter")
        expect(page.locator(".said")).to_contain_text("ann: soon")
    service.stop()

    assert f"{prefix}/events" in asked
    assert [path for path in asked if not path.startswith(f"{prefix}/")] == []


def test_a_text_that_is_typed_stays(quiet: Tocsin, browser: Browser) -> None:
    """A page that renews itself leaves alone what somebody writes, and which form is open."""
    with tab(browser, quiet.url) as opened:
        page = opened.page
        page.goto("/")
        page.locator(".row a.title").click()
        path = urlsplit(page.url).path
        page.locator("#act-note summary").click()
        page.locator("#act-note textarea").fill("half a sent")
        quiet.post(f"/api/v1{path}/acknowledge", {"by": "bob", "text": "mine"})
        expect(page.locator("#head .state")).to_have_text("acknowledged")

        assert page.locator("#act-note textarea").input_value() == "half a sent"


def test_a_lost_connection(quiet: Tocsin, browser: Browser, tmp_path: Path) -> None:
    """A page whose bridge was killed says so in red, and heals when it is back."""
    port = str(urlsplit(quiet.url).port)
    with tab(browser, quiet.url) as opened:
        page = opened.page
        page.goto("/")
        expect(page.locator(".alive")).to_contain_text("Tocsin is well")
        quiet.kill()
        expect(page.locator(".alive.lost")).to_contain_text("The connection is lost")

        again = Tocsin("up", TOCSIN_BROKER=f"embedded:{tmp_path / 'journal'}", TOCSIN_PORT=port)
        expect(page.locator(".alive.lost")).to_have_count(0)
        again.stop()


def test_by_keyboard(quiet: Tocsin, browser: Browser) -> None:
    """The list is walked, an incident opened and acknowledged without a pointer."""
    with tab(browser, quiet.url) as opened:
        page = opened.page
        page.goto("/")
        page.keyboard.press("j")
        page.keyboard.press("Enter")
        expect(page.locator("h1")).to_contain_text("DiskFull")
        page.keyboard.press("u")
        page.keyboard.type("soon")
        assert page.locator("#act-update textarea").input_value() == "soon"
        page.keyboard.press("Tab")
        page.keyboard.press("Tab")
        page.keyboard.type("ann")
        page.keyboard.press("Enter")
        expect(page.locator(".said")).to_contain_text("ann: soon")

        page.keyboard.press("Escape")
        page.keyboard.press("a")
        expect(page.locator(".said")).to_contain_text("ann acknowledged it")


def test_labels_as_weapons(quiet: Tocsin, browser: Browser) -> None:
    """Whatever an alert is called, nothing of it runs, and the page stays readable."""
    nasty = {
        "alertname": "<script>alert(1)</script><img src=x onerror=alert(2)>",
        "component": "a\x1b[31m\u202egnp.exe",
        "severity": "critical",
        "long": "x" * 10_000,
    }
    quiet.post("/api/v2/alerts", [{"labels": nasty, "annotations": {"summary": "'\"><b>"}}])
    quiet.wait_applied()

    with tab(browser, quiet.url, PHONE) as opened:
        page = opened.page
        page.goto("/?q=script")
        page.locator(".row a.title").click()
        expect(page.locator("h1")).to_contain_text("<script>alert(1)</script>")

        assert page.evaluate("document.documentElement.scrollWidth") == PHONE[0]
        assert opened.complaints == []


def test_what_if(browser: Browser, quiet: Tocsin) -> None:
    """A policy that is changed in the form is played over what was recorded, and its page has its styles."""
    page = browser.new_page(viewport={"width": DESK[0], "height": DESK[1]})
    page.set_default_timeout(3 * SECONDS)  # three commands run, one after another
    page.goto(f"{quiet.url}/what-if")
    policy = page.locator("textarea[name=policy]")
    policy.fill(policy.input_value().replace("group_wait: {P0: 0", "group_wait: {P0: 30s", 1))

    page.get_by_role("button", name="Try it").click()

    expect(page.locator("h1")).to_contain_text("instead of what happened", timeout=3 * SECONDS)
    assert page.evaluate("getComputedStyle(document.body).maxWidth") == "1280px"
    page.close()
