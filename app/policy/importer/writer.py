"""An imported policy as a policy file.

Beside each thing the line that it comes from, at the head what is missing.
"""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from app.policy.importer import notices
from app.policy.importer.notices import Finding
from app.policy.importer.parts import NO_TEXTS, Imported, Lines, Owner, Selector, Timing
from models.sanitize import inert
from models.severity import Severity

_UNITS_MS = (
    ("w", 604_800_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1000),
    ("ms", 1),
)
_SHORT = {"\n": r"\n", "\t": r"\t", '"': r"\"", "\\": r"\\"}


def text_of(policy: Imported, findings: Sequence[Finding], name: str) -> str:
    """The policy file. `name` is the Alertmanager file's."""
    lines = [*_head(findings, name), "version: 1", "", *_severities(policy), ""]
    lines += [
        "# What is broken? Incidents are grouped by the first of these labels that an alert has.",
        "components:",
    ]
    lines += [
        f"  labels: {_flow(policy.component_labels)}",
        f"  absent: {_flow(policy.component_absent)}",
        f"  exporters: {_flow(policy.component_exporters)}",
        f"  scope: {_flow(policy.component_scope)}",
        "",
    ]
    lines += [*_people(policy), "", *_ownership(policy), ""]
    lines += [
        "# Not from Alertmanager: quiet for so long, an incident is closed and its end told.",
        "incidents:",
        "  settle: 5m",
        "  forget: 1h",
        "",
    ]
    lines += [
        "# Not heard of for so long, an alert without an end has expired, or, from Alertmanager's webhook, is lost:",
        "# that is twice the longest repeat_interval.",
        "resolve_timeout:",
        *_by_key(policy.resolve_timeout),
        "",
    ]
    if policy.inhibitions:
        lines += ["inhibit_rules:", *_inhibitions(policy), ""]
    lines += list(_notify(policy))
    if policy.intervals:
        lines += ["", "time_intervals:", *_intervals(policy)]
    return "\n".join(lines) + "\n"


def _head(findings: Sequence[Finding], name: str) -> list[str]:
    said = [
        f"Made from {inert(name)} by `tocsin policy import`: `# 17` is line 17 of that file.",
        "What becomes of what, and why: docs/IMPORT.md. Chains of escalation, targets, reminders, follow-ups, dependencies:",
        "Alertmanager has none of these; docs/POLICY.md explains them, and policies/default.yaml shows them.",
    ]
    said += ["", *notices.told(findings)] if findings else ["", "Everything is carried over."]
    return [f"# {line}".rstrip() for line in said]


def _severities(policy: Imported) -> Iterator[str]:
    yield "# How bad is it? P0 is the worst. Names without a line are usual ones that the file does not have."
    yield "severities:"
    yield f"  labels: {_flow(policy.severity_labels)}"
    yield "  names:"
    for name, (severity, lines) in policy.severities.items():
        yield f"    {_key(name)}: {severity}{_from(lines)}"
    yield "  unknown: P2"
    yield "  missing: P2"


def _people(policy: Imported) -> Iterator[str]:
    yield "contacts:"
    for key, contact in policy.contacts.items():
        yield f"  {key}:{_from((contact.line,))}"
        yield f"    name: {quoted(contact.name)}"
        for way in ("email", "chat", "pager"):
            if way in contact.addresses:
                yield f"    {way}: {quoted(contact.addresses[way])}{_from(contact.lines[way])}"
    yield ""
    yield "# Each has a chain of one: when nobody answers, Alertmanager calls nobody else. `climb` calls others."
    yield "teams:"
    for key, team in policy.teams.items():
        contact = policy.contacts[team.contact]
        parts = [f"name: {quoted(contact.name)}"]
        parts += [
            f"{way}: {quoted(contact.addresses[way])}"
            for way in ("email", "chat", "pager")
            if way in contact.addresses
        ]
        yield f"  {key}:{_from(team.lines)}"
        yield f"    contact: {{{', '.join(parts)}}}"
        yield f"    chain: [{team.contact}]"
        if team.hours:
            yield f"    hours: {team.hours}"


