"""`tocsin doctor`: what is wrong with this installation, and what to do about it."""

import argparse
import asyncio
import json

from app import settings
from app.cli.arguments import add_json
from app.cli.bridge_client import BridgeRefusal, NoAnswer, exchange_json
from app.doctor.files import check_policy, check_receivers, check_versions
from app.doctor.finding import Finding, Level, is_wrong
from app.doctor.journal import check_journal
from app.doctor.service import check_service
from app.settings import BadSettings
from models.text.sanitize import inert

_SIGNS = {Level.GOOD: "good    ", Level.DOUBTFUL: "doubtful", Level.WRONG: "WRONG   "}


def add_arguments(parser: argparse.ArgumentParser, _name: str) -> None:
    """Add the command's arguments."""
    parser.set_defaults(run=_run)
    add_json(parser, "one JSON object")


def _run(arguments: argparse.Namespace) -> int:
    findings = _findings()
    wrong = is_wrong(findings)
    if arguments.json:
        print(json.dumps({"good": not wrong, "findings": [item.document() for item in findings]}))
        return int(wrong)
    for finding in findings:
        print(inert(f"{_SIGNS[finding.level]}  {finding.subject}: {finding.text}"))
        if finding.remedy:
            print(inert(f"          do: {finding.remedy}"))
    return int(wrong)


def _findings() -> list[Finding]:
    findings = check_versions()
    try:
        config = settings.from_environment()
        settings.check_reach(config)
        answer = _health()
    except BadSettings as error:
        return [*findings, Finding("settings", Level.WRONG, str(error), "read docs/SETTINGS.md")]
    findings += [*check_policy(config), *check_receivers(config)]
    try:
        findings += asyncio.run(check_journal(config))
    except BadSettings as error:  # the files of a connection are read when it is made
        findings.append(Finding("settings", Level.WRONG, str(error), "read docs/SETTINGS.md"))
    return findings + check_service(answer)


def _health() -> object:
    try:
        answer = exchange_json("GET", "/api/v1/health", None)
    except NoAnswer as error:
        return str(error)
    if isinstance(answer, BridgeRefusal):
        return answer.document if answer.status == 503 else answer.text
    return answer
