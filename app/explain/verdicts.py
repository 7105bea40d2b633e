"""A record in a few sentences: what it did, and if it told nobody anything, why not."""

from typing import Protocol

import orjson

from app.core.state.live_alert import WAIT
from app.explain.before_after import BeforeAfter, KnownAlert
from app.explain.descriptions import kind_of, source_of, timer_text
from app.history.tracer import Trace
from app.terminal.effect_text import effect_text
from models.effect import Stream
from models.instant import format_instant

_TELLING = (
    "group_wait",
    "hold",
    "handed_over",
    "fires_anew",
    "severity_raised",
    "group_interval",
    "repeat_interval",
)


class Heard(Protocol):
    """What was learned from the actors that heard of it."""

    words: list[str]
    holds: dict[str, list[str]]
    told: bool


def verdict_lines(trace: Trace, noticed: BeforeAfter, heard: Heard) -> list[str]:
    """The sentences."""
    if trace.counted.get("duplicates"):
        return [_duplicate_line(trace, noticed)]
    letters = [orjson.loads(one.value) for one in trace.own if one.stream is Stream.DEADLETTER]
    if letters:
        return [
            effect_text(Stream.DEADLETTER, one)
            if one["kind"] == "Resubmitted"
            else f"it was refused: {effect_text(Stream.DEADLETTER, one)}"
            for one in letters
        ]
    match kind_of(noticed.document):
        case "alert":
            rules = [] if trace.counted.get("repeats") else _rule_lines(noticed, heard)
            return [*_alert_lines(trace, noticed), *rules, *_silence_reasons(trace, noticed, heard)]
        case "tick":
            return ["time passed; a tick does nothing else"]
        case "policy" if noticed.policies[0] == noticed.policies[1]:
            return [f"nothing: the policy {noticed.policies[0]} decided here already"]
        case "policy":
            return [
                f"from here on the policy {noticed.policies[1]} decides; before it was {noticed.policies[0]}"
            ]
        case "silence" if len(trace.own) <= 1:  # nothing but the answer to whoever made it
            return ["it is noted, and nothing that fires in this partition is under it"]
        case "signal" if not trace.own:
            return ["it left no effect", *_rule_lines(noticed, heard)]
        case "hold" if not trace.own:
            return [
                "nothing: what it is about has ended, has fired again since, or was kept quiet by it already"
            ]
        case "page" if noticed.words:
            return [f"nobody was told at once: it {word}" for word in noticed.words]
        case _:
            return (
                [f"it left {len(trace.own)} effects"]
                if trace.own
                else ["nothing: it changed nothing", *noticed.words]
            )


def _duplicate_line(trace: Trace, noticed: BeforeAfter) -> str:
    source = source_of(trace.record)
    if source is not None:
        last = noticed.last_seen or (0, 0)
        name = "tocsin.alerts.raw" if source.topic == "raw" else "the journal's partition"
        return (
            f"nothing: a second copy. It follows from {name} {source.partition}:{source.offset} (number {source.number}), "
            f"and {source.partition}:{last[0]} (number {last[1]}) had been seen"
        )
    return "nothing: a second copy of what is known already"


def _alert_lines(trace: Trace, noticed: BeforeAfter) -> list[str]:
    was, now = noticed.was, noticed.now
    if now is None:
        return ["nothing is known of the alert after it"]
    if now.heartbeat or (was is not None and was.heartbeat):
        return _heartbeat_lines(noticed, now)
    if trace.counted.get("repeats"):
        return [_repeat_line(now)]
    if now.firing:
        how = "opened" if _has_kind(trace, "Opened") else "joined"
        return [f"the alert began to fire, and {how} {now.incident}"]
    if was is None or not was.firing:
        return ["it ended before it was heard to fire: it is noted, and nobody is woken"]
    return [
        f"the alert ended; it had been firing since {format_instant(was.fired_ms)} (record {was.fired_offset})"
    ]


def _repeat_line(now: KnownAlert) -> str:
    if now.firing:
        return (
            f"nothing: a repeat, record number {now.count} of the alert that fires since {format_instant(now.fired_ms)} "
            f"(record {now.fired_offset}). It counts as firing until {format_instant(now.expires_ms)} now"
        )
    return f"nothing: a repeated end. The alert ended at {format_instant(now.ended_ms)} already"


def _heartbeat_lines(noticed: BeforeAfter, now: KnownAlert) -> list[str]:
    if noticed.document.get("status") != "firing":
        return ["nothing: the end of a heartbeat is not heard; it will be missing in time"]
    return [
        f"it is a heartbeat ({now.heartbeat}): it was heard, and opens an incident only when it is missing"
    ]


def _has_kind(trace: Trace, kind: str) -> bool:
    return any(
        one.stream is Stream.TIMELINE and one.value.find(f'"kind":"{kind}"'.encode()) >= 0
        for one in trace.own
    )


def _rule_lines(noticed: BeforeAfter, heard: Heard) -> list[str]:
    """How near the rules are that it takes part in."""
    return [f"rule {word}" for word in dict.fromkeys([*noticed.words, *heard.words])]


def _silence_reasons(trace: Trace, noticed: BeforeAfter, heard: Heard) -> list[str]:
    """Why nobody was told of an alert that began to fire."""
    if noticed.now is None or not noticed.now.firing or not noticed.incident_id:
        return []
    if trace.counted.get("repeats") and noticed.taken_by:
        return [f"{noticed.taken_by} has {noticed.incident_id} in hand"]
    held = heard.holds.get(str(noticed.document.get("alert")), [])
    if held:
        return [f"nobody is told of it by itself: {one}" for one in held]
    if heard.told:
        return []
    holds = noticed.now.holds.items()
    reasons = [
        hold.because if key == WAIT else f"{key}: {hold.because}" for key, hold in holds
    ] + noticed.held
    if reasons:
        return [f"nobody was told: {reason}" for reason in reasons]
    if noticed.quiet:
        until = next((one for one in noticed.waits if one.what in _TELLING), None)
        when = f", until {format_instant(until.at_ms)}" if until else ""
        return [f"nobody was told: {', '.join(noticed.quiet)} at this time{when}"]
    if noticed.flapping:
        return ["nobody was told: the incident flaps, and is told again when it has kept still"]
    due = next((one for one in noticed.waits if one.what in _TELLING), None)
    if due is not None and noticed.notified_at and trace.counted.get("repeats"):
        when = f"is told again at {format_instant(due.at_ms)} ({timer_text(due, pending=True)})"
        return [f"the incident was told at {noticed.notified_at}, and {when}"]
    if due is not None:
        return [
            f"nobody was told yet: that waits until {format_instant(due.at_ms)} ({timer_text(due, pending=True)})"
        ]
    said = f"it was told at {noticed.notified_at}" if noticed.notified_at else "it was never told"
    return [f"nobody was told: {said}, and nothing about it is due"]
