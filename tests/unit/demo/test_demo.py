"""The demo, as somebody runs it who has nothing but a folder of their own."""

import asyncio
import json
import re
from pathlib import Path

import pytest

from app.cli.main import main
from app.demo.scenario import MINUTE_MS, START_MS
from app.render.demo_text import rate_line
from app.transport.sqlite import SqliteLog
from tests.support.engines import ROOT, read_all


@pytest.mark.slow
def test_the_journal_is_kept_where_it_was_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A relative folder, and a relative policy, are of the folder in which the command was given.

    The service has another.
    """
    policy = (ROOT / "policies" / "default.yaml").read_text()
    (tmp_path / "mine.yaml").write_text(policy.replace("name: All hands", "name: Everybody"))
    monkeypatch.chdir(tmp_path)
    with monkeypatch.context() as asked:
        asked.setenv("TOCSIN_POLICY", "mine.yaml")
        assert main(["demo", "--json", "--storm", "200", "--journal", "night"]) == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert main(["replay", "--journal", "night", "--verify", "--json", "--output", "effects"]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])

    assert (told["deadletters"], told["escalations"]) == (0, 22)
    assert found["identical"] is True
    assert '"receiver":"Everybody"' in (tmp_path / "effects").read_text()


Journal = list[tuple[int, int, bytes]]
DAY_ID = re.compile(r"INC-20260927T\w+-\w+")


def _play(folder: Path, *arguments: str) -> tuple[Journal, list[str]]:
    """Partition, time and value of each record of the journal that a demo leaves, and its incidents."""
    assert main(["demo", "--json", "--journal", str(folder), *arguments]) == 0

    async def read() -> tuple[Journal, list[str]]:
        log = SqliteLog(folder, read_only=True)
        await log.start()
        try:
            records = [
                (partition, record.timestamp, record.value or b"")
                for partition in range(8)
                for record in await read_all(log, "tocsin.journal", partition)
            ]
            incidents = [
                (record.key or b"").decode()
                for partition in range(8)
                for record in await read_all(log, "tocsin.incidents", partition)
            ]
        finally:
            await log.stop()
        return records, sorted(set(incidents))

    return asyncio.run(read())


@pytest.mark.slow
def test_the_same_input_makes_the_same_journal(tmp_path: Path) -> None:
    """The records, their times and the ids of incidents do not depend on the machine's speed, and none is older than the day.

    What two partitions tell a third in the same millisecond may change places, so values are not
    compared. The ids in docs/REPLAY.md are those of the day.
    """
    (first, incidents), (second, same) = (
        _play(tmp_path / name, "--storm", "200") for name in ("first", "second")
    )

    places, again = ([record[:2] for record in journal] for journal in (first, second))
    assert (places, incidents) == (again, same)
    assert set(DAY_ID.findall((ROOT / "docs" / "REPLAY.md").read_text())) <= set(incidents)
    assert min(at_ms for _, at_ms, _ in first) == START_MS - 1 + 2 * MINUTE_MS


def test_half_a_year_is_counted_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What happened 180 days before the end of the played time is in the summary, and so is the end."""
    alerts = [
        {
            "labels": {"alertname": "A", "host": host, "severity": "critical"},
            "startsAt": at,
            "endsAt": at,
        }
        for host, at in (("a", "2026-01-01T00:00:00Z"), ("b", "2026-06-30T00:00:00Z"))
    ]
    for alert in alerts:
        alert["endsAt"] = alert["startsAt"].replace("00:00:00", "01:00:00")  # type: ignore[attr-defined]
    file = tmp_path / "alerts.json"
    file.write_text(json.dumps([alert | {"updatedAt": alert["startsAt"]} for alert in alerts]))

    journal, _ = _play(tmp_path / "months", "--input", str(file))
    summary = json.loads(capsys.readouterr().out.splitlines()[-1])

    assert (summary["alerts"], summary["incidents"]) == (2, 2)
    assert summary["messages"]["opened"] >= 2
    assert sum(value.startswith(b'{"policy') for _, _, value in journal) == 8


def test_a_used_folder_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A second day behind the first would have other ids."""
    (tmp_path / "journal.db").touch()

    assert main(["demo", "--journal", str(tmp_path)]) == 1
    assert capsys.readouterr().err == (
        f"tocsin demo: {tmp_path} has a journal already, must be a new folder\n"
    )


def test_the_rate_is_explained() -> None:
    """The figure is the pace of virtual time, and the reader is told so."""
    line = rate_line({"seconds": 30.04, "alerts_per_second": 2112.4})

    assert line.startswith("Played in 30.0 s. 2,112 alerts/s is the pace of a day on virtual time")
