"""Real processes: alerts in at `tocsin up`, messages out at a receiver that counts, with kill -9 between."""

import signal
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import orjson
import pytest

from tests.support.engines import Tocsin, wait_until
from tests.support.receivers.counting import CountingReceiver

START_MS = 1_776_000_000_000
FILE = """
version: 1
receivers:
  hook: {{webhook: {{url: "{url}", format: alertmanager}}}}
contacts:
  - {{channel: pager, through: [hook]}}
allow_private_addresses: [127.0.0.1/32]
delivery: {{timeout: 5s}}
"""


@pytest.fixture
def receiver() -> Iterator[CountingReceiver]:
    """A receiver, for one test."""
    receiver = CountingReceiver()
    yield receiver
    receiver.stop()


Start = Callable[[dict[str, str]], Tocsin]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts `tocsin up`; what a test leaves running is killed."""
    services: list[Tocsin] = []

    def begin(settings: dict[str, str]) -> Tocsin:
        services.append(Tocsin("up", **settings))
        return services[-1]

    yield begin
    for service in services:
        if service.process.poll() is None:
            service.kill()


def _settings(folder: Path, receiver: CountingReceiver) -> dict[str, str]:
    file = folder / "receivers.yaml"
    file.write_text(FILE.format(url=receiver.url))
    return {"TOCSIN_BROKER": f"embedded:{folder}/journal", "TOCSIN_RECEIVERS": str(file)}


def _alert(number: int, *, ended: bool = False) -> dict[str, object]:
    labels = {"alertname": f"Down{number}", "component": f"c{number}", "severity": "P0"}
    times = {"startsAt": "2026-01-01T00:00:00Z"}
    if ended:
        times["endsAt"] = "2026-01-01T00:00:01Z"
    return {"labels": labels, **times}


def _set_clock(service: Tocsin, now_ms: int) -> None:
    body = orjson.dumps({"now_ms": now_ms})
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{service.url}/clock", body, headers, method="PUT")
    with urllib.request.urlopen(request, timeout=60) as response:
        response.read()


def _keys(receiver: CountingReceiver, status: str) -> Counter[str]:
    return Counter(body["groupKey"] for body in list(receiver.bodies) if body["status"] == status)


def test_every_page_arrives_though_the_service_is_killed(
    tmp_path: Path, receiver: CountingReceiver, start: Start
) -> None:
    """Down receiver, two kills: each page arrives, at most once more for each kill."""
    settings = _settings(tmp_path, receiver)
    receiver.status = 503
    service = start(settings)
    service.post("/api/v2/alerts", [_alert(number) for number in range(10)])
    wait_until(lambda: receiver.refused > 0, "it was tried")
    service.kill()
    receiver.status = 200
    receiver.gate.clear()  # it takes them, and the service does not hear so
    receiver.on_request.clear()
    service = start(settings)
    receiver.on_request.wait(60)
    service.kill()
    receiver.gate.set()
    service = start(settings)
    service.post("/api/v2/alerts", [_alert(number) for number in range(10, 15)])
    # On a slow machine some are escalated before, under a key of their own.
    wait_until(lambda: len(_names(receiver)) == 15, "every page has arrived")
    service.stop()

    assert max(_keys(receiver, "firing").values()) <= 3


def test_what_ends_is_resolved_at_the_receiver(
    tmp_path: Path, receiver: CountingReceiver, start: Start
) -> None:
    """Trigger and resolve of one incident have the same key."""
    service = start(_settings(tmp_path, receiver) | {"TOCSIN_CLOCK": "driven"})
    _set_clock(service, START_MS)
    service.post("/api/v2/alerts", [_alert(1)])
    wait_until(lambda: len(_keys(receiver, "firing")) == 1, "it was paged")
    service.post("/api/v2/alerts", [_alert(1, ended=True)])
    _set_clock(service, START_MS + 60 * 60_000)
    wait_until(lambda: bool(_keys(receiver, "resolved")), "it was resolved")
    service.stop()

    assert _keys(receiver, "resolved") == _keys(receiver, "firing")


def test_without_a_receivers_file_messages_are_lines_in_the_terminal(
    tmp_path: Path, start: Start, capfd: pytest.CaptureFixture[str]
) -> None:
    """A newcomer sees what would be sent."""
    text = ""

    def printed() -> bool:
        nonlocal text
        text += capfd.readouterr().err
        return "PAGE to pager" in text

    service = start({"TOCSIN_BROKER": f"embedded:{tmp_path}"})
    service.post("/api/v2/alerts", [_alert(1)])
    wait_until(printed, "a line is printed")
    service.stop()

    line = next(line for line in text.splitlines() if "PAGE to pager" in line)
    assert "[P0] Down1" in line


def test_receivers_are_read_again_and_a_bad_file_changes_nothing(
    tmp_path: Path, receiver: CountingReceiver, start: Start
) -> None:
    """A reload sends to the receiver that the file names now; a mistake is answered, and the last good file stays."""
    settings = _settings(tmp_path, receiver)
    service, other = start(settings), CountingReceiver()
    file = Path(settings["TOCSIN_RECEIVERS"])
    file.write_text(FILE.format(url=other.url))
    renewed = service.post("/-/reload", b"")
    file.write_text(FILE.format(url=other.url).replace("through", "trough"))
    refused = service.post("/-/reload", b"")
    service.post("/api/v2/alerts", [_alert(1)])
    wait_until(lambda: len(_keys(other, "firing")) == 1, "it was paged by the new file")
    service.stop()
    other.stop()

    assert (renewed[0], renewed[1]["receivers"]) == (200, True)
    assert refused[0] == 400
    assert "the receivers of before stay in force" in refused[1]["error"]
    assert "trough" in refused[1]["error"]
    assert receiver.bodies == []


def test_a_hangup_reads_receivers_again(
    tmp_path: Path, receiver: CountingReceiver, start: Start
) -> None:
    """What was not accepted by the receiver of before goes to the one that the file names now."""
    settings = _settings(tmp_path, receiver)
    receiver.status = 503
    service, other = start(settings), CountingReceiver()
    service.post("/api/v2/alerts", [_alert(1)])
    wait_until(lambda: receiver.refused > 0, "it was tried")
    Path(settings["TOCSIN_RECEIVERS"]).write_text(FILE.format(url=other.url))
    service.process.send_signal(signal.SIGHUP)
    wait_until(lambda: len(_keys(other, "firing")) == 1, "it went to the other")
    service.stop()
    other.stop()

    assert _keys(receiver, "firing") == Counter()


def _names(receiver: CountingReceiver) -> set[str]:
    """The alerts that somebody was paged of."""
    bodies = [body for body in list(receiver.bodies) if body["status"] == "firing"]
    return {alert["labels"]["alertname"] for body in bodies for alert in body["alerts"]}
