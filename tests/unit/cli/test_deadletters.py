"""What was refused.

Listed, shown and sent again, with a real `tocsin up` on a journal that had bad records in it.
"""

import asyncio
import json
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.cli.deadletters_resubmit import Resubmission, plan_resubmission
from app.cli.main import main
from app.core.state.deadletter import VALUE_BYTES_MAX
from app.settings import Settings
from app.transport.log import NewRecord
from app.transport.sqlite import SqliteLog
from models.journal import encode_alerts, encode_command, encode_receipt
from models.topics import Topics
from tests.support.engines import Tocsin, assert_exactly_once, wait_until
from tests.support.refused_alerts import alert, bounded
from tests.support.scenario import alert_record

PARTITIONS = 1
ALERTS_MAX = 2
INCIDENT = "INC-20260412T031502Z-00K3F"
EVIL = b'{"labels": {"alertname": "\x1b]0;owned\x07", "a": 1}}'
LONG = b'[{"labels": {"alertname": "Long"}}, ' + b"x" * VALUE_BYTES_MAX + b"]"
LARGE = orjson.dumps(
    [
        {"labels": {"alertname": "Fine"}},
        {"labels": {"alertname": "Large", "text": "y" * (2 * VALUE_BYTES_MAX)}},
    ]
)
RAW = (EVIL, LONG, LARGE, b'[{"labels": {"alertname": "Good", "component": "g"}}, NaN]')