def _ownership(policy: Imported) -> Iterator[str]:
    plain = [owner for owner in policy.owners if not owner.name]
    named = [owner for owner in policy.owners if owner.name]
    yield "# Whose is it? The first that fits decides, as the first route does."
    if plain:
        yield "ownership:"
        for owner in plain:
            yield f"  - {{match: {_selector(owner.selector)}, team: {owner.team}}}{_from(owner.lines)}"
    yield f"default_owner: {policy.default_owner}"
    if named:
        yield ""
        yield "# Routes that take a part of a component's alerts, or tell several receivers: their incidents are apart."
        yield "# Of these, too, the first that fits decides, and before `ownership`."
        yield "classes:"
        for owner in named:
            yield from _class(owner)


def _class(owner: Owner) -> Iterator[str]:
    yield f"  - name: {owner.name}{_from(owner.lines)}"
    yield "    prefix: INC"
    yield f"    match: {_selector(owner.selector)}"
    yield f"    owner: {owner.team}"
    if owner.also:
        yield f"    also_tell: [{', '.join(owner.also)}]"


def _inhibitions(policy: Imported) -> Iterator[str]:
    for rule in policy.inhibitions:
        yield f"  - name: {rule.name}{_from((rule.line,))}"
        yield f"    source_matchers: {_flow(rule.source)}"
        yield f"    target_matchers: {_flow(rule.target)}"
        if rule.equal:
            yield f"    equal: {_flow(rule.equal)}"


def _notify(policy: Imported) -> Iterator[str]:
    yield "notify:"
    yield "  # Everybody is told through what he has: a severity has the channels of those whom its alerts can reach."
    yield "  channels:"
    for severity, channels in policy.channels.items():
        yield f"    {severity}: [{', '.join(channels)}]"
    yield from _by_severity("group_wait", policy.group_wait)
    interval = policy.group_interval
    yield f"  group_interval: {duration(interval.ms)}{_from((interval.line,)) or '  # the default'}"
    yield from _by_severity("repeat_interval", policy.repeat_interval)
    if any(team.hours for team in policy.teams.values()):
        yield "  hours: [P0, P1, P2, P3]"
    if policy.mutes:
        yield "  mute:"
        for mute in policy.mutes:
            yield f"    - name: {mute.name}{_from(mute.lines)}"
            if mute.selector:
                yield f"      match: {_selector(mute.selector)}"
            yield f"      during: [{', '.join(mute.during)}]"


def _by_severity(key: str, times: dict[Severity, Timing]) -> Iterator[str]:
    yield f"  {key}:"
    for severity, timing in times.items():
        yield f"    {severity}: {duration(timing.ms)}{_from((timing.line,)) or '  # the default'}"


def _by_key(times: dict[str, Timing]) -> Iterator[str]:
    for key, timing in times.items():
        yield f"  {key}: {duration(timing.ms)}{_from((timing.line,)) or '  # the default'}"


def _intervals(policy: Imported) -> Iterator[str]:
    for name, (line, spans) in policy.intervals.items():
        yield f"  {name}:{_from((line,))}"
        for span_line, span in spans:
            yield f"    - {_flow(span)}{_from((span_line,))}"


def duration(duration_ms: int) -> str:
    """A duration, exactly."""
    said, rest = "", duration_ms
    for unit, unit_ms in _UNITS_MS:
        number, rest = divmod(rest, unit_ms)
        said += f"{number}{unit}" if number else ""
    return said or "0"


def quoted(text: str) -> str:
    """A YAML text in quotes that are read back as just this text."""
    if text.isprintable() and "'" not in text and ('"' in text or "\\" in text):
        return f"'{text}'"
    return f'"{"".join(_escaped(sign) for sign in text)}"'


def _escaped(sign: str) -> str:
    if sign in _SHORT:
        return _SHORT[sign]
    return sign if sign.isprintable() else f"\\U{ord(sign):08x}"


def _key(name: str) -> str:
    plain = (
        name.isascii() and name.isalnum() and name[:1].isalpha() and name.lower() not in NO_TEXTS
    )
    return name if plain else quoted(name)


def _flow(value: Any) -> str:
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {_flow(one)}' for key, one in value.items())}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(_flow(one) for one in value)}]"
    return quoted(value) if isinstance(value, str) else json.dumps(value)


def _selector(selector: Selector) -> str:
    return _flow(selector[0] if len(selector) == 1 else selector)


def _from(lines: Lines) -> str:
    shown = [str(line) for line in dict.fromkeys(lines) if line]
    return f"  # {', '.join(shown[:8])}{' ...' if len(shown) > 8 else ''}" if shown else ""
