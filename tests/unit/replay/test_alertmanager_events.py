"""What an Alertmanager's event recorder wrote becomes a recording that a policy can be tried on."""

import json
import re
from pathlib import Path
from typing import Any

import orjson
import pytest

from app.cli.main import main
from app.files import policy_file
from app.replay.alertmanager_events import RENEWAL_MS, EventJournal
from models.text.instant import format_instant

START_MS = 1_790_000_000_000
MINUTE = 60_000
DISK = {"alertname": "DiskFull", "severity": "critical", "service": "db", "instance": "a"}


def at(minutes: float) -> str:
    """A time of the stream, with nanoseconds, as Go writes them."""
    return (
        format_instant(START_MS + round(minutes * MINUTE)).replace("Z", "").split(".")[0]
        + ".123456789Z"
    )


def pairs(labels: dict[str, str]) -> dict[str, Any]:
    """Labels as the recorder has them."""
    return {"labels": [{"key": key, "value": value} for key, value in sorted(labels.items())]}


def details(
    labels: dict[str, str], starts: float, ends: float, *, resolved: bool
) -> dict[str, Any]:
    """An alert; protobuf leaves out what is false."""
    alert = {
        "fingerprint": "12345678901234567890",
        "name": labels["alertname"],
        "labels": pairs(labels),
        "annotations": pairs({"summary": "It is full"}),
        "startsAt": at(starts),
        "endsAt": at(ends),
    }
    return alert | ({"resolved": True} if resolved else {})


def line(minutes: float, kind: str, **body: Any) -> bytes:
    """An event."""
    return json.dumps(
        {"@timestamp": at(minutes), "instance": "am-0", "data": {kind: body}}
    ).encode()


def created(minutes: float, labels: dict[str, str] = DISK) -> bytes:
    """An alert that comes, with the end that Prometheus gives it ahead."""
    return line(
        minutes, "alertCreated", alert=details(labels, minutes, minutes + 4, resolved=False)
    )


def resolved(minutes: float, ends: float, labels: dict[str, str] = DISK) -> bytes:
    """An alert that a group drops at its turn, some time after its end."""
    grouped = {"hash": "1", "details": details(labels, 0, ends, resolved=True)}
    return line(minutes, "alertResolved", alert=grouped, groupInfo={"receiverName": "dba"})


def seen(lines: list[bytes]) -> tuple[list[tuple[float, str]], EventJournal]:
    """Minute and kind of each record, and the journal that counted them."""
    journal = EventJournal(policy_file.load_policy(), START_MS + 90 * 86_400_000)
    records = journal.records(lines, 1)
    assert [record.offset for record in records] == list(range(1, len(records) + 1))
    kinds = []
    for record in records:
        document = orjson.loads(record.value or b"")
        kind = str(document.get("status") or next(iter(document)))
        kinds.append((round((record.timestamp - START_MS) / MINUTE, 2), kind))
    return kinds, journal


def test_an_alert_ends_when_it_ended() -> None:
    """Its end is the alert's own, and not the time of the group's turn that tells of it."""
    kinds, journal = seen([created(1), resolved(9, 5), line(12, "alertmanagerShutdownEvent")])

    assert kinds == [(1.0, "firing"), (5.0, "resolved"), (12.0, "tick")]
    assert (journal.counts.alerts, journal.counts.still_firing) == (1, 0)


def test_an_alert_of_several_groups_and_instances_counts_once() -> None:
    """What several groups and a cluster's members tell is one alert, in whatever order it stands in the file."""
    grouped = {"hash": "1", "details": details(DISK, 1, 5, resolved=False)}
    lines = [
        resolved(11, 5),
        resolved(9, 5),
        line(2, "alertGrouped", alert=grouped, groupInfo={}),
        created(1.5),
        created(1),
    ]

    assert seen(lines)[0] == [(1.0, "firing"), (5.0, "resolved"), (11.0, "tick")]


def test_a_late_end_does_not_end_the_next_firing() -> None:
    """A group that tells of an end after the alert has come again means the end before."""
    kinds, journal = seen([created(1), resolved(6, 5), created(7), resolved(8, 5)])

    assert kinds[:3] == [(1.0, "firing"), (5.0, "resolved"), (7.0, "firing")]
    assert journal.counts.still_firing == 1


def test_an_alert_from_before_the_stream() -> None:
    """A notification names the alerts that it was about, so those that began earlier fire from there on."""
    grouped = [{"hash": "1", "details": details(DISK, -60, 9, resolved=False)}]
    body = {"alerts": grouped, "groupInfo": {"receiverName": "dba"}, "reason": "x"}

    kinds, journal = seen([line(5, "notification", **body), line(6, "notification", **body)])

    assert kinds == [(5.0, "firing"), (6.0, "tick")]
    assert journal.counts.notifications == {"dba": 2}