class Place:
    """A journal, and the commands on it."""

    def __init__(
        self, folder: Path, capsys: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.config = Settings(broker=f"embedded:{folder / 'journal'}", partitions=PARTITIONS)
        self.settings = {"TOCSIN_BROKER": self.config.broker, "TOCSIN_PARTITIONS": str(PARTITIONS)}
        self.capsys, self.monkeypatch = capsys, monkeypatch
        for name, value in self.settings.items():
            monkeypatch.setenv(name, value)

    def up(self, policy: str) -> Tocsin:
        """`tocsin up`, which the commands find."""
        service = Tocsin("up", TOCSIN_POLICY=policy, **self.settings)
        self.monkeypatch.setenv("TOCSIN_PORT", service.url.rpartition(":")[2])
        return service

    def run(self, *arguments: str) -> tuple[int, bytes, str]:
        """Status, output and complaints of a command."""
        self.capsys.readouterr()
        status = main(["deadletters", *arguments])
        output, errors = self.capsys.readouterr()
        return status, output, errors.decode()

    def letters(self, *arguments: str) -> list[dict[str, Any]]:
        """What `list --json` tells."""
        return [json.loads(line) for line in self.run("list", "--json", *arguments)[1].splitlines()]

    def resubmit(self, *arguments: str) -> tuple[int, list[tuple[str, str]]]:
        """The status, and letter and outcome of each."""
        status, output, _ = self.run("resubmit", "--json", *arguments)
        told = [json.loads(line) for line in output.splitlines()]
        return status, [(one["letter"], one["outcome"]) for one in told]

    def write(self, topic: str, *records: NewRecord) -> None:
        """Write what no bridge would, while nothing runs."""

        async def append() -> None:
            log = SqliteLog(self.config.journal_dir)
            await log.start()
            await log.ensure_topics(Topics().specs(PARTITIONS))
            await log.append(topic, 0, records)
            await log.stop()

        asyncio.run(append())

    def counts(self) -> dict[str, int]:
        """The engines' counts, when all effects are proved to be there once."""

        async def check() -> dict[str, int]:
            log = SqliteLog(self.config.journal_dir, read_only=True)
            await log.start()
            try:
                return await assert_exactly_once(log, self.config)
            finally:
                await log.stop()

        return asyncio.run(check())


@pytest.fixture
def place(
    tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> Place:
    """An empty journal."""
    return Place(tmp_path, capsysbinary, monkeypatch)


@pytest.mark.slow
def test_after_a_fix_refused_alerts_are_sent_again_and_once(place: Place, tmp_path: Path) -> None:
    """While the bound stands they are refused again.

    When it is lifted they are taken, and are not sent a second time.
    """
    service = place.up(bounded(tmp_path, ALERTS_MAX))
    service.post("/api/v2/alerts", [alert(name) for name in ("A", "B", "C", "D")])
    wait_until(lambda: len(place.letters()) == 2, "two letters")
    first, second = place.letters()
    too_early = place.resubmit(first["id"])
    (again,) = [one for one in place.letters() if one["id"] not in (first["id"], second["id"])]
    service.stop()
    service = place.up(bounded(tmp_path, 100))
    dry = place.resubmit("--reason", "bound_reached", "--dry-run")
    taken = place.resubmit("--reason", "bound_reached")
    left, known = place.letters(), place.resubmit(first["id"], second["id"])
    more = place.resubmit("--reason", "bound_reached")
    insisted = place.resubmit(first["id"], "--again", "--dry-run")
    service.stop()

    assert [
        (one["reason"], orjson.loads(one["value"])["labels"]) for one in (first, second, again)
    ] == [
        ("bound_reached", {"alertname": "C", "component": "c"}),
        ("bound_reached", {"alertname": "D", "component": "d"}),
        ("bound_reached", {"alertname": "C", "component": "c"}),
    ]
    assert too_early == (1, [(first["id"], "taken"), (first["id"], "refused")])
    assert dry == (0, [(second["id"], "sends"), (again["id"], "sends")])
    assert taken == (0, [(second["id"], "taken"), (again["id"], "taken")])
    assert insisted == (0, [(first["id"], "sends")])
    assert (left, known, more) == (
        [],
        (0, [(first["id"], "known"), (second["id"], "known")]),
        (0, []),
    )
    counts = place.counts()
    assert (counts["incidents"], counts["deadletters"], counts["resubmitted"]) == (
        5,
        3,
        3,
    )  # one incident is about the bound


def test_raw_records(place: Place, tmp_path: Path) -> None:
    """They are sent in the shape that they had.

    What is refused again says why, and stays; nothing drives the terminal.
    """
    place.write(Topics().raw, *(NewRecord(None, value) for value in RAW))
    service = place.up(bounded(tmp_path, 100))
    wait_until(lambda: len(place.letters()) == 4, "four letters")
    evil, long, large, no_json = place.letters()
    shown = [place.run("show", one["id"])[1] for one in (evil, long)]
    raw = [place.run("show", one["id"], "--raw")[:2] for one in (evil, long, large, no_json)]
    listed = place.run("list")[1]
    status, told = place.resubmit(*(one["id"] for one in (evil, long, large, no_json)))
    service.stop()

    assert [one["reason"] for one in (evil, long, large, no_json)] == [
        "malformed",
        "malformed",
        "too_large",
        "malformed",
    ]
    assert "bytes" not in evil
    assert long["bytes"] == len(LONG)
    assert not any(b"\x1b" in text or b"\x07" in text for text in (*shown, listed))
    assert raw[0] == (0, EVIL)
    assert raw[1] == (0, LONG)
    assert raw[2] == (0, orjson.dumps(orjson.loads(LARGE)[1]))
    assert raw[3] == (0, RAW[3])
    outcomes = ["refused", "refused", "refused", "left"]
    assert (status, told) == (
        1,
        list(zip((one["id"] for one in (evil, long, large, no_json)), outcomes, strict=True)),
    )


@pytest.mark.slow
def test_what_is_no_alert_says_what_it_was(place: Place, tmp_path: Path) -> None:
    """Operators' words, receipts and strangers' records are not sent.

    Each says what to do instead.
    """
    records = (
        encode_command("note", INCIDENT, "ann", text="-rf it's"),
        encode_receipt("0-1-0", INCIDENT, "delivered", ""),
        b"nonsense",
        b'{"later": 1}',
    )
    place.write(Topics().journal, *(NewRecord(b"", value) for value in records))
    service = place.up(bounded(tmp_path, 100))
    wait_until(lambda: len(place.letters()) >= 3, "three letters")
    ids = [one["id"] for one in place.letters()]
    status, output, _ = place.run("resubmit", *ids)
    service.stop()

    lines = output.decode().splitlines()
    assert status == 1
    assert f"tocsin note {INCIDENT} '�rf it'\"'\"'s'" in lines[0]
    assert "somebody else writes to the journal" in lines[-3]
    assert "a record of the kind 'later': if a newer Tocsin wrote it, run that one" in lines[-2]
    assert lines[-1] == f"{len(ids)} not sent"


@pytest.mark.slow
def test_without_a_bridge_nothing_is_done(place: Place, tmp_path: Path) -> None:
    """It says so, and what was not sent can be sent later."""
    place.write(Topics().raw, NewRecord(None, b"{"))
    service = place.up(bounded(tmp_path, 100))
    wait_until(lambda: len(place.letters()) == 1, "a letter")
    (letter,) = place.letters()
    unknown = place.run("resubmit", letter["id"], "0-7-7")
    service.stop()
    status, output, errors = place.run("resubmit", letter["id"])

    assert (status, output) == (1, b"")
    assert "no bridge at" in errors
    assert unknown == (1, b"", f"tocsin: no dead letter '0-7-7'; the newest are: {letter['id']}\n")
    kept = place.letters("--all", "--journal", place.config.broker)
    assert [one["resubmitted"] for one in kept] == [None]


@pytest.mark.parametrize(
    "arguments", [[], ["0-1-0", "--reason", "malformed"], ["--reason", "bored"]]
)
def test_which_letters_has_to_be_said(place: Place, arguments: list[str]) -> None:
    """IDs, or a reason that there is, and not both."""
    place.write(Topics().raw, NewRecord(None, b"{"))

    with pytest.raises(SystemExit) as ended:
        place.run("resubmit", *arguments)
    assert ended.value.code == 2


def test_the_alerts_of_one_record_are_sent_together() -> None:
    """A record of several alerts that was refused as a whole is one request again."""
    names = ("Down", "Slow")
    alerts = [alert_record(0, {"alertname": name, "component": "api"}, "api") for name in names]
    value = encode_alerts([one.value or b"" for one in alerts])

    plan = plan_resubmission("journal", value, 1_776_000_000_000)

    assert isinstance(plan, Resubmission)
    sent = [one["labels"]["alertname"] for one in orjson.loads(plan.data)]
    assert (plan.path, sent, len(plan.fingerprints)) == ("/api/v2/alerts", ["Down", "Slow"], 2)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
journal_alerts = st.fixed_dictionaries(
    {"alert": json_values},
    optional=dict.fromkeys(
        ("status", "ttl_ms", "starts_ms", "ends_ms", "labels", "annotations", "url"), json_values
    ),
)


@given(
    st.sampled_from(["raw", "journal", "deadline", ""]),
    st.binary() | (json_values | journal_alerts).map(orjson.dumps),
)
def test_any_letter_has_a_plan(role: str, value: bytes) -> None:
    """Whatever was refused, it is sent as JSON to a resource that takes alerts, or it says why not."""
    plan = plan_resubmission(role, value, 1_776_000_000_000)

    assert (
        plan
        if isinstance(plan, str)
        else isinstance(plan, Resubmission) and plan.path.startswith("/")
    )
