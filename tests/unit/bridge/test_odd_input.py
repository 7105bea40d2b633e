"""Input that a running service was attacked with, and that it once answered wrongly."""

import asyncio
import re
from copy import copy
from io import StringIO

import orjson
import pytest
from rich.console import Console

from agents.ingest import journal_records
from app.bridge.alertmanager.silences import Silences
from app.cli.main import main
from app.intake.normalise import alerts_from
from app.intake.records import Intake
from app.settings import BadSettings, from_environment
from app.terminal.incidents_table import incidents_table
from app.transport.log import NewRecord, StoredRecord
from models.alert import Labels
from models.effect import Position
from models.place import Place
from models.reason import BadInput
from models.text.instant import format_instant
from models.wire import ReceiptRequest, instant_ms
from tests.support.bridge_metrics import refused_count
from tests.support.fake_log import FakeLog
from tests.support.served_bridge import JSON, Answer, Client, error, with_bridge
from tests.support.shipped_policy import shipped

YEAR_2_MS = -62_104_060_800_000


@pytest.mark.parametrize("path", ["/api/v2/alerts", "/nothing"])
@pytest.mark.parametrize(("header", "found"), [("bogus", "'bogus'"), ("\udcff", "'\\udcff'")])
def test_an_expectation_that_nobody_meets(path: str, header: str, found: str) -> None:
    """It is refused as everything else is, as JSON with a reason that is counted, and no alert is kept."""
    log, before = FakeLog(), refused_count("unknown_expectation")

    async def talk(client: Client) -> Answer:
        host, port = client.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        head = f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nExpect: {header}\r\n"
        writer.write(
            f"{head}Connection: close\r\nContent-Length: 2\r\n\r\n[]".encode(
                "utf-8", "surrogateescape"
            )
        )
        answered = await reader.read()
        writer.close()
        return int(answered.split()[1]), orjson.loads(answered.partition(b"\r\n\r\n")[2])

    answer = with_bridge(log, talk)

    assert answer == (
        417,
        error("unknown_expectation", f"the Expect is {found}, must be 100-continue"),
    )
    assert refused_count("unknown_expectation") == before + 1


def test_who_expects_to_be_told_to_go_on_is() -> None:
    """curl asks so before a large body."""
    answer = with_bridge(
        FakeLog(), lambda client: client.post([], JSON | {"Expect": "100-continue"})
    )

    assert answer == (200, {"status": "success", "accepted": 0})


@pytest.mark.parametrize("at_ms", [YEAR_2_MS, YEAR_2_MS + 998 * 365 * 86_400_000, -1, 0])
def test_an_early_instant_is_read_as_it_was_written(at_ms: int) -> None:
    """A year has four digits, whatever it is."""
    assert instant_ms(format_instant(at_ms), "x") == at_ms


def test_a_silence_of_long_ago_hides_no_other() -> None:
    """One that began in the second year stops nobody from reading those after it."""
    log = FakeLog()

    def snapshot(name: str, starts_ms: int) -> bytes:
        times = {"starts_at": format_instant(starts_ms), "ends_at": "9999-01-01T00:00:00.000Z"}
        said = {"silence": name, "matchers": [["a", "=", "b"]], "by": "ann", "comment": ""}
        return orjson.dumps(said | times | {"updated_at": format_instant(log.at_ms)})

    async def read() -> list[str]:
        for number, (name, at_ms) in enumerate((("old", YEAR_2_MS), ("new", log.at_ms))):
            position = Position(number, 0).header()
            await log.append(
                "tocsin.silences", 0, [NewRecord(b"x", snapshot(name, at_ms), (position,))]
            )
        return list(await Silences(log, "tocsin.silences").all())

    assert asyncio.run(read()) == ["old", "new"]


