"""What somebody does with an incident by the forms of its page."""

import re
from collections.abc import Callable
from dataclasses import replace

import pytest

from app.notifier.messages.incident_links import IncidentLinks
from app.web.security import TOKEN_FIELD
from models.events import Notification
from tests.support.notifications import OPENED
from tests.support.served_page import Seen, Visitor, visit
from tests.support.worked_log import WorkedLog


def opened() -> tuple[WorkedLog, str]:
    """A log with one incident, and the path of its page."""
    log = WorkedLog()
    log.fire()
    return log, f"/incidents/{log.incidents()[0]}"


def act(
    log: WorkedLog, page: str, command: str, fields: dict[str, str], seconds: float = 30
) -> Seen:
    """The answer to a form of a page."""
    return visit(
        log,
        lambda visitor: visitor.submit(page, f"{page}/act/{command}", **fields),
        answer_seconds=seconds,
    )


@pytest.mark.parametrize(
    ("command", "fields", "text"),
    [
        ("acknowledge", {"text": "looking"}, "Acknowledge: done. ann acknowledged it: looking"),
        ("note", {"text": "hm"}, "Note: done. ann: hm"),
        (
            "update",
            {"text": "soon", "eta": "30m"},
            "Update: done. ann: soon. Expected to be over by",
        ),
        ("root-cause", {"text": "a lock"}, "Root cause: done. ann: a lock"),
        ("mitigate", {}, "Mitigated: done. ann mitigated it"),
        (
            "assign",
            {"to": "on-call-dba", "team": ""},
            "Assign: done. ann assigned it to on-call-dba",
        ),
        ("assess", {"verdict": "genuine", "scope": "shop"}, "Assess: done. ann"),
        ("complaint", {"number": "2"}, "Complaints: done. ann"),
        (
            "escalate",
            {"step": "3"},
            "Escalate: done. ann escalated it. Step 3: Engineering Manager",
        ),
        ("escalate", {"step": ""}, "Escalate: done. ann escalated it. Step 2:"),
        ("resolve", {}, "Resolve: done. ann resolved it"),
    ],
)
def test_each_act(command: str, fields: dict[str, str], text: str) -> None:
    """A command is carried out in the caller's name, and the page says what came of it."""
    log, page = opened()

    seen = act(log, page, command, {"by": "ann", **fields})

    assert seen.status == 200
    assert text in seen.words


def test_after_it_is_resolved() -> None:
    """A resolved incident can be reopened."""
    log, page = opened()

    async def look(visitor: Visitor) -> Seen:
        await visitor.submit(page, f"{page}/act/resolve", by="ann")
        return await visitor.submit(page, f"{page}/act/reopen", text="it is back")

    assert "Reopen: done. ann reopened it: it is back" in visit(log, look).words


@pytest.mark.parametrize(
    "link", [IncidentLinks.incident, IncidentLinks.acknowledge, IncidentLinks.silence]
)
def test_the_links_of_messages_lead_here(
    link: Callable[[IncidentLinks, Notification], str],
) -> None:
    """Without a key that signs links, a message leads to these pages."""
    log, page = opened()
    incident = page.rpartition("/")[2]
    base = "https://tocsin.example.org"
    url = link(IncidentLinks(base), replace(OPENED, incident=incident))

    seen = visit(log, lambda visitor: visitor.get(url.removeprefix(base)))

    assert url.startswith(base)
    assert (seen.status, incident in seen.text) == (200, True)


def test_a_task_is_done() -> None:
    """A closed incident's follow-up tasks are listed, and can be marked as done."""
    log = WorkedLog()
    log.fire("ollama", alertname="OllamaServiceDown", severity="critical")
    page = f"/incidents/{log.incidents()[0]}"

    async def look(visitor: Visitor) -> tuple[Seen, Seen, Seen]:
        before = await visitor.get(page)
        await visitor.submit(page, f"{page}/act/acknowledge", by="ann")
        log.fire("ollama", firing=False, alertname="OllamaServiceDown", severity="critical")
        await visitor.submit(page, f"{page}/act/resolve", by="ann")
        await visitor.submit(page, f"{page}/act/close", by="ann")
        closed = await visitor.get(page)
        return before, closed, await visitor.submit(page, f"{page}/act/done", task="root-cause")

    before, closed, done = visit(log, look)

    assert 'id="act-done"' not in before.text
    assert re.search(r'<option value="root-cause"[^>]*>Name the root cause', closed.text)
    assert re.search(r"What follows .*Name the root cause.* due \d", closed.words)
    assert "Task done: done." in done.words
    assert re.search(r"Name the root cause[^.]* done by ann", done.words)


def test_refused() -> None:
    """What the incident's state does not allow is refused with the reason, in the page."""
    log, page = opened()

    seen = act(log, page, "close", {"by": "ann"})

    assert seen.status == 409
    assert (
        "Close: refused. 1 of its alerts are firing, must be none: silence them first" in seen.words
    )


