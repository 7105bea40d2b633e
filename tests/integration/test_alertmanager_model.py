"""The model of Alertmanager that `bench/founding_rules.py` counts with, against a real one."""

import json
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

from app.policy.importer import reader
from bench.alertmanager_model import messages
from bench.founding_day import Firing
from deploy.kafka.secured import free_ports
from models.text.instant import format_instant
from tests.integration.servers import server

SECONDS = 44

# What fires, from when to when, in seconds; no change is near a second at which a group is looked
# at.
FIRINGS = [
    ({"alertname": "A", "team": "x", "host": "1"}, 0.0, 13.0),
    ({"alertname": "A", "team": "x", "host": "2"}, 5.0, 21.0),
    ({"alertname": "B", "team": "x"}, 0.0, 35.0),
    ({"alertname": "C", "team": "x", "severity": "critical"}, 0.0, 9.0),
    ({"alertname": "C", "team": "x", "severity": "warning"}, 0.0, 17.0),
    ({"alertname": "D", "team": "y"}, 1.0, 1.9),
    ({"alertname": "E", "team": "y"}, 1.0, 19.0),
]


def _configuration(url: str) -> str:
    return json.dumps(
        {
            "route": {
                "receiver": "all",
                "group_by": ["alertname", "severity"],
                "group_wait": "2s",
                "group_interval": "4s",
                "repeat_interval": "7s",  # exactly two intervals would be a matter of milliseconds
                "routes": [
                    {"receiver": "quiet", "match": {"team": "x"}, "continue": True},
                    {"receiver": "all", "match": {"team": "x"}, "group_by": ["team"]},
                ],
            },
            "receivers": [
                {"name": "all", "webhook_configs": [{"url": f"{url}/all", "send_resolved": True}]},
                {
                    "name": "quiet",
                    "webhook_configs": [{"url": f"{url}/quiet", "send_resolved": False}],
                },
            ],
            "inhibit_rules": [
                {
                    "source_match": {"severity": "critical"},
                    "target_match": {"severity": "warning"},
                    "equal": ["alertname"],
                }
            ],
        }
    )


@contextmanager
def _receiver() -> Iterator[tuple[str, Counter[tuple[str, bool]]]]:
    """A place for webhooks, and how many came: by receiver, and whether anything fired."""
    came: Counter[tuple[str, bool]] = Counter()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            came[self.path.strip("/"), body["status"] == "firing"] += 1
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    place = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=place.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{place.server_port}", came
    place.shutdown()
    place.server_close()


def _post(url: str, labels: dict[str, str], starts: float, ends: float) -> None:
    alert = {"labels": labels, "startsAt": _instant(starts), "endsAt": _instant(ends)}
    request = urllib.request.Request(
        f"{url}/api/v2/alerts", json.dumps([alert]).encode(), {"Content-Type": "application/json"}
    )
    urllib.request.urlopen(request, timeout=10).close()


def _instant(at: float) -> str:
    return format_instant(int(at * 1000))


def test_as_many_messages_as_a_real_one(tmp_path: Path) -> None:
    """Of a minute of alerts that begin, join, are inhibited, repeat and end, a real Alertmanager sends as many messages."""
    port = free_ports(1)[0]
    address = f"http://127.0.0.1:{port}"
    path = tmp_path / "alertmanager.yml"
    command = [
        "prometheus-alertmanager",
        f"--config.file={path}",
        f"--storage.path={tmp_path}/data",
    ]
    command += [f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address="]
    with _receiver() as (url, came):
        path.write_text(_configuration(url))
        with server(tmp_path, command, f"{address}/-/ready"):
            begin = time.time()
            for labels, starts, ends in sorted(FIRINGS, key=lambda one: one[1]):
                time.sleep(max(begin + starts - time.time(), 0))
                _post(address, labels, begin + starts, begin + ends)
            time.sleep(begin + SECONDS - time.time())
            found = dict(came)

    firings = [
        Firing(labels, int(starts * 1000), int(ends * 1000)) for labels, starts, ends in FIRINGS
    ]
    model = messages(reader.read_configuration(path), firings)
    assert Counter((one.receiver, one.firing > 0) for one in model) == found
