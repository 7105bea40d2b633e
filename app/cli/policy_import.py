"""`tocsin policy import`.

An Alertmanager configuration becomes a policy file, and what is not carried over is told.
"""

import argparse
import json
import sys
from pathlib import Path

from pydantic import ValidationError

from app.core.rules.compiled_policy import CompiledPolicy
from app.files import bounded_yaml
from app.files.yaml_file import MAX_BYTES, BadFile, Mistake
from app.policy.importer import notices, reader, translation, writer
from app.policy.importer.notices import Finding, Findings


def add_arguments(parser: argparse.ArgumentParser, _name: str) -> None:
    """Add the command's arguments."""
    parser.set_defaults(run=_run_import)
    parser.add_argument("file", help="alertmanager.yml, or a Kubernetes Secret that it is in")
    parser.add_argument(
        "--output", metavar="FILE", help="write the policy there; it is printed otherwise"
    )
    parser.add_argument("--force", action="store_true", help="write over a file that is there")
    parser.add_argument(
        "--json",
        action="store_true",
        help="print one JSON object: policy, output, findings, fingerprint",
    )


def _run_import(arguments: argparse.Namespace) -> int:
    source, output = Path(arguments.file), Path(arguments.output) if arguments.output else None
    if output is not None and not arguments.force and output.exists():
        raise _unwritable(output, "is there already; --force writes over it")
    text, findings, fingerprint = import_policy(source)
    if output is not None:
        _write_policy(output, text, force=arguments.force)
    if arguments.json:
        document = {
            "policy": None if output else text,
            "output": str(output) if output else None,
            "fingerprint": fingerprint,
            "findings": [finding.document() for finding in findings],
        }
        print(json.dumps(document))
        return 0
    if output is None:
        print(text, end="")
    for line in notices.finding_lines(findings):
        print(line, file=sys.stderr)
    then = f"tocsin policy check {output}" if output else "keep it with --output FILE"
    print(
        f"{source}: imported, with {len(findings)} things to look at. Next: {then}", file=sys.stderr
    )
    return 0


def import_policy(source: Path) -> tuple[str, list[Finding], str]:
    """The policy file's text, what is not as it was, and the policy's fingerprint.

    Raises BadFile.
    """
    configuration = reader.read_configuration(source)
    findings = Findings()
    policy = translation.policy_of(configuration, findings)
    text = writer.text_of(policy, findings.all(), configuration.name)
    return text, findings.all(), _compile_imported(source, text).fingerprint


def _compile_imported(source: Path, text: str) -> CompiledPolicy:
    """The policy that the text is.

    Raises BadFile, where its parts are more than a policy may have.
    """
    size = len(text.encode())
    if size > MAX_BYTES:
        raise _unwritable(
            source, f"makes a policy of {size} bytes, and one has at most {MAX_BYTES}"
        )
    try:
        return CompiledPolicy(bounded_yaml.read_document(text).data)
    except bounded_yaml.YamlRefused as refusal:
        raise _unwritable(source, f"makes a policy that {refusal.problem}") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise _unwritable(
            source, f"makes a policy that is not good: {where}: {first['msg']}"
        ) from None


def _unwritable(path: Path, problem: str) -> BadFile:
    return BadFile([Mistake(str(path), 0, 0, "", problem)])


def _write_policy(output: Path, text: str, *, force: bool) -> None:
    try:
        with output.open("w" if force else "x") as file:
            file.write(text)
    except FileExistsError:
        raise _unwritable(output, "is there already; --force writes over it") from None
