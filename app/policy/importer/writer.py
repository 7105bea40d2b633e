"""An imported policy as a policy file.

Beside each thing the line that it comes from, at the head what is missing.
"""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from app.policy.importer import notices
from app.policy.importer.notices import Finding
from app.policy.importer.parts import NO_TEXTS, Imported, Lines, Owner, Selector, Timing
from models.text.sanitize import inert

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
    lines = [*_head_lines(findings, name), "version: 1", "", *_severity_lines(policy), ""]
    lines += [
        "# What is broken? Incidents are grouped by the first of these labels that an alert has, and by each",
        "# label of `scope` (of several in brackets, the first that an alert has).",
        "components:",
    ]
    lines += [
        f"  labels: {_flow_style(policy.components.labels)}",
        f"  absent: {_flow_style(policy.components.absent)}",
        f"  exporters: {_flow_style(policy.components.exporters)}",
        f"  scope: {_flow_style(policy.components.scope)}",
        "",
    ]
    lines += [*_contact_lines(policy), "", *_ownership_lines(policy), ""]
    lines += [
        "# Not from Alertmanager: quiet for so long, an incident is closed and its end told.",
        "incidents:",
        "  close_after: 5m",
        "  retain_resolved: 1h",
        "",
    ]
    lines += [
        "# Not heard of for so long, an alert without an end has expired, or, from Alertmanager's webhook, is lost:",
        "# that is twice the longest repeat_interval.",
        "resolve_timeout:",
        *_by_key(policy.resolve_timeout),
        "",
    ]
    if policy.heartbeats:
        lines += [*_heartbeat_lines(policy), ""]
    if policy.inhibitions:
        lines += ["inhibit_rules:", *_inhibition_lines(policy), ""]
    lines += list(_notify_lines(policy))
    if policy.intervals:
        lines += ["", "time_intervals:", *_interval_lines(policy)]
    return "\n".join(lines) + "\n"


def _head_lines(findings: Sequence[Finding], name: str) -> list[str]:
    lines = [
        f"Made from {inert(name)} by `tocsin policy import`: `# 17` is line 17 of that file.",
        "What becomes of what, and why: docs/IMPORT.md. Chains of escalation, targets, reminders, follow-ups, dependencies:",
        "Alertmanager has none of these; docs/POLICY.md explains them, and policies/default.yaml shows them.",
    ]
    lines += (
        ["", *notices.finding_lines(findings)] if findings else ["", "Everything is carried over."]
    )
    return [f"# {line}".rstrip() for line in lines]


def _severity_lines(policy: Imported) -> Iterator[str]:
    yield "# How bad is it? P0 is the worst. Names without a line are usual ones that the file does not have."
    yield "severities:"
    yield f"  labels: {_flow_style(policy.severity_labels)}"
    yield "  names:"
    for name, (severity, lines) in policy.severities.items():
        yield f"    {_yaml_key(name)}: {severity}{_origin_comment(lines)}"
    yield "  unknown: P2"
    yield "  missing: P2"


def _contact_lines(policy: Imported) -> Iterator[str]:
    yield "contacts:"
    for key, contact in policy.contacts.items():
        yield f"  {key}:{_origin_comment((contact.line,))}"
        yield f"    name: {quote_yaml(contact.name)}"
        for way in ("email", "chat", "pager"):
            if way in contact.addresses:
                yield f"    {way}: {quote_yaml(contact.addresses[way])}{_origin_comment(contact.lines[way])}"
    yield ""
    yield "# Each has a chain of one: when nobody answers, Alertmanager calls nobody else. `climb` calls others."
    yield "teams:"
    for key, team in policy.teams.items():
        contact = policy.contacts[team.contact]
        parts = [f"name: {quote_yaml(contact.name)}"]
        parts += [
            f"{way}: {quote_yaml(contact.addresses[way])}"
            for way in ("email", "chat", "pager")
            if way in contact.addresses
        ]
        yield f"  {key}:{_origin_comment(team.lines)}"
        yield f"    contact: {{{', '.join(parts)}}}"
        yield f"    chain: [{team.contact}]"
        if team.hours:
            yield f"    hours: {team.hours}"


def _ownership_lines(policy: Imported) -> Iterator[str]:
    plain = [owner for owner in policy.owners if not owner.name]
    named = [owner for owner in policy.owners if owner.name]
    yield "# Whose is it? The first that fits decides, as the first route does."
    if plain:
        yield "ownership:"
        for owner in plain:
            yield f"  - {{match: {_selector_text(owner.selector)}, team: {owner.team}}}{_origin_comment(owner.lines)}"
    yield f"default_owner: {policy.default_owner}"
    if named:
        yield ""
        yield "# Routes that take a part of a component's alerts, notify several receivers, or wait otherwise:"
        yield "# their incidents are apart."
        yield "# Of these, too, the first that fits decides, and before `ownership`."
        yield "classes:"
        for owner in named:
            yield from _class_lines(owner)


