"""What-if as a form. `tests/integration/test_page.py` plays a policy from it."""

import asyncio

import pytest

from app.web.what_if import styles_policy
from app.web.what_if_process import Span, WhatIfRuns
from tests.support.fake_log import FakeLog
from tests.support.incident_documents import CONFIG, NOW_MS
from tests.support.served_page import Seen, Visitor, see, visit

GOOD = {"from": "2026-04-12T01:20", "to": "2026-04-12T13:20", "policy": "teams: {}\n"}


def test_the_form() -> None:
    """It has the last twelve hours, and the policy that is in force."""
    seen = see(FakeLog(NOW_MS), "/what-if")

    assert seen.status == 200
    assert 'name="from" value="2026-04-12T01:20"' in seen.text
    assert "\nfollowups:\n  - name: root-cause\n" in seen.text


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"from": "yesterday"}, "from: is 'yesterday', must be a time such as"),
        ({"to": "2026-04-12T01:20"}, "to: is 2026-04-12T01:20, must be after"),
        ({"policy": "  "}, "policy: is empty"),
        ({"policy": "x" * 200_001}, "policy: has 200001 characters"),
        ({"policy": "teams: [\n"}, "tocsin: policy.yaml"),
    ],
)
def test_what_is_wrong_is_told(changes: dict[str, str], problem: str) -> None:
    """The form comes back with what was filled in, and what is wrong with it."""

    async def look(visitor: Visitor) -> Seen:
        return await visitor.submit("/what-if", "/what-if", **(GOOD | changes))

    seen = visit(FakeLog(), look)

    assert (seen.status, problem in seen.words) == (400, True)


def test_one_run_at_a_time() -> None:
    """Whoever comes while a run goes on is told so; a run that is too long is ended."""

    async def play() -> tuple[str | BaseException, str | BaseException]:
        runs, span = WhatIfRuns(CONFIG, seconds=0), Span("2026-04-12T01:20:00Z", "")
        both = runs.page_of(span, "x"), runs.page_of(span, "x")
        return await asyncio.gather(*both, return_exceptions=True)

    late, busy = asyncio.run(play())

    assert str(late).startswith("The run took more than 0 s.")
    assert str(busy).startswith("Another run goes on.")


def test_its_page_may_have_its_own_styles() -> None:
    """The browser takes the styles that the page has, by their hashes, and none that came with a text."""
    told = styles_policy("<style>a{}</style><p style='x'><style>b{}</style>")

    assert "style-src 'sha256-" in told
    assert told.count("'sha256-") == 2
    assert "unsafe-inline" not in told
