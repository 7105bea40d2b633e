"""`tocsin policy check`.

Every mistake of a policy file, and what it says and probably does not mean.
"""

import argparse
import json
import sys
from typing import Any

from app.files import policy_file, yaml_file
from app.files.policy_file import BadPolicy, PolicyFile
from app.files.yaml_file import Mistake
from app.policy.lint import lint_policy
from models.text.plural import plural
from models.text.sanitize import inert, inert_lines


def add_arguments(parser: argparse.ArgumentParser, _name: str) -> None:
    """Add the command's arguments."""
    parser.set_defaults(run=_run_check)
    parser.add_argument(
        "file", nargs="?", default="", help="the policy that ships with Tocsin, if none is given"
    )
    parser.add_argument(
        "--strict", action="store_true", help="status 1 also for what is only doubtful"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object")


def _run_check(arguments: argparse.Namespace) -> int:
    try:
        file = policy_file.read_policy_file(arguments.file)
    except BadPolicy as error:
        if not arguments.json:
            raise
        _print_json(arguments.file, "", [item.as_json() for item in error.mistakes], [])
        return 1
    doubtful = lint_warnings(file)
    bad = bool(doubtful) and arguments.strict
    if arguments.json:
        _print_json(
            str(file.path), file.rules.fingerprint, [], [item.as_json() for item in doubtful]
        )
        return int(bad)
    for mistake in doubtful:
        print(inert_lines(str(mistake)), file=sys.stderr if bad else sys.stdout)
    if not bad:
        print(inert(_summary_line(file, len(doubtful))))
    return int(bad)


def lint_warnings(file: PolicyFile) -> list[Mistake]:
    """What is doubtful in a policy, in the order of the file."""
    warnings = [
        yaml_file.mistake_at(file.path, file.document, where, f"warning: {text}")
        for where, text in lint_policy(file.rules.policy)
    ]
    return sorted(warnings, key=lambda mistake: (mistake.line, mistake.column))


def _summary_line(file: PolicyFile, doubtful: int) -> str:
    policy = file.rules.policy
    sizes = {
        "team": policy.teams,
        "escalation": policy.escalations,
        "correlation": policy.correlations,
        "runbook": policy.runbooks,
    }
    counts = [plural(len(entries), noun) for noun, entries in sizes.items()]
    if doubtful:
        counts.append(plural(doubtful, "warning"))
    return f"{file.path}: good (fingerprint {file.rules.fingerprint}): {', '.join(counts)}"


def _print_json(
    file: str, fingerprint: str, errors: list[dict[str, Any]], warnings: list[dict[str, Any]]
) -> None:
    document = {
        "file": file,
        "good": not errors,
        "fingerprint": fingerprint,
        "errors": errors,
        "warnings": warnings,
    }
    print(json.dumps(document))
