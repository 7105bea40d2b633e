"""A load on a bridge: alerts of many components that fire, repeat and end, and what operators say, sent until acknowledged.

Each alert carries a number and each command a mark of its own, so that the proof can look for it in
the journal.
"""

import http.client
import random
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections import Counter
from collections.abc import Callable
from typing import Any

import orjson

from app.transport.log import NewRecord
from models.text.instant import format_instant

BATCH = 20  # alerts in a request
NAMES = (
    *(
        ("OllamaServiceDown", "critical"),
        ("PlannerAgentDown", "warning"),
        ("CoderAgentDown", "warning"),
    ),
    *(("ResearchAgentDown", "warning"), ("HighErrorRate", "high"), ("PostgreSQLDown", "critical")),
    *(
        ("BruteForceLogin", "warning"),
        ("SlowDisk", "warning"),
        ("HighMemory", "info"),
        ("QueueGrows", "medium"),
    ),
    *(("CertificateEndsSoon", "low"), ("LatencyHigh", "major")),
)
COMPONENTS = (
    "ollama",
    "postgres",
    "redis",
    "api",
    "gateway",
    *(f"svc-{number}" for number in range(150)),
)
COMMANDS = (
    "acknowledge",
    "note",
    "note",
    "root-cause",
    "mitigate",
    "resolve",
    "complaint",
    "update",
)
TIMEOUT_SECONDS = 90
PAUSE_SECONDS = 0.2  # before something that was not acknowledged is sent again
LIST_SECONDS = 3.0  # between two looks at which incidents there are
COMMAND_SECONDS = 0.4


class Load:
    """Senders in threads of their own, from `start` to `stop`. `rate` is alerts a second."""

    def __init__(self, url: Callable[[], str], seed: int, rate: int, senders: int = 2) -> None:
        self.alerts: set[int] = set()  # acknowledged
        self.commands: set[str] = set()  # acknowledged
        self.trouble: Counter[str] = (
            Counter()
        )  # answers that were no acknowledgement, and what failed instead of one
        self.slowest_seconds = 0.0  # from the first sending of a request to its acknowledgement
        self._url, self._rate = url, rate
        self._stopping = threading.Event()
        self._number = 0
        self._lock = threading.Lock()
        self._threads = [
            threading.Thread(
                target=self._send_alerts,
                args=(random.Random(seed + one), one, senders),
                daemon=True,
            )
            for one in range(senders)
        ]
        self._threads.append(
            threading.Thread(target=self._send_commands, args=(random.Random(seed),), daemon=True)
        )

    def start(self) -> "Load":
        """Begin."""
        for thread in self._threads:
            thread.start()
        return self

    def stop(self) -> None:
        """Return once everything that was sent is acknowledged."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(3 * TIMEOUT_SECONDS)
            assert not thread.is_alive(), f"a sender gets no acknowledgement: {self.trouble}"

    def raw(self, alerts: int, seed: int) -> list[tuple[int, list[NewRecord]]]:
        """Alerts for the raw topic in batches, each with its first number."""
        dice, batches = random.Random(seed), []
        for _ in range(0, alerts, BATCH):
            numbers = self._numbers()
            records = [
                NewRecord(None, orjson.dumps(_alert(dice, {}, COMPONENTS, one))) for one in numbers
            ]
            batches.append((numbers.start, records))
        return batches

    def _numbers(self) -> range:
        with self._lock:
            self._number += BATCH
            return range(self._number - BATCH, self._number)

    def _send_alerts(self, dice: random.Random, one: int, senders: int) -> None:
        firing: dict[tuple[str, str], str] = {}
        components = COMPONENTS[one::senders]
        due = time.monotonic()
        while not self._stopping.is_set():
            numbers = self._numbers()
            body = [_alert(dice, firing, components, number) for number in numbers]
            self._until_acknowledged("POST", "/api/v2/alerts", body, 200)
            self.alerts.update(numbers)
            due += BATCH * senders / self._rate
            self._stopping.wait(max(due - time.monotonic(), 0))

    def _send_commands(self, dice: random.Random) -> None:
        incidents: list[str] = []
        listed = 0.0
        number = 0
        while not self._stopping.wait(COMMAND_SECONDS):
            if time.monotonic() - listed > LIST_SECONDS:
                found = self._once("GET", "/api/v1/incidents", None, 200)
                incidents = (
                    [one["incident"] for one in orjson.loads(found)["items"]][-50:]
                    if found is not None
                    else incidents
                )
                listed = time.monotonic()
            if incidents:
                number += 1
                mark = f"mark-{number}"
                command = dice.choice(COMMANDS)
                path = f"/api/v1/incidents/{dice.choice(incidents)}/{command}"
                body = {"by": "ann", "text": mark}
                self._until_acknowledged("POST", path, body, 200, 202, 404, 409)
                self.commands.add(mark)

    def _until_acknowledged(self, method: str, path: str, body: Any, *statuses: int) -> None:
        begun = time.monotonic()
        while self._once(method, path, body, *statuses) is None:
            time.sleep(PAUSE_SECONDS)
        self.slowest_seconds = max(self.slowest_seconds, time.monotonic() - begun)

    def _once(self, method: str, path: str, body: Any, *statuses: int) -> bytes | None:
        """The answer's body, or None when it is none of the statuses expected.

        Then it is counted what came instead.
        """
        place = urllib.parse.urlsplit(self._url())
        connection = http.client.HTTPConnection(
            place.hostname or "", place.port, timeout=TIMEOUT_SECONDS
        )
        data = None if body is None else orjson.dumps(body)
        try:
            connection.request(method, path, data, {"Content-Type": "application/json"})
            response = connection.getresponse()
            answer = response.read()
        except (OSError, http.client.HTTPException) as error:
            self.trouble[type(error).__name__] += 1
            return None
        finally:
            connection.close()
        if response.status not in statuses:
            assert response.status == 503, f"{method} {path}: {response.status} {answer[:500]!r}"
            self.trouble[str(response.status)] += 1
            return None
        return answer


def http_status(url: str) -> int:
    """Of an answer to GET; 0 is no answer."""
    try:
        with urllib.request.urlopen(url, timeout=30) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        return error.code
    except (OSError, http.client.HTTPException):
        return 0


def _alert(
    dice: random.Random,
    firing: dict[tuple[str, str], str],
    components: tuple[str, ...],
    number: int,
) -> dict[str, Any]:
    component = dice.choice(components)
    name, severity = dice.choice(NAMES)
    now = format_instant(time.time_ns() // 1_000_000)
    starts = firing.get((component, name))
    ends = {}
    if starts is None:
        starts = firing[component, name] = now
    elif dice.random() < 0.3:
        ends = {"endsAt": now}
        del firing[component, name]
    return {
        "labels": {"alertname": name, "severity": severity, "component": component},
        "annotations": {"number": str(number)},
        "startsAt": starts,
        **ends,
    }