def test_no_worker_answers() -> None:
    """A command that no worker has answered is in the journal, and the page says no more."""
    log, page = opened()
    log.working = False

    seen = act(log, page, "acknowledge", {"by": "ann"}, seconds=0)

    assert seen.status == 202
    assert "No worker has answered yet; the command is in the journal" in seen.words


@pytest.mark.parametrize(
    ("command", "fields", "problem"),
    [
        ("note", {"by": "ann"}, "text: is missing; Field required"),
        ("update", {"by": "ann", "text": "x", "eta": "soon"}, "eta: is 'soon'"),
        ("acknowledge", {}, "by: is missing, must be your name"),
    ],
)
def test_a_wrong_field(command: str, fields: dict[str, str], problem: str) -> None:
    """A form that cannot be taken comes back open, with what was filled in and what is wrong."""
    log, page = opened()
    appended = len(log.batches)

    seen = act(log, page, command, fields)

    assert (seen.status, len(log.batches)) == (400, appended)
    assert problem in seen.words
    assert f'<details id="act-{command}" name="act" open>' in seen.text
    assert all(f">{text}</textarea>" in seen.text for text in [fields.get("text")] if text)


def test_the_name_is_remembered() -> None:
    """Who has said a name once acts in it, and sees what is theirs."""
    log, page = opened()

    async def look(visitor: Visitor) -> tuple[Seen, Seen, Seen]:
        noted = await visitor.submit(page, f"{page}/act/note", by="ann", text="hm")
        acknowledged = await visitor.submit(page, f"{page}/act/acknowledge")
        return noted, acknowledged, await visitor.get("/?mine=yes")

    noted, acknowledged, mine = visit(log, look)

    assert noted.text.count('name="by"') == 1, "only the form that changes the name asks for it"
    assert "ann acknowledged it" in acknowledged.words
    assert "HighErrorRate on api" in mine.words


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"Origin": "https://evil.example.org"},
        {"Origin": "null"},
    ],
)
def test_a_form_of_another_site(headers: dict[str, str]) -> None:
    """A form that another site sends is refused, whatever is in it."""
    log, page = opened()

    async def look(visitor: Visitor) -> Seen:
        shown = await visitor.get(page)
        token = shown.text.partition(f'name="{TOKEN_FIELD}" value="')[2].partition('"')[0]
        fields = {TOKEN_FIELD: token, "by": "ann"}
        return await visitor.post(f"{page}/act/acknowledge", fields, **headers)

    seen = visit(log, look)

    assert seen.status == 403
    assert "the form comes from another site" in seen.words
    assert "Acknowledged" not in log.timeline(page.rpartition("/")[2])


@pytest.mark.parametrize("token", ["", "0" * 64])
def test_a_form_without_its_token(token: str) -> None:
    """A form whose token is not derived from the browser's own cookie is refused."""
    log, page = opened()

    async def look(visitor: Visitor) -> Seen:
        await visitor.get(page)
        fields = {TOKEN_FIELD: token, "by": "ann"}
        return await visitor.post(f"{page}/act/acknowledge", fields)

    seen = visit(log, look)

    assert seen.status == 403
    assert "this form is too old" in seen.words


def test_a_silence_is_shown_before_it_is_made() -> None:
    """The form is filled in for the incident, shows what it matches, and then silences it."""
    log, page = opened()
    log.tick()
    new = f"/silences/new?incident={page.rpartition('/')[2]}"

    async def look(visitor: Visitor) -> list[Seen]:
        form = await visitor.get(new)
        matchers = form.text.partition("<textarea")[2].partition(">")[2].partition("<")[0]
        fields = {"matchers": matchers.replace("&#34;", '"'), "for": "2h", "by": "ann"}
        preview = await visitor.submit(new, "/silences", do="preview", **fields)
        made = await visitor.submit(new, "/silences", do="silence", **fields)
        return [form, preview, made]

    form, preview, made = visit(log, look)

    assert "alertname=&#34;HighErrorRate&#34;\ncomponent=&#34;api&#34;" in form.text
    assert "1 alert that fires is matched. HighErrorRate on api" in preview.words
    assert "1 alert that fires is now suppressed." in made.words
    assert "active 2h left" in made.words


def test_a_silence_of_everything() -> None:
    """A silence that would match whatever has no label is refused, and the form keeps its fields."""
    log, _ = opened()
    fields = {"matchers": 'pod=""', "for": "2h", "by": "ann", "do": "silence", "comment": "why"}

    seen = visit(log, lambda visitor: visitor.submit("/silences/new", "/silences", **fields))

    assert seen.status == 400
    assert "each matches an empty value" in seen.words
    assert 'value="why"' in seen.text
