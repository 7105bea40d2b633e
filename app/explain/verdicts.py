"""A record in a few sentences: what it did, and if it notified nobody, why not."""

from typing import Protocol

import orjson

from app.core.state.live_alert import CORRELATION_WAIT
from app.explain.before_after import BeforeAfter, KnownAlert
from app.explain.descriptions import kind_of, source_of, timer_text
from app.history.tracer import Trace
from app.terminal.effect_text import effect_text
from models.effect import Stream
from models.events_alert import Unnotified
from models.text.instant import format_instant

_NOTIFYING = (
    "group_wait",
    "correlation_wait",
    "handed_over",
    "fires_anew",
    "severity_raised",
    "group_interval",
    "repeat_interval",
)


class Outcomes(Protocol):
    """What was learned from the actors that the record went to."""

    words: list[str]
    suppressions: dict[str, list[str]]
    reasons: dict[str, Unnotified]
    is_notified: bool


def verdict_lines(trace: Trace, noticed: BeforeAfter, outcomes: Outcomes) -> list[str]:
    """The sentences, of one alert of a record that has several."""
    if trace.counted.get("duplicates"):
        return [_duplicate_line(trace, noticed)]
    letters = [
        orjson.loads(effect.value) for effect in trace.own if effect.stream is Stream.DEADLETTER
    ]
    if letters:
        return [
            effect_text(Stream.DEADLETTER, letter)
            if letter["kind"] == "Resubmitted"
            else f"Refused: {effect_text(Stream.DEADLETTER, letter)}"
            for letter in letters
        ]
    match kind_of(noticed.document):
        case "alert":
            rules = [] if _is_repeat(trace, noticed) else _rule_lines(noticed, outcomes)
            return [
                *_alert_lines(trace, noticed),
                *rules,
                *_silence_reasons(trace, noticed, outcomes),
            ]
        case "tick":
            return ["Time passed. A tick does nothing else."]
        case "policy" if noticed.policies[0] == noticed.policies[1]:
            return [f"Nothing: the policy {noticed.policies[0]} was in force already"]
        case "policy":
            return [
                f"The policy {noticed.policies[1]} is in force from here. Before: {noticed.policies[0]}."
            ]
        case "silence" if len(trace.own) <= 1:  # nothing but the answer to whoever made it
            return ["The silence is kept. It matches no firing alert in this partition."]
        case "signal" if not trace.own:
            return ["No effect.", *_rule_lines(noticed, outcomes)]
        case "suppression" if not trace.own:
            return [
                "Nothing: its alert has ended, has fired again since, or was suppressed by it already"
            ]
        case "page" if noticed.words:
            return [f"Nobody was notified at once. {text}" for text in noticed.words]
        case _:
            return (
                [f"Emitted {len(trace.own)} effects"]
                if trace.own
                else ["Nothing changed.", *noticed.words]
            )


def _duplicate_line(trace: Trace, noticed: BeforeAfter) -> str:
    source = source_of(trace.record)
    if source is not None:
        last = noticed.last_seen or (0, 0)
        name = "tocsin.alerts.raw" if source.topic == "raw" else "the journal's partition"
        return (
            f"Nothing: a second copy. It follows from {name} {source.partition}:{source.offset} (number {source.number}), "
            f"and {source.partition}:{last[0]} (number {last[1]}) was seen before"
        )
    return "Nothing: a second copy of a known record"


def _alert_lines(trace: Trace, noticed: BeforeAfter) -> list[str]:
    was, now = noticed.was, noticed.now
    if now is None:
        return ["The alert is not known after it."]
    if now.heartbeat or (was is not None and was.heartbeat):
        return _heartbeat_lines(noticed, now)
    if _is_repeat(trace, noticed):
        return [_repeat_line(now)]
    if now.firing:
        how = "opened" if _has_opened(trace, noticed) else "joined"
        return [f"The alert began to fire and {how} {now.incident}."]
    if was is None or not was.firing:
        because = _because(trace.reason_of(str(noticed.document.get("alert"))))
        return [f"The alert ended before a firing one was received. Nobody is notified{because}."]
    ended = f"The alert ended. It was firing since {format_instant(was.fired_ms)} (record {was.fired_offset})."
    reason = trace.reason_of(str(noticed.document.get("alert")))
    return [ended, f"Nobody was notified of it ({reason})."] if reason else [ended]


