"""`tocsin compare-alertmanager URL`: whom an Alertmanager and Tocsin notify of the alerts that fire now."""

import argparse
import http.client
import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from typing import Any

from app import settings
from app.cli.bridge_client import ask_bridge
from app.files import policy_file
from app.policy.side_by_side import SideBySide, compare_sides
from models.errors import TocsinError
from models.text.plural import plural
from models.text.sanitize import inert
from models.text.truncate import truncate

ALERTS = "/api/v2/alerts"
ANSWER_BYTES_MAX = 256 * 1024 * 1024
SECONDS = 30
SHOWN = 5  # alerts of a difference
LABELS_CHARACTERS = 200


class NoAlertmanager(TocsinError):
    """What was asked is no Alertmanager, or does not answer; the message says which."""


def add_arguments(parser: argparse.ArgumentParser, _name: str) -> None:
    """Add the command's arguments."""
    parser.set_defaults(run=_run_comparison)
    parser.add_argument("url", metavar="URL", help="of the Alertmanager, http://localhost:9093")
    parser.add_argument(
        "--policy", metavar="FILE", help="Tocsin's policy; the one of TOCSIN_POLICY otherwise"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def _run_comparison(arguments: argparse.Namespace) -> int:
    policy = policy_file.load_policy(
        arguments.policy or settings.from_environment().policy_file or ""
    )
    theirs = _alerts_of(arguments.url.rstrip("/"))
    ours = ask_bridge("GET", ALERTS, None)
    if ours is None:
        return 2
    compared = compare_sides(theirs, ours, policy)
    if arguments.json:
        print(json.dumps(_document_of(compared)))
    else:
        for line in _comparison_lines(compared, arguments.url):
            print(inert(line))
    return 1 if compared.differences else 0


def _alerts_of(url: str) -> list[dict[str, Any]]:
    """The alerts that an Alertmanager has. Raises NoAlertmanager."""
    if urllib.parse.urlsplit(url).scheme not in ("http", "https"):
        raise NoAlertmanager(f"{url} must be a URL such as http://localhost:9093")
    try:
        with urllib.request.urlopen(f"{url}{ALERTS}", timeout=SECONDS) as answer:  # noqa: S310  checked
            alerts = json.loads(answer.read(ANSWER_BYTES_MAX))
    except urllib.error.HTTPError as error:
        raise NoAlertmanager(f"{url}{ALERTS} answered {error.code} {error.reason}") from None
    except (OSError, http.client.HTTPException) as error:
        raise NoAlertmanager(
            f"no Alertmanager at {url}: {getattr(error, 'reason', error)}"
        ) from None
    except ValueError:
        raise NoAlertmanager(f"{url}{ALERTS} answered with something that is not JSON") from None
    if not isinstance(alerts, list) or not all(_is_alert(alert) for alert in alerts):
        raise NoAlertmanager(f"{url}{ALERTS} answered, and not as an Alertmanager does")
    return alerts


def _is_alert(alert: Any) -> bool:
    return isinstance(alert, dict) and {"fingerprint", "labels", "receivers", "status"} <= set(
        alert
    )


def _comparison_lines(compared: SideBySide, url: str) -> list[str]:
    lines = [
        f"Alertmanager at {url}: {plural(compared.alertmanager, 'alert')}. Tocsin: {compared.tocsin}.",
        f"Of {plural(compared.same, 'alert')} both notify the same receivers, or neither notifies anybody.",
    ]
    if compared.heartbeats:
        text = plural(compared.heartbeats, "heartbeat")
        lines.append(f"Of {text} Tocsin notifies nobody while they are received.")
    for difference in compared.differences:
        lines += [
            "",
            f"{plural(len(difference.alerts), 'alert')}:",
            f"  Alertmanager notifies {difference.alertmanager}",
            f"  Tocsin       notifies {difference.tocsin}",
            *(f"    {_labels_text(labels)}" for labels in difference.alerts[:SHOWN]),
        ]
        more = len(difference.alerts) - SHOWN
        lines += [f"    and {more} more (--json has all)"] if more > 0 else []
    return lines


def _labels_text(labels: Mapping[str, str]) -> str:
    pairs = ", ".join(f"{name}={json.dumps(value)}" for name, value in sorted(labels.items()))
    return truncate(f"{{{pairs}}}", LABELS_CHARACTERS)


def _document_of(compared: SideBySide) -> dict[str, Any]:
    return {
        "alertmanager": compared.alertmanager,
        "tocsin": compared.tocsin,
        "same": compared.same,
        "heartbeats": compared.heartbeats,
        "differences": [
            {
                side: {
                    "receivers": list(getattr(difference, side).receivers),
                    "why": getattr(difference, side).why,
                }
                for side in ("alertmanager", "tocsin")
            }
            | {"alerts": [dict(labels) for labels in difference.alerts]}
            for difference in compared.differences
        ],
    }
