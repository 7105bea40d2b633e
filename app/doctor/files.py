"""The packages, the policy and the receivers of an installation."""

import re
import sys
from collections.abc import Callable, Iterable
from importlib import metadata

from app.doctor.finding import Finding, Level
from app.files import policy_file
from app.files.yaml_file import BadFile
from app.notifier.channels.registry import REGISTRY
from app.notifier.setup.receivers_file import missing_secrets, read
from app.policy.lint import lint_policy
from app.settings import Settings
from models.text.plural import plural

_PINNED = re.compile(r"([\w.-]+)==([\w.]+)$")
_PYTHONS = ((3, 11), (3, 13))  # the oldest and the newest that pyproject.toml allows


def check_versions(
    requirements: Iterable[str] | None = None,
    version_of: Callable[[str], str] = metadata.version,
) -> list[Finding]:
    """Python, and the packages of which we override private parts: each in the version that was tested."""
    known = metadata.requires("tocsin") if requirements is None else requirements
    pinned = [match.groups() for text in known or () if (match := _PINNED.match(text))]
    findings = []
    for name, expected in pinned:
        try:
            version = version_of(name)
        except metadata.PackageNotFoundError:
            version = "missing"
        if version != expected:
            text = f"{name} is {version}, must be {expected}"
            findings.append(
                Finding("versions", Level.WRONG, text, f"pip install {name}=={expected}")
            )
    here = sys.version_info[:2]
    if not _PYTHONS[0] <= here <= _PYTHONS[1]:
        text = f"Python is {here[0]}.{here[1]}, must be 3.11 to 3.13"
        findings.append(Finding("versions", Level.WRONG, text, "install one of these"))
    good = f"Tocsin {metadata.version('tocsin')} on Python {here[0]}.{here[1]}"
    return findings or [Finding("versions", Level.GOOD, good)]


def check_policy(config: Settings) -> list[Finding]:
    """Whether the policy can be read, and what in it is doubtful."""
    try:
        policy = policy_file.read_policy_file(config.policy_file)
    except BadFile as error:
        text = f"{plural(len(error.problems), 'mistake')}: {error.problems[0]}"
        return [Finding("policy", Level.WRONG, text, f"tocsin policy check {config.policy_file}")]
    text = f"{policy.path}: fingerprint {policy.rules.fingerprint}"
    doubts = lint_policy(policy.rules.policy)
    if doubts:
        more = f"{text}; {plural(len(doubts), 'doubt')}, the first: {doubts[0][1]}"
        remedy = f"tocsin policy check {config.policy_file}".rstrip()
        return [Finding("policy", Level.DOUBTFUL, more, remedy)]
    return [Finding("policy", Level.GOOD, text)]


def check_receivers(config: Settings) -> list[Finding]:
    """Whether messages can be delivered, as far as the file tells. Nothing is sent."""
    if not config.receivers_file:
        text = "TOCSIN_RECEIVERS is not set: messages are printed, and reach nobody"
        return [Finding("receivers", Level.DOUBTFUL, text, "read docs/NOTIFIER.md")]
    try:
        receivers = read(config.receivers_file, REGISTRY)
    except BadFile as error:
        text = f"{plural(len(error.problems), 'mistake')}: {error.problems[0]}"
        remedy = f"tocsin notify check {config.receivers_file}"
        return [Finding("receivers", Level.WRONG, text, remedy)]
    missing = missing_secrets(receivers)
    if missing:
        text = f"{plural(len(missing), 'secret')} cannot be read: {missing[0]}"
        remedy = "put it where the receivers file says"
        return [Finding("receivers", Level.WRONG, text, remedy)]
    numbers = (
        f"{plural(len(receivers.receivers), 'receiver')},"
        f" {plural(len(receivers.part.contacts), 'contact')}"
    )
    return [Finding("receivers", Level.GOOD, f"{receivers.path}: {numbers}")]
