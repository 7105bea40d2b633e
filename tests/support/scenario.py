"""Scenarios: what happens on virtual time, as text that an operator can read; fed in three ways that have to agree.

A scenario file has the records above a line of dashes and the expected effects below it. Records:

    TIME fire LABEL=VALUE ...      an alert fires (or is repeated)      TIME end LABEL=VALUE ...   it ends
    TIME also fire|end LABEL=VALUE ...  an alert of the same request as the one above
    TIME tick                      time passes                         TIME COMMAND INCIDENT WHO [TEXT] [DETAIL=VALUE ...]
    TIME silence ID [BEGIN+]DURATION WHO MATCHER ...                   TIME mute ... as silence; acknowledges nothing
    TIME receipt NOTIFICATION INCIDENT STATE DETAIL
    TIME policy JSON               the shipped policy with this in it takes over

Values with spaces are quoted as for a shell; `summary=`, `runbook_url=`, `ttl=` (default 24h) and
`until_resolved=yes` are not labels.
"""

import json
import re
import shlex
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import orjson

from app.core.engine import Engine
from app.core.rules.compiled_policy import CompiledPolicy
from app.history.checkpoints import apply_changes
from app.policy.simulator import Stage
from app.terminal.effect_text import effect_text
from app.transport.log import StoredRecord
from models.alert import Alert, fingerprint
from models.command import Command
from models.effect import Effect, Position, Stream
from models.journal import (
    TICK,
    alerts_in,
    encode_alert,
    encode_alerts,
    encode_command,
    encode_policy,
    encode_receipt,
    encode_silence,
)
from models.matcher import parse_matcher
from models.silence import Silence
from models.text.duration import format_ms, parse_ms
from models.text.instant import milliseconds

_DETAIL = re.compile("(to|team|verdict|scope|eta|step|number|task)=")

START_MS = 1_750_000_000_000  # 2025-06-15T15:06:40Z, a Sunday afternoon

Feeding = Callable[[CompiledPolicy, Sequence[StoredRecord]], list[Effect]]


def one_by_one(policy: CompiledPolicy, records: Sequence[StoredRecord]) -> list[Effect]:
    """Each record in a batch of its own."""
    engine = Engine(0, policy)
    return [effect for record in records for effect in engine.apply([record])]


def in_one_batch(policy: CompiledPolicy, records: Sequence[StoredRecord]) -> list[Effect]:
    """All records at once."""
    return list(Engine(0, policy).apply(records))


def across_restarts(policy: CompiledPolicy, records: Sequence[StoredRecord]) -> list[Effect]:
    """The engine is thrown away after each record, and restored from its changelog."""
    items: dict[bytes, bytes] = {}
    effects: list[Effect] = []
    for record in records:
        engine = Engine.restore(0, policy, items)
        effects += engine.apply([record])
        keep(items, engine)
    return effects


FEEDINGS: tuple[Feeding, ...] = (one_by_one, in_one_batch, across_restarts)


def keep(items: dict[bytes, bytes], engine: Engine) -> None:
    """Apply the engine's checkpoint to the changelog's items."""
    apply_changes(items, engine.checkpoint())


def assert_cuts_change_nothing(
    policy: CompiledPolicy, journal: Sequence[StoredRecord], cuts: Sequence[int]
) -> None:
    """Wherever the journal is cut and the engine restored, effects and state are the same bytes."""
    items: dict[bytes, bytes] = {}
    effects: list[Effect] = []
    place = 0
    for cut in [*cuts, len(journal)]:
        engine = Engine.restore(0, policy, items)
        effects += engine.apply(journal[place : place + cut])
        keep(items, engine)
        place += cut
    undisturbed, whole = Engine(0, policy), dict[bytes, bytes]()
    undisturbed.apply(journal)
    keep(whole, undisturbed)

    assert effects == one_by_one(policy, journal)
    assert items == whole
    assert in_order(effects)


def play(
    policy: CompiledPolicy, records: Sequence[StoredRecord], feeding: Feeding
) -> tuple[list[StoredRecord], list[Effect]]:
    """Feed the records, and after them the signals that they caused, as the journal would bring them back."""
    stage = Stage(policy)
    for record in records:
        stage.append(record)
    return stage.journal, feeding(policy, stage.journal)


def alert_record(
    at_ms: int, labels: dict[str, str], component: str, *, firing: bool = True, **more: object
) -> StoredRecord:
    """The journal record of an alert."""
    summary, ttl_ms = str(more.get("summary", "")), int(str(more.get("ttl_ms", parse_ms("24h"))))
    annotations = {"summary": summary} if summary else {}
    if more.get("runbook_url"):
        annotations["runbook_url"] = str(more["runbook_url"])
    ends_ms = 0 if firing else at_ms
    alert = Alert(
        fingerprint(labels),
        labels,
        annotations,
        firing,
        START_MS,
        ends_ms,
        ttl_ms if firing else 0,
        until_resolved=firing and bool(more.get("until_resolved")),
    )
    return StoredRecord(-1, at_ms, component.encode(), encode_alert(alert))


def read(path: Path, policy: CompiledPolicy) -> tuple[list[StoredRecord], str]:
    """The records and the expected text of a scenario file."""
    above, expected = path.read_text().split("\n---\n")
    return records_of(above, policy), expected