@pytest.mark.parametrize(
    "arguments",
    [["ack", "\udcff"], ["done", "\udcff.x"], ["silence", "expire", "\udcff"]],
)
def test_an_argument_that_is_not_utf_8(
    capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    """It is told in one line."""
    status = main(arguments)

    shown = arguments[-1].partition(".")[0]
    assert (status, capsys.readouterr().err) == (
        1,
        f"tocsin: {shown!a} has bytes that are not UTF-8, must be UTF-8 text\n",
    )


@pytest.mark.parametrize("prefix", ["", "a b", "../x", "\udcff", "a\nb", "x" * 201])
def test_a_prefix_that_can_name_no_topic(prefix: str) -> None:
    """It is refused before anything is started, by name."""
    with pytest.raises(BadSettings, match=r"^TOCSIN_PREFIX is "):
        from_environment({"TOCSIN_PREFIX": prefix})


@pytest.mark.parametrize("prefix", ["tocsin", "a.b-c_D1", "x" * 200])
def test_a_prefix_that_can(prefix: str) -> None:
    """What Kafka takes in a topic's name is taken."""
    assert from_environment({"TOCSIN_PREFIX": prefix}).prefix == prefix


def test_a_raw_record_that_makes_us_fail_is_a_dead_letter() -> None:
    """Whatever it is that we did wrong: those after it are read, and it says where to look."""

    def fails(labels: Labels, identity: str) -> Place:  # noqa: ARG001
        return Place(labels["component"])

    policy = copy(shipped())
    policy.place = fails
    values = [
        orjson.dumps([{"labels": {"alertname": "A", name: "db"}}])
        for name in ("component", "host", "component")
    ]
    records = [StoredRecord(offset, 0, None, value) for offset, value in enumerate(values)]

    first, second, third = (
        one for record in records for one in journal_records(4, record, Intake(), policy, 0)
    )

    assert (first.key, second.key, third.key) == (b"db", b"refused", b"db")
    body = orjson.loads(second.value or b"")["letter"]
    assert (body["reason"], body["value"], body["partition"], body["offset"]) == (
        "poison",
        values[1].decode(),
        4,
        1,
    )
    assert re.fullmatch(
        r"it made Tocsin fail with KeyError in tests\.unit\.bridge\.test_odd_input, line [0-9]+: "
        r"a bug in Tocsin, please report it",
        body["message"],
    )


@pytest.mark.parametrize(
    "number", [b"18446744073709551615", b"18446744073709551616", b"-9223372036854775809"]
)
def test_a_large_number_is_taken_in_any_company(number: bytes) -> None:
    """What says nothing of an alert may be any number, also beside an alert that is not JSON."""
    alert = b'{"labels": {"alertname": "A"}, "value": %s}' % number
    alone, _ = alerts_from(b"[%s]" % alert, 0)
    beside, refused = alerts_from(b'[%s, {"labels": {"alertname": "B"}, "value": NaN}]' % alert, 0)

    assert (beside, len(refused)) == (alone, 1)


@pytest.mark.parametrize("digits", [400, 5000])
def test_a_number_beyond_any_spoils_its_alert_alone(digits: int) -> None:
    """orjson reads none that is larger than a float can be; the alerts beside it are read."""
    body = b'[{"labels": {"alertname": "A"}, "value": %s}, {"labels": {"alertname": "B"}}]' % (
        b"1" * digits
    )
    taken, refused = alerts_from(body, 0)

    assert ([one.labels for one in taken], len(refused)) == ([{"alertname": "B"}], 1)


def test_a_very_long_title_does_not_fill_the_terminal() -> None:
    """Somebody's alert name of 64 kB leaves the other incidents on the screen."""
    known = {
        "incident": "INC-1",
        "severity": "P1",
        "state": "open",
        "owner": "data",
        "alerts_firing": 1,
        "alerts_total": 1,
    }
    rows = [known | {"escalation_step": 0, "title": title} for title in ("x" * 64_000, "short")]
    console = Console(width=120, file=StringIO())
    console.print(incidents_table(rows, 120))
    assert isinstance(console.file, StringIO)
    shown = console.file.getvalue()

    assert "... (63800 more characters)" in "".join(shown.split("\n")).replace("  ", "")
    assert "short" in shown
    assert len(shown.splitlines()) < 10


def test_the_number_of_an_effect_has_plain_digits() -> None:
    """Digits of other alphabets are no number of a notification."""
    receipt = {"notification": "\u0661-\u0662-\u0663", "incident": None, "state": "delivered"}

    with pytest.raises(BadInput, match="notification: is "):
        ReceiptRequest.of(receipt)