def test_a_heartbeat_and_a_long_alert_are_repeated() -> None:
    """A heartbeat comes each minute, and what fires for weeks is renewed before it counts as lost."""
    watchdog = {"alertname": "Watchdog", "severity": "none"}
    days = RENEWAL_MS / MINUTE

    kinds, _ = seen([created(0, watchdog), resolved(6, 5, watchdog)])
    long, _ = seen([created(0), resolved(2.5 * days, 2.5 * days)])

    assert [at for at, _ in kinds] == [0, 1, 2, 3, 4, 5, 6]
    assert [at / days for at, _ in long] == pytest.approx([0, 1, 2, 2.5, 2.5])


def silence(**more: Any) -> dict[str, Any]:
    """A silence as the recorder has it."""
    matchers = [
        {
            "type": "TYPE_REGEXP",
            "name": "service",
            "pattern": "db|web",
            "rendered": 'service=~"db|web"',
        },
        {"type": "TYPE_NOT_EQUAL", "name": "team"},
    ]
    return {
        "id": "1b3f",
        "matchers": matchers,
        "startsAt": at(0),
        "endsAt": at(60),
        "createdBy": "ann",
        "comment": "move",
        **more,
    }


def test_silences() -> None:
    """A silence is there when it was made, or first muted something; one with alternatives is refused."""
    two: list[dict[str, list[str]]] = [{"matchers": []}, {"matchers": []}]
    kinds, journal = seen(
        [
            created(1),
            line(2, "silenceMutedAlert", silence=silence(), mutedAlert={}),
            line(3, "silenceMutedAlert", silence=silence(), mutedAlert={}),
            line(4, "silenceUpdated", silence=silence(endsAt=at(4))),
            line(5, "silenceCreated", silence=silence(id="x", matcherSets=two)),
        ]
    )

    assert kinds == [(1.0, "firing"), (2.0, "silence"), (4.0, "silence"), (5.0, "tick")]
    assert journal.counts.problems == ["line 5: the silence 'x' has 2 sets of matchers"]


@pytest.mark.parametrize(
    "bad",
    [
        b"{",
        b"[]",
        b'{"@timestamp":"now","data":{"alertCreated":{}}}',
        b'{"@timestamp":"2026-01-01T00:00:00Z","data":{}}',
        b'{"@timestamp":"9999-12-31T23:59:59Z","data":{"alertCreated":{}}}',
        b'{"@timestamp":"1969-12-31T23:59:59Z","data":{"alertCreated":{}}}',
        b'{"@timestamp":"2026-01-01T00:00:00Z","data":{"alertCreated":{"alert":{"labels":{"labels":[{}]}}}}}',
        b'{"@timestamp":"2026-01-01T00:00:00Z","data":{"silenceCreated":{"silence":{"id":1}}}}',
        b'{"@timestamp":"2026-01-01T00:00:00Z","data":{"notification":{"alerts":[1]}}}',
    ],
)
def test_a_line_that_is_no_event_costs_no_other(bad: bytes) -> None:
    """It is counted, and the first ones are shown with their lines."""
    kinds, journal = seen([created(1), bad, b"", resolved(6, 5)])

    assert [kind for _, kind in kinds if kind != "tick"] == ["firing", "resolved"]
    assert journal.counts.refused == 1
    assert journal.counts.problems[0].startswith("line 2: ")


def test_a_policy_is_tried_on_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The recording is one that `tocsin replay --policy` takes, and people are told what it lacks."""
    events, recording = tmp_path / "events.jsonl", tmp_path / "last-month.tocsin"
    events.write_bytes(b"\n".join([created(1), resolved(40, 39)]))
    policy = tmp_path / "policy.yaml"
    shipped = policy_file.default_path().read_text()
    policy.write_text(re.sub(r"\n  group_wait: .*", "\n  group_wait: 20m", shipped))

    status = main(["record", str(recording), "--from-alertmanager-events", str(events)])
    out = capsys.readouterr().out
    command = ["replay", "--journal", str(recording), "--policy", str(policy), "--json"]
    assert (status, main(command)) == (0, 0)

    assert "Who acknowledged" in out
    assert "1 alerts fired" in out
    run = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (run["records"], run["same"], run["gone"]["pages"]) == (4, False, 1)


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        (["--from", "3"], "--from is of a journal"),
        (["--journal", "x"], "--journal is of a journal"),
        ([], "has no alert that fires"),
    ],
)
def test_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], problem: str
) -> None:
    """Options of a journal, and a file that has no events, are refused, and nothing is written."""
    events, recording = tmp_path / "events.jsonl", tmp_path / "x.tocsin"
    events.write_text("level=info msg=hello\n")

    status = main(["record", str(recording), "--from-alertmanager-events", str(events), *more])

    assert (status, recording.exists()) == (1, False)
    assert problem in capsys.readouterr().err
