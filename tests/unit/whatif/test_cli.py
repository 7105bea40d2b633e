"""`tocsin replay --policy`: what it prints, what it writes, and what it refuses."""

import argparse
import asyncio
import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.cli.main import main
from app.cli.whatif import add_whatif, show_whatif
from app.clock import Clock
from app.files import bounded_yaml
from app.files.policy_file import BadPolicy, default_path
from app.render.whatif_svg import ROWS_MAX
from app.settings import Settings
from app.transport.log import NewRecord
from app.transport.sqlite import SqliteLog
from models.journal import TICK
from models.topics import Topics
from tests.support.bad_day import bad_day_log
from tests.support.fake_log import FakeLog
from tests.support.recorder import TOPICS, Recorder
from tests.support.scenario import START_MS, alert_record
from tests.support.whole_policy import POLICY


def kept(log: FakeLog, folder: Path) -> Path:
    """The journal of a log in memory as an embedded one."""

    async def copy() -> None:
        clock = Clock(driven=True)
        target = SqliteLog(folder, clock)
        await target.start()
        await target.ensure_topics(Topics().specs(8))
        records = [
            (record.timestamp, *key, record) for key, kept in log.topics.items() for record in kept
        ]
        for at_ms, topic, partition, record in sorted(
            records, key=lambda one: (one[0], one[1], one[2], one[3].offset)
        ):
            clock.set(max(at_ms, clock.now_ms()))
            await target.append(
                topic, partition, [NewRecord(record.key, record.value, record.headers)]
            )
        await target.stop()

    asyncio.run(copy())
    return folder


def policy_file(folder: Path, **changes: Any) -> str:
    """A file with the shipped policy and changes."""
    file = folder / f"{'-'.join(changes) or 'same'}.yaml"
    file.write_text(
        yaml.safe_dump(bounded_yaml.read_document(default_path().read_text()).data | changes)
    )
    return str(file)


def run(
    capsys: pytest.CaptureFixture[str], log: FakeLog, *arguments: str, partitions: int = 8
) -> tuple[int, str, str]:
    """Status, output and errors of `tocsin replay` on this log."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", action="store_true")
    add_whatif(parser)
    config = Settings(partitions=partitions)
    try:
        good = asyncio.run(show_whatif(log, config, parser.parse_args(arguments)))
    except BadPolicy as error:
        return 1, "", str(error)
    told = capsys.readouterr()
    return int(not good), told.out, told.err


def from_json(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    """The document that it prints last of the bad day."""
    status, out, err = run(capsys, bad_day_log(), *arguments, "--json")
    assert status == 0, err
    found: dict[str, Any] = json.loads(out.splitlines()[-1])
    return found


def test_the_same_policy(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Nothing is added, gone or changed.

    And every command and message of the record is accounted for.
    """
    found = from_json(capsys, "--policy", policy_file(tmp_path))

    counts = {"incidents": 0, "notifications": 0, "pages": 0, "escalations": 0}
    for verdict in ("added", "gone", "changed"):
        assert {name: found[verdict][name] for name in counts} == counts
    assert found["same"]
    assert (
        found["commands_left_out"],
        found["commands_unknown"],
        found["notes"],
        found["missed"],
    ) == ([], 0, [], [])
    assert found["policy"] == {"before": [POLICY.fingerprint], "after": POLICY.fingerprint}
    assert (found["from"], found["to"]) == ("2026-09-27T08:00:00.000Z", "2026-09-28T08:59:00.000Z")
    assert found["records"] == sum(
        len(kept) for (topic, _), kept in bad_day_log().topics.items() if topic == TOPICS.journal
    )