def _class_lines(owner: Owner) -> Iterator[str]:
    yield f"  - name: {owner.name}{_origin_comment(owner.lines)}"
    yield "    prefix: INC"
    yield f"    match: {_selector_text(owner.selector)}"
    yield f"    owner: {owner.team}"
    if owner.also:
        yield f"    also_notify: [{', '.join(owner.also)}]"
    yield from _by_key(owner.waits, indent=4)


def _heartbeat_lines(policy: Imported) -> Iterator[str]:
    yield "# What always fires, to show that alerts arrive at all."
    yield "heartbeats:"
    for rule in policy.heartbeats:
        yield f"  - name: {rule.name}{_origin_comment(rule.lines)}"
        yield f"    match: {_selector_text(rule.selector)}"
        yield f"    missing: {format_duration(rule.missing_ms)}"
        yield "    severity: P0"
        yield f"    owner: {rule.owner}"


def _inhibition_lines(policy: Imported) -> Iterator[str]:
    for rule in policy.inhibitions:
        yield f"  - name: {rule.name}{_origin_comment((rule.line,))}"
        yield f"    source_matchers: {_flow_style(rule.source)}"
        yield f"    target_matchers: {_flow_style(rule.target)}"
        if rule.equal:
            yield f"    equal: {_flow_style(rule.equal)}"


def _notify_lines(policy: Imported) -> Iterator[str]:
    yield "notify:"
    yield "  # Everybody is told through what he has: a severity has the channels of those whom its alerts can reach."
    yield "  channels:"
    for severity, channels in policy.channels.items():
        yield f"    {severity}: [{', '.join(channels)}]"
    yield from _by_key(policy.waits)
    if any(team.hours for team in policy.teams.values()):
        yield "  hours: [P0, P1, P2, P3]"
    if policy.mutes:
        yield "  mute:"
        for mute in policy.mutes:
            yield f"    - name: {mute.name}{_origin_comment(mute.lines)}"
            if mute.selector:
                yield f"      match: {_selector_text(mute.selector)}"
            yield f"      during: [{', '.join(mute.during)}]"


def _by_key(times: dict[str, Timing], indent: int = 2) -> Iterator[str]:
    for key, timing in times.items():
        yield f"{' ' * indent}{key}: {format_duration(timing.ms)}{_origin_comment((timing.line,)) or '  # the default'}"


def _interval_lines(policy: Imported) -> Iterator[str]:
    for name, (line, spans) in policy.intervals.items():
        yield f"  {name}:{_origin_comment((line,))}"
        for span_line, span in spans:
            yield f"    - {_flow_style(span)}{_origin_comment((span_line,))}"


def format_duration(duration_ms: int) -> str:
    """A duration, exactly."""
    text, rest = "", duration_ms
    for unit, unit_ms in _UNITS_MS:
        number, rest = divmod(rest, unit_ms)
        text += f"{number}{unit}" if number else ""
    return text or "0"


def quote_yaml(text: str) -> str:
    """A YAML text in quotes that are read back as just this text."""
    if text.isprintable() and "'" not in text and ('"' in text or "\\" in text):
        return f"'{text}'"
    return f'"{"".join(_escape_character(sign) for sign in text)}"'


def _escape_character(sign: str) -> str:
    if sign in _SHORT:
        return _SHORT[sign]
    return sign if sign.isprintable() else f"\\U{ord(sign):08x}"


def _yaml_key(name: str) -> str:
    plain = (
        name.isascii() and name.isalnum() and name[:1].isalpha() and name.lower() not in NO_TEXTS
    )
    return name if plain else quote_yaml(name)


def _flow_style(value: Any) -> str:
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {_flow_style(item)}' for key, item in value.items())}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(_flow_style(item) for item in value)}]"
    return quote_yaml(value) if isinstance(value, str) else json.dumps(value)


def _selector_text(selector: Selector) -> str:
    return _flow_style(selector[0] if len(selector) == 1 else selector)


def _origin_comment(lines: Lines) -> str:
    shown = [str(line) for line in dict.fromkeys(lines) if line]
    return f"  # {', '.join(shown[:8])}{' ...' if len(shown) > 8 else ''}" if shown else ""
