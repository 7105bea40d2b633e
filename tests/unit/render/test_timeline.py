"""The picture of an incident: what is on it, and that other people's texts are only texts in it."""

import argparse
import json
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import example, given, settings
from rich.cells import cell_len

from app.cli.timeline import picture_json, show_timeline
from app.render.timeline_svg import timeline_page, timeline_svg
from app.render.timeline_text import COLUMNS, draw_timeline, round_instants
from app.report.timeline import LANES_MAX, ROWS, TimelinePicture, TimeSpan, draw_picture
from models.effect import Stream
from models.events_timeline import TIMELINE, TimelineKind
from models.text.instant import format_instant
from tests.support.boards import command_succeeds
from tests.support.example_counts import examples
from tests.support.explanations import CONFIG, played
from tests.support.hostile_texts import HOSTILE
from tests.support.incident_documents import INCIDENT, Document, documents, entry, snapshot
from tests.support.scenario import START_MS
from tests.support.scenario_reports import report_of

MINUTE_MS = 60_000
HERE = Path(__file__).parents[2]
POSTGRES = "INC-20250615T153640Z-00BL"


def of_scenario(name: str, incident: str) -> TimelinePicture:
    """The picture of an incident of a scenario."""
    report = report_of(name, incident)
    return draw_picture(report["incident"], report["timeline"], report["notifications"])


def at(minutes: float) -> int:
    """So long after a scenario's beginning."""
    return START_MS + int(minutes * MINUTE_MS)


def test_the_bad_day() -> None:
    """The incident of postgres, as a terminal of 80 columns shows it."""
    drawn = "".join(f"{line}\n" for line in draw_timeline(of_scenario("bad_day", POSTGRES)))

    assert drawn == (HERE / "explanations" / "postgres.picture").read_text()


def test_bars_and_states() -> None:
    """What comes and goes has a bar for each time; the incident's states follow each other."""
    found = of_scenario("reopened", "INC-20250615T150640Z-000")

    assert [(lane.name, lane.component) for lane in found.lanes] == [("ServiceDown", "qdrant")]
    assert [(span.begin_ms, span.open_end) for span in found.lanes[0].spans] == [
        (at(0), False),
        (at(6), False),
    ]
    assert all(one.end_ms == after.begin_ms for one, after in pairwise(found.states))
    assert [span.state for span in found.states][:3] == ["open", "resolved", "open"]


def entries(*told: tuple[str, str, str, dict[str, Any]]) -> list[Document]:
    """Timeline entries: time of the day, kind, text, and more."""
    return [entry(kind, when, text, component="ollama", **more) for when, kind, text, more in told]


def test_alerts_begin_and_end() -> None:
    """Own alerts by fingerprint, members by name.

    One that was never heard to begin here fired before; what fires goes on.
    """
    timeline = entries(
        ("13:10:00", "Opened", "OllamaServiceDown on ollama: down", {"alert": "a"}),
        ("13:11:00", "AlertFired", "SlowAnswers on ollama", {"alert": "b"}),
        ("13:12:00", "MemberFired", "AgentDown on planner belongs to it", {"member": "INC-2"}),
        ("13:14:00", "AlertEnded", "OllamaServiceDown: ended", {"alert": "a"}),
        ("13:15:00", "MemberEnded", "AgentDown on critic ended", {"member": "INC-3"}),
        ("13:16:00", "AlertFired", "OllamaServiceDown on ollama: down", {"alert": "a"}),
    )
    begin = 1_775_999_400_000
    found = draw_picture(snapshot(), timeline, [], begin + 20 * MINUTE_MS)

    def span(
        first: float, last: float, *, open_end: bool = False, before: bool = False
    ) -> TimeSpan:
        return TimeSpan(
            begin + int(first * MINUTE_MS), begin + int(last * MINUTE_MS), open_end, before
        )

    assert {(lane.name, lane.component): lane.spans for lane in found.lanes} == {
        ("OllamaServiceDown", "ollama"): [span(0, 4), span(6, 20, open_end=True)],
        ("AgentDown", "critic"): [span(0, 5, before=True)],
        ("SlowAnswers", "ollama"): [span(1, 20, open_end=True)],
        ("AgentDown", "planner"): [span(2, 20, open_end=True)],
    }


def test_many_alerts_are_folded() -> None:
    """The first so many have a bar, and how many more there are is said."""
    timeline = entries(("13:10:00", "Opened", "A on ollama", {"alert": "0"}))
    timeline += entries(
        *[
            ("13:11:00", "AlertFired", f"A{one} on ollama", {"alert": f"{one}"})
            for one in range(1, 31)
        ]
    )
    found = draw_picture(snapshot(), timeline, [])

    assert (len(found.lanes), found.more) == (LANES_MAX, 31 - LANES_MAX)
    assert f"and {31 - LANES_MAX} more" in draw_timeline(found)
    assert f"and {31 - LANES_MAX} more" in timeline_svg(found)