def test_another_policy(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """The counts are those of the lists, by team and severity too.

    And what is gone can be looked up in the record.
    """
    new = policy_file(tmp_path, notify=POLICY.document["notify"] | {"hours": ["P2", "P3"]})

    found = from_json(capsys, "--policy", new)

    assert (
        found["added"]["notifications"],
        found["gone"]["notifications"],
        found["changed"]["incidents"],
    ) == (
        0,
        9,
        4,
    )
    assert len(found["gone"]["details"]["notifications"]) == 9
    assert found["by_team"]["infrastructure"]["notifications"] == {
        "before": 10,
        "after": 1,
        "added": 0,
        "gone": 9,
        "changed": 0,
    }
    assert found["by_severity"]["P2"]["escalations"] == {
        "before": 1,
        "after": 0,
        "added": 0,
        "gone": 1,
        "changed": 0,
    }
    assert found["times"]["first_message"]["before"] == {
        "number": 13,
        "median_ms": 10_000,
        "max_ms": 82_260_000,
    }
    assert [one["title"] for one in found["missed"]] == [
        "HighCPUUsage: system (node-3:9100)",
        "CertificateExpiry",
        "QuotaReached: batch",
        "NodeClockSkew",
    ]
    first = found["gone"]["details"]["notifications"][0]
    assert (first["kind"], first["at"], first["receiver"]) == (
        "opened",
        "2026-09-27T08:03:00.000Z",
        "Ops Team",
    )


def test_against_another_policy(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Two files are compared with each other, whatever happened."""
    new = policy_file(tmp_path, notify=POLICY.document["notify"] | {"hours": ["P2", "P3"]})

    found = from_json(capsys, "--policy", new, "--against", new)

    assert found["same"]
    assert found["against"] == new
    assert found["totals"]["notifications"]["before"] == 164


class _Parser(HTMLParser):
    """What of a page is code, or comes from elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.foreign: list[str] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.foreign += [
            f"{name}={value}"
            for name, value in attrs
            if name in ("src", "href") or name.startswith("on")
        ]
        if tag != "meta" and not self.get_starttag_text().endswith("/>"):  # type: ignore[union-attr]
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if self.get_starttag_text() and self.open and self.open[-1] == tag:
            self.open.pop()


def test_the_page(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """One file that needs nothing else.

    Well-formed, without scripts, with the picture and the lists.
    """
    new = policy_file(tmp_path, notify=POLICY.document["notify"] | {"hours": ["P2", "P3"]})

    status, out, _ = run(
        capsys, bad_day_log(), "--policy", new, "--html", str(tmp_path / "page.html")
    )

    text = (tmp_path / "page.html").read_text()
    parser = _Parser()
    parser.feed(text)
    assert status == 0
    assert "the picture: " in out
    assert (parser.open, parser.foreign) == ([], [])
    assert {"svg", "circle", "polygon", "rect", "table"} <= parser.tags
    assert "script" not in parser.tags
    assert "HighCPUUsage: system (node-3:9100)" in text


def test_what_others_say_is_only_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Labels neither drive the terminal nor become a part of the page."""
    recorder = Recorder(POLICY, 8, now_ms=START_MS)
    nasty = "<script>alert(1)</script>\x1b[2J&\"'"
    for minute in range(30):
        recorder.log.at_ms = START_MS + minute * 60_000
        record = alert_record(recorder.log.at_ms, {"alertname": nasty, "severity": "critical"}, "x")
        recorder.append(record.key, record.value or b"")
        recorder.broadcast(TICK)
    journal, new = (
        str(kept(recorder.log, tmp_path / "journal")),
        policy_file(tmp_path, escalations=[], escalate_after={"P0": ["4m"]}),
    )

    status = main(
        ["replay", "--journal", journal, "--policy", new, "--html", str(tmp_path / "page.html")]
    )

    out, text = capsys.readouterr().out, (tmp_path / "page.html").read_text()
    assert status == 0
    assert "\x1b" not in out + text
    assert "<script" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text


BAD = [
    (["--policy", "NEW"], 1, "has no records: nothing can be replayed"),
    (["--policy", "BAD"], 1, "version: is 2, must be 1"),
    (["--policy", "NEW", "--against", "BAD"], 1, "version: is 2, must be 1"),
    (["--policy", "/nowhere.yaml"], 1, "cannot be read"),
    (["--policy", "NEW", "--html", "/nowhere/page.html"], 1, "/nowhere is not a folder"),
]


@pytest.mark.parametrize(("arguments", "status", "text"), BAD, ids=[text for *_, text in BAD])
def test_refused(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    arguments: list[str],
    status: int,
    text: str,
) -> None:
    """One line says what is wrong, and no page is written."""
    files = {"NEW": policy_file(tmp_path), "BAD": policy_file(tmp_path, version=2)}
    page = tmp_path / "page.html"

    found = run(capsys, FakeLog(), "--html", str(page), *(files.get(one, one) for one in arguments))

    assert found[0] == status
    assert text in found[2]
    assert not page.exists()


def test_a_record_of_a_newer_version(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A kind that nobody knows is told by its place, with the kinds that are known."""
    recorder = Recorder(POLICY, 8, now_ms=START_MS)
    recorder.append(b"x", b'{"dream":"of sheep"}')

    status, _, err = run(capsys, recorder.log, "--policy", policy_file(tmp_path))

    assert status == 1
    assert "of the kind 'dream', known are alert, alerts, tick," in err


def test_a_policy_of_a_newer_version_in_the_record(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """What happened cannot be told then, and why."""
    recorder = Recorder(POLICY, 8, now_ms=START_MS)
    for (topic, _), records in recorder.log.topics.items():
        if topic == TOPICS.journal:
            records[0].value = (records[0].value or b"").replace(b'"version":1', b'"version":2')

    status, _, err = run(capsys, recorder.log, "--policy", policy_file(tmp_path))

    assert status == 1
    assert (
        "the policy in the record 0:0 is not one that this Tocsin reads (version: Input should be 1)"
        in err
    )


def test_another_number_of_partitions(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A journal of eight partitions is none of five."""
    status, _, err = run(capsys, bad_day_log(), "--policy", policy_file(tmp_path), partitions=5)

    assert status == 1
    assert "TOCSIN_PARTITIONS has to be what it was when the journal was written" in err


def test_the_picture_has_a_bound(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Of very many incidents those that differ are drawn, and the others counted."""
    recorder = Recorder(POLICY, 8, now_ms=START_MS)
    for number in range(120):
        labels = {
            "alertname": "Slow",
            "component": f"c{number}",
            "severity": "high",
            "team": "ai" if number > 99 else "data",
        }
        record = alert_record(START_MS, labels, f"c{number}")
        recorder.append(record.key, record.value or b"")
    for minute in range(20):
        recorder.log.at_ms = START_MS + minute * 60_000
        recorder.broadcast(TICK)
    teams = POLICY.document["teams"]
    new = policy_file(
        tmp_path, teams=teams | {"ai": teams["ai"] | {"escalate_after": {"P1": ["5m"]}}}
    )

    status, _, err = run(
        capsys, recorder.log, "--policy", new, "--html", str(tmp_path / "page.html")
    )

    text = (tmp_path / "page.html").read_text()
    assert status == 0, err
    assert "Not in the picture: 40 more, 40 of them without a difference." in text
    assert text.count('class="bar before') == ROWS_MAX + 1  # the legend has one
    assert all(f">Slow on c{number}<" in text for number in range(100, 120))