def _repeat_line(now: KnownAlert) -> str:
    if now.firing:
        return (
            f"Nothing: a repeat, record number {now.count} of the alert that is firing since {format_instant(now.fired_ms)} "
            f"(record {now.fired_offset}). It now expires at {format_instant(now.expires_ms)}."
        )
    return f"Nothing: a repeated end. The alert ended at {format_instant(now.ended_ms)}."


def _heartbeat_lines(noticed: BeforeAfter, now: KnownAlert) -> list[str]:
    if noticed.document.get("status") != "firing":
        return ["Nothing: the end of a heartbeat is ignored. It will be missing in time."]
    return [f"Heartbeat {now.heartbeat} received. It opens an incident only when it is missing."]


def _is_repeat(trace: Trace, noticed: BeforeAfter) -> bool:
    return noticed.is_repeat if noticed.several else bool(trace.counted.get("repeats"))


def _has_opened(trace: Trace, noticed: BeforeAfter) -> bool:
    """Whether the record opened an incident with this alert."""
    entries = [
        orjson.loads(effect.value) for effect in trace.own if effect.stream is Stream.TIMELINE
    ]
    opened = [entry.get("alert") for entry in entries if entry["kind"] == "Opened"]
    return noticed.document.get("alert") in opened if noticed.several else bool(opened)


def _rule_lines(noticed: BeforeAfter, outcomes: Outcomes) -> list[str]:
    """How near the rules are that it takes part in."""
    return [f"rule {word}" for word in dict.fromkeys([*noticed.words, *outcomes.words])]


def _silence_reasons(trace: Trace, noticed: BeforeAfter, outcomes: Outcomes) -> list[str]:
    """Why nobody was notified of an alert that began to fire."""
    if noticed.now is None or not noticed.now.firing or not noticed.incident_id:
        return []
    if _is_repeat(trace, noticed) and noticed.taken_by:
        return [f"{noticed.incident_id} is acknowledged by {noticed.taken_by}."]
    suppressed = outcomes.suppressions.get(str(noticed.document.get("alert")), [])
    if suppressed:
        because = _because(outcomes.reasons.get(str(noticed.document.get("alert"))))
        return [f"The alert alone notifies nobody{because}. {reason}" for reason in suppressed]
    if outcomes.is_notified:
        return []
    suppressions = noticed.now.suppressions.items()
    reasons = [
        reason.because if key == CORRELATION_WAIT else f"{key}: {reason.because}"
        for key, reason in suppressions
    ] + noticed.held
    if reasons:
        because = _because(noticed.now.reason)
        return [f"Nobody was notified{because}: {reason}" for reason in reasons]
    if noticed.quiet:
        until = next((wait for wait in noticed.waits if wait.kind in _NOTIFYING), None)
        when = f", until {format_instant(until.at_ms)}" if until else ""
        because = _because(noticed.now.reason)
        return [f"Nobody was notified{because}: {', '.join(noticed.quiet)} at this time{when}"]
    if noticed.flapping:
        return [
            "Nobody was notified: the incident is flapping. Notifications resume when it is stable."
        ]
    due = next((wait for wait in noticed.waits if wait.kind in _NOTIFYING), None)
    if due is not None and noticed.notified_at and _is_repeat(trace, noticed):
        when = f"{format_instant(due.at_ms)} ({timer_text(due, pending=True)})"
        return [f"The last notification was at {noticed.notified_at}. The next is due at {when}."]
    if due is not None:
        due_text = (
            f"Nobody was notified yet. The notification is due at {format_instant(due.at_ms)} "
            f"({timer_text(due, pending=True)})."
        )
        return [due_text]
    last = f"the last notification was at {noticed.notified_at}"
    reason = last if noticed.notified_at else "there was no notification before"
    return [f"Nobody was notified: {reason}, and none is due."]


def _because(reason: str | None) -> str:
    """The reason that `tocsin.alerts` gives."""
    return f" ({reason})" if reason else ""
