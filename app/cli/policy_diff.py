"""`tocsin policy diff`.

What a new policy decides otherwise, and which alerts it judges otherwise.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from app.cli.policy_test import SUFFIXES, read_scenarios
from app.files import policy_file
from app.files.yaml_file import BadFile
from app.policy.labels import read_lines
from app.policy.semantic_diff import changed_decisions, policy_changes
from models.alert import Labels
from models.text.sanitize import inert, inert_lines

SHOWN_MAX = 100  # alerts that are named
EXIT_TROUBLE = 2


def add_arguments(parser: argparse.ArgumentParser, _name: str) -> None:
    """Add the command's arguments."""
    parser.set_defaults(run=_run_diff)
    parser.add_argument("old", metavar="OLD")
    parser.add_argument("new", metavar="NEW")
    parser.add_argument(
        "--alerts",
        metavar="FILE",
        help="JSON lines of alerts or label sets, or a file of policy tests",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object")


def _run_diff(arguments: argparse.Namespace) -> int:
    try:
        old, new = policy_file.load_policy(arguments.old), policy_file.load_policy(arguments.new)
        alerts = _read_alerts(arguments.alerts) if arguments.alerts else None
    except BadFile as error:
        print(f"tocsin: {inert_lines(str(error))}", file=sys.stderr)
        return EXIT_TROUBLE
    changes = policy_changes(old, new)
    number, others = changed_decisions(old, new, alerts or [])
    if arguments.json:
        document: dict[str, Any] = {
            "old": old.fingerprint,
            "new": new.fingerprint,
            "changes": [item.as_json() for item in changes],
        }
        more = (
            {}
            if alerts is None
            else {"alerts": number, "alerts_changed": [decision.as_json() for decision in others]}
        )
        print(json.dumps(document | more))
        return int(bool(changes))
    for change in changes:
        print(inert(str(change)))
    if not changes:
        files = "" if old.fingerprint == new.fingerprint else ", though the files differ"
        print(f"the same{files} (fingerprints {old.fingerprint}, {new.fingerprint})")
    if alerts is not None:
        print(f"{len(others)} of {number} alerts are judged otherwise{':' if others else ''}")
        for other in others[:SHOWN_MAX]:
            print(inert(f"  {other}"))
        if len(others) > SHOWN_MAX:
            print(f"  and {len(others) - SHOWN_MAX} more (--json has all)")
    return int(bool(changes))


def _read_alerts(file: str) -> Sequence[Labels]:
    if not file.endswith(SUFFIXES):
        return read_lines(file)
    tests = read_scenarios(Path(file))[1].tests
    return [labels for test in tests for step in test.do for labels in step.fire or ()]
