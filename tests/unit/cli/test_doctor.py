"""What `tocsin doctor` says of installations that are broken, each in its own way."""

import asyncio
import json
import sqlite3
from pathlib import Path

import pytest

from app.cli.main import main
from app.doctor.files import check_versions
from app.doctor.finding import Finding, Level
from app.doctor.journal import Disk, check_journal
from app.doctor.service import check_service
from app.settings import Settings
from app.transport.sqlite import FORMAT, SqliteLog
from models.topics import Topics

Findings = dict[str, dict[str, str]]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installation that was never started, on an embedded journal, with no bridge."""
    monkeypatch.setenv("TOCSIN_BROKER", f"embedded:{tmp_path / 'data'}")
    monkeypatch.setenv("TOCSIN_URL", "http://127.0.0.1:1")
    return tmp_path


def examined(capsys: pytest.CaptureFixture[str]) -> tuple[int, Findings]:
    """The status, and what was found of each subject."""
    status = main(["doctor", "--json"])
    document = json.loads(capsys.readouterr().out)
    assert document["good"] is (status == 0)
    return status, {finding["subject"]: finding for finding in document["findings"]}


def with_journal(folder: Path, partitions: int = 8) -> Path:
    """A journal that was made by a start."""

    async def make() -> None:
        log = SqliteLog(folder / "data")
        await log.start()
        await log.ensure_topics(Topics().specs(partitions))
        await log.stop()

    asyncio.run(make())
    return folder / "data" / "journal.db"


def test_an_installation_before_its_first_start(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is wrong; that nobody is told, and that no bridge runs, is doubtful."""
    status, findings = examined(capsys)

    doubtful = {name for name, item in findings.items() if item["level"] == "doubtful"}
    assert status == 0
    assert {"receivers", "service"} <= doubtful <= {"receivers", "service", "policy", "disk"}
    assert findings["versions"]["level"] == findings["journal"]["level"] == "good"
    assert not (folder / "data").exists()


@pytest.mark.usefixtures("folder")
def test_people_read_a_line_and_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    """Each finding is one line, and below it stands what to do."""
    assert main(["doctor"]) == 0

    lines = capsys.readouterr().out.splitlines()
    at = lines.index(
        "doubtful  receivers: TOCSIN_RECEIVERS is not set: messages are printed, and reach nobody"
    )
    assert lines[at + 1] == "          do: read docs/NOTIFIER.md"


@pytest.mark.usefixtures("folder")
def test_a_setting_with_a_typing_mistake(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It ends the examination, since the rest would be of another installation."""
    monkeypatch.setenv("TOCSIN_TOKENZ", "x")

    status, findings = examined(capsys)

    assert status == 1
    assert findings["settings"]["text"].startswith("TOCSIN_TOKENZ is no setting")


def test_a_policy_with_a_mistake(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its first mistake is told, and the command that shows all of them."""
    path = folder / "policy.yaml"
    path.write_text("version: 1\nteams: 3\n")
    monkeypatch.setenv("TOCSIN_POLICY", str(path))

    status, findings = examined(capsys)

    assert (status, findings["policy"]["level"]) == (1, "wrong")
    assert findings["policy"]["remedy"] == f"tocsin policy check {path}"


def test_a_secret_that_is_missing(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A receiver without its secret delivers nothing."""
    path = folder / "receivers.yaml"
    path.write_text(
        "version: 1\nreceivers:\n  hook:\n"
        f"    slack: {{token_file: {folder / 'none'}}}\n"
        "contacts:\n  - {channel: pager, through: [hook]}\n"
    )
    monkeypatch.setenv("TOCSIN_RECEIVERS", str(path))

    status, findings = examined(capsys)

    assert (status, findings["receivers"]["level"]) == (1, "wrong")
    assert str(folder / "none") in findings["receivers"]["text"]


@pytest.mark.usefixtures("folder")
def test_a_kafka_that_is_away(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The address, why, and what to do."""
    monkeypatch.setenv("TOCSIN_BROKER", "kafka://127.0.0.1:1")

    status, findings = examined(capsys)

    assert status == 1
    assert "nobody listens there" in findings["broker"]["text"]
    assert findings["broker"]["remedy"] == "start it, or correct TOCSIN_BROKER"


def test_a_wrong_number_of_partitions(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What the topics have is what the setting has to be."""
    with_journal(folder, 4)

    status, findings = examined(capsys)

    assert status == 1
    assert findings["topics"]["text"] == "tocsin.journal has 4 partitions, TOCSIN_PARTITIONS is 8"
    assert findings["topics"]["remedy"] == "set TOCSIN_PARTITIONS=4"


@pytest.mark.parametrize(
    ("pragma", "text"),
    [
        (f"user_version = {FORMAT + 1}", "run the newer version"),
        ("application_id = 7", "it is no journal of Tocsin's"),
    ],
)
def test_a_journal_that_cannot_be_read(
    folder: Path, capsys: pytest.CaptureFixture[str], pragma: str, text: str
) -> None:
    """A newer version's, or somebody else's file."""
    with sqlite3.connect(with_journal(folder)) as connection:
        connection.execute(f"PRAGMA {pragma}")
    connection.close()

    status, findings = examined(capsys)

    assert (status, findings["journal"]["level"]) == (1, "wrong")
    assert text in findings["journal"]["text"]


@pytest.mark.parametrize(
    ("free", "level"),
    [(10 * 1024**3, Level.GOOD), (500 * 1024**2, Level.DOUBTFUL), (1024**2, Level.WRONG)],
)
def test_a_disk_that_is_nearly_full(tmp_path: Path, free: int, level: Level) -> None:
    """A full disk stops everything, so it is told before."""
    config = Settings(broker=f"embedded:{tmp_path}")

    findings = asyncio.run(check_journal(config, lambda _: Disk(free, 20 * 1024**3)))

    assert findings[0].level is level


def test_a_package_of_another_version() -> None:
    """We override private parts of three packages, so no other version is tested."""
    findings = check_versions(["aiokafka==0.14.0", "rich>=13"], lambda _: "0.13.0")

    text = "aiokafka is 0.13.0, must be 0.14.0"
    assert findings == [Finding("versions", Level.WRONG, text, "pip install aiokafka==0.14.0")]


@pytest.mark.parametrize(
    ("answer", "level", "text"),
    [
        ("no bridge", Level.DOUBTFUL, "no bridge"),
        ({"problems": []}, Level.GOOD, "the bridge says that Tocsin is well"),
        ({"problems": [{"problem": "no_worker", "text": "No"}]}, Level.WRONG, "No"),
        (
            {"status": "x"},
            Level.WRONG,
            "what answers has no health: it is no bridge of this version",
        ),
    ],
)
def test_what_the_bridge_says(answer: object, level: Level, text: str) -> None:
    """A bridge that is away is doubtful; one that is degraded is wrong."""
    (finding,) = check_service(answer)

    assert (finding.level, finding.text) == (level, text)