def records_of(text: str, policy: CompiledPolicy) -> list[StoredRecord]:
    """The records of a scenario's lines."""
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    records: list[StoredRecord] = []
    for line in lines:
        time, _, words = line.partition(" ")
        if words.split()[0] == "also":
            alert = _record(f"{time} {words.split(maxsplit=1)[1]}", policy)
            records[-1] = _together(records[-1], alert)
        else:
            records.append(_record(line, policy))
    return records


def _together(before: StoredRecord, alert: StoredRecord) -> StoredRecord:
    """The record of one more alert in a request."""
    assert (before.key, before.timestamp) == (alert.key, alert.timestamp)
    value = before.value or b""
    together = encode_alerts([*alerts_in(value), alert.value or b""])
    return StoredRecord(-1, alert.timestamp, alert.key, together)


def _record(line: str, policy: CompiledPolicy) -> StoredRecord:
    time, verb, *words = shlex.split(line)
    at_ms = START_MS + parse_ms(time)
    if verb == "tick":
        return StoredRecord(-1, at_ms, None, TICK)
    if verb in ("fire", "end"):
        labels = dict(word.split("=", 1) for word in words)
        summary, ttl = labels.pop("summary", ""), labels.pop("ttl", "24h")
        runbook_url = labels.pop("runbook_url", "")
        until_resolved = labels.pop("until_resolved", "") == "yes"
        component = policy.place(labels, fingerprint(labels)).key
        more = {"summary": summary, "ttl_ms": parse_ms(ttl), "until_resolved": until_resolved}
        more["runbook_url"] = runbook_url
        return alert_record(at_ms, labels, component, firing=verb == "fire", **more)
    if verb == "policy":
        changed = CompiledPolicy(_merged(policy.document, json.loads(line.split(maxsplit=2)[2])))
        return StoredRecord(-1, at_ms, None, encode_policy(changed.fingerprint, changed.document))
    if verb in ("silence", "mute"):
        name, lasts, who, *matchers = words
        tests = tuple(parse_matcher(matcher) for matcher in matchers)
        begins, _, lasts = lasts.rpartition("+")
        begins_ms = at_ms + (parse_ms(begins) if begins else 0)
        comment = "Investigating" if verb == "silence" else "known"
        silence = Silence(name, tests, begins_ms, begins_ms + parse_ms(lasts), who, comment)
        return StoredRecord(-1, at_ms, None, encode_silence(silence))
    if verb == "receipt":
        return StoredRecord(-1, at_ms, None, encode_receipt(*words))
    incident, who, *text = words
    details = dict(word.split("=", 1) for word in text if _DETAIL.match(word))
    said = " ".join(word for word in text if not _DETAIL.match(word))
    typed = {
        name: int(value) if name in ("number", "step") else value for name, value in details.items()
    }
    if "eta" in typed:
        typed["eta_ms"] = at_ms + parse_ms(str(typed.pop("eta")))
    return StoredRecord(
        -1, at_ms, b"", encode_command(Command(verb), incident, who, text=said, **typed)
    )


def _merged(document: Any, change: Any) -> Any:
    """The policy with a change in it: objects are merged, everything else replaced."""
    if not isinstance(document, dict) or not isinstance(change, dict):
        return change
    return document | {name: _merged(document.get(name), value) for name, value in change.items()}


def tell(effects: Sequence[Effect], *, alerts: bool = False) -> str:
    """The effects as text: what a person on call would want to know of each.

    With those of `tocsin.alerts` only where they are asked for.
    """
    left_out = {Stream.JOURNAL} if alerts else {Stream.JOURNAL, Stream.ALERTS}
    return "".join(f"{_line(effect)}\n" for effect in effects if effect.stream not in left_out)


def _line(effect: Effect) -> str:
    if not effect.value:
        return f"{'':<8}{effect.stream} {(effect.key or b'').decode()} forgotten"
    body = orjson.loads(effect.value)
    when = f"{format_ms(_ms(body['at'])):<8}{effect.stream}"
    match effect.stream:
        case Stream.INCIDENTS:
            firing = f"{body['alerts_firing']} of {body['alerts_total']} firing"
            return f"{when} {body['incident']} {body['severity']} {body['state']}, {firing}: {body['title']}"
        case Stream.NOTIFICATIONS:
            title = f"[{body['severity']}] {body['title']}"
            return f"{when} {body['kind']} by {body['channel']} to {body['receiver']}: {title} | {body['text']}"
        case Stream.DEADLETTER:
            return f"{when} {body['reason']}: {body['message']}"
        case Stream.ESCALATIONS:
            records = ", ".join(body["records"])
            return f"{when} {body['rule']} to {body['to']['name']}, step {body['step']}: {body['because']} | {records}"
        case Stream.FOLLOWUPS:
            return (
                f"{when} {body['task']} {body['state']}: {body['title']}; due {body['due_at'][:16]}"
            )
        case Stream.ALERTS:
            return f"{when} {body['labels'].get('alertname')} {effect_text(effect.stream, body)}"
        case Stream.SILENCES:
            return f"{when} {body['silence']} by {body['by']} until {body['ends_at'][:16]}"
        case _:
            return f"{when} {body['kind']}: {body['text']}"


def _ms(instant: str) -> int:
    return milliseconds(instant) - START_MS


def positions(effects: Sequence[Effect]) -> list[Position]:
    """The effects' positions, in order."""
    return [effect.position for effect in effects]


def in_order(effects: Sequence[Effect]) -> bool:
    """Whether each effect's position is past the one before."""
    return all(before < after for before, after in pairwise(positions(effects)))