def test_messages_of_one_occasion_are_one_mark() -> None:
    """Whom it reached through what; what a closed incident left to do is no part of the picture."""
    found = of_scenario("bad_day", POSTGRES)
    told = [
        (mark.label, mark.text)
        for mark in found.marks
        if mark.row == "notified" and mark.at_ms <= at(33)
    ]

    assert told == [
        ("opened", "Database Team (email, chat), Critical alerts (chat)"),
        ("escalated", "Senior DBA (email, chat)"),
        (
            "severity raised",
            "On-call DBA (pager), Database Team (email, chat), All hands (chat), Critical alerts (chat)",
        ),
    ]
    assert not [mark for mark in found.marks if "task" in mark.label]


@pytest.mark.parametrize(
    "lasts_ms", [1000, 90_000, 3_600_000, 86_400_000, 40 * 86_400_000, 4 * 365 * 86_400_000]
)
def test_ticks_are_round_and_few(lasts_ms: int) -> None:
    """However long it lasts."""
    found = list(round_instants(START_MS, START_MS + lasts_ms, 5))

    assert len(found) <= 6
    assert len({second - first for first, second in pairwise(found)}) <= 1


def hostile_picture(hostile: str) -> TimelinePicture:
    """A picture in which somebody else's words stand wherever they can."""
    found = documents(hostile)
    timeline = [
        *found[Stream.TIMELINE],
        entry("Opened", "13:10:00", hostile, alert="a", component=hostile),
    ]
    timeline += [
        entry(
            "AlertFired",
            "13:11:00",
            f"{hostile} on {hostile}: {hostile}",
            alert="b",
            component=hostile,
        )
    ]
    timeline += [entry("AlertEnded", "13:12:00", f"{hostile}: ended", alert="c", component=hostile)]
    sent = [one | {"channel": hostile} for one in found[Stream.NOTIFICATIONS]]
    return draw_picture(found[Stream.INCIDENTS][-1] | {"rule": "r"}, timeline, sent)


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a tag and its attributes' names."""
        self.tags.append(f"{tag} {' '.join(name for name, _ in attrs)}")


def _tags(document: str) -> set[str]:
    found = _Tags()
    found.feed(document)
    return set(found.tags)


@settings(max_examples=examples(20))
@given(HOSTILE)
@example("</text><script>alert(1)</script>")
@example('"/><svg onload="alert(1)">')
@example("]]>&x;\x00\x1b[2J\ufffe")
@example("\N{FULLWIDTH LATIN CAPITAL LETTER W}" * 90)
def test_other_peoples_texts_are_only_texts(hostile: str) -> None:
    """Lines that fit and drive no terminal.

    SVG that is XML; no tag and no attribute that harmless words do not have.
    """
    drawn, harmless = hostile_picture(hostile), hostile_picture("x")

    assert all(line.isprintable() and cell_len(line) <= COLUMNS for line in draw_timeline(drawn))
    assert {one.tag for one in ET.fromstring(timeline_svg(drawn)).iter()} == {
        one.tag for one in ET.fromstring(timeline_svg(harmless)).iter()
    }
    assert _tags(timeline_page(drawn)) <= _tags(timeline_page(harmless))
    assert _tags(timeline_svg(drawn)) <= _tags(timeline_svg(harmless))
    assert "script" not in {tag.split()[0] for tag in _tags(timeline_page(drawn))}


def _run(**arguments: Any) -> bool:
    words = {"svg": None, "html": None, "json": False} | arguments
    return command_succeeds(played("bad_day"), CONFIG, show_timeline, argparse.Namespace(**words))


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It prints, or writes files and says so.

    For programs it prints instants; an unknown incident is refused.
    """
    incident = "INC-20250615T153640Z-0529"
    files = {"svg": str(tmp_path / "a.svg"), "html": str(tmp_path / "a.html")}

    assert _run(incident=incident)
    assert "PostgreSQLDown postgres" in capsys.readouterr().out
    assert _run(incident=incident, **files)
    assert capsys.readouterr().out == f"{files['svg']}: written\n{files['html']}: written\n"
    assert (tmp_path / "a.html").read_text().startswith("<!DOCTYPE html>")
    assert ET.fromstring((tmp_path / "a.svg").read_text()).tag == "{http://www.w3.org/2000/svg}svg"
    assert _run(incident=incident, json=True)
    told = json.loads(capsys.readouterr().out)
    assert (told["incident"], told["begin"]) == (incident, format_instant(at(30)))
    assert not _run(incident=f"{incident}0")
    assert f"no incident '{incident}0'; the newest are: " in capsys.readouterr().err


def test_times_for_programs() -> None:
    """Every time has a name without its unit, and is an instant."""
    told = picture_json(hostile_picture("x"))

    assert told["incident"] == INCIDENT
    assert set(told["states"][0]) == {"begin", "end", "open_end", "before", "state"}


def test_each_act_of_a_person_is_drawn() -> None:
    """But for tasks, which have a list of their own, and what was refused."""
    acts = {kind for kind, (_, fields) in TIMELINE.items() if "by" in fields}
    drawn = {kind for row in ROWS.values() for kind in row}

    assert acts - drawn == {TimelineKind.TASK_DONE, TimelineKind.COMMAND_REFUSED}
