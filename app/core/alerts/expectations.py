"""Heartbeats that the policy expects: one that was never received is missing too, and is an incident.

Partition 0 says through the journal what is expected, and a heartbeat says so when it is received.
Both messages go to where a heartbeat with the expected labels would be, and may come in any order.
A heartbeat that was received once is watched where it is (`app.core.alerts.heartbeats`).
"""

from typing import Any

from app.core.alerts import heartbeats
from app.core.rules.compiled_policy import CompiledPolicy
from app.core.state.expected_heartbeats import (
    ExpectedHeartbeat,
    drop_expected,
    missing_fingerprint,
    missing_labels,
    put_expected,
)
from app.core.state.live_alert import LiveAlert
from app.core.state.timer_kind import TimerKind
from app.core.state.turn import Turn
from models.alert import Labels
from models.journal import encode_expected, text_of
from models.policy.rules import Heartbeat
from models.reason import BadInput, Reason


def announce(turn: Turn) -> None:
    """Say what the policy expects. Partition 0 does; whoever knows already ignores it."""
    for rule in turn.rules.policy.heartbeats if turn.partition == 0 else ():
        for labels in rule.expected:
            _send(turn, rule, labels, received=False)


def on_received(turn: Turn, heartbeat: LiveAlert) -> None:
    """A heartbeat is received for the first time, or again: it may be one that is expected."""
    rule = turn.rules.heartbeat(heartbeat.heartbeat)
    if rule is None:
        return
    for labels in rule.expected:
        if labels.items() <= heartbeat.labels.items():
            _send(turn, rule, labels, received=True)


def on_policy(turn: Turn, before: CompiledPolicy) -> None:
    """Forget what is not expected any more, and say of what is whether it was received before."""
    wanted = _wanted(turn.rules)
    for fingerprint, expected in sorted(turn.state.expected.items()):
        if fingerprint in _wanted(before) and fingerprint not in wanted:
            heartbeats.end_missing(turn, fingerprint, "no longer expected by the policy")
            drop_expected(turn.state, expected)
    for _, alert in sorted(turn.state.alerts.items()):
        if alert.heartbeat and alert.firing and not alert.follows:
            on_received(turn, alert)


def on_message(turn: Turn, document: dict[str, Any]) -> None:
    """A heartbeat is expected here, or was received. Raises BadInput."""
    name, labels = text_of(document, "expected"), document.get("labels")
    if not isinstance(labels, dict) or not all(isinstance(value, str) for value in labels.values()):
        raise BadInput(Reason.MALFORMED, "labels of an expected heartbeat have to be texts")
    received = document.get("received") is True
    fingerprint = missing_fingerprint(name, labels)
    known = turn.state.expected.get(fingerprint)
    if known is None:
        known = ExpectedHeartbeat(name, labels, turn.now_ms, received)
        put_expected(turn.state, known)
        watch_expected(turn, known)
    elif received and not known.received:
        known.received = True
        put_expected(turn.state, known)
    if received:
        heartbeats.end_missing(turn, fingerprint, f"{name} is received")


def watch_expected(turn: Turn, expected: ExpectedHeartbeat) -> None:
    """Set the timer at which it is missing."""
    rule = turn.rules.heartbeat(expected.rule)
    if rule is not None and not expected.received and not expected.raised:
        at_ms = _missing_ms(turn, rule, expected)
        turn.state.schedule(at_ms, TimerKind.HEARTBEAT, expected.fingerprint)


def on_timer(turn: Turn, at_ms: int, subject: str) -> None:
    """A heartbeat is missing: one that was received before, or one that never was."""
    expected = turn.state.expected.get(subject)
    if expected is None:
        heartbeats.on_timer(turn, at_ms, subject)
        return
    rule = turn.rules.heartbeat(expected.rule)
    if rule is None or expected.received or expected.raised:
        return
    if _missing_ms(turn, rule, expected) > at_ms:
        watch_expected(turn, expected)
        return
    expected.raised = True
    put_expected(turn.state, expected)
    alert = turn.state.alerts.get(subject.encode())
    if alert is None or not alert.firing:
        heartbeats.raise_alert(turn, _missing_alert(turn, rule, expected, alert))


def _missing_ms(turn: Turn, rule: Heartbeat, expected: ExpectedHeartbeat) -> int:
    return max(expected.since_ms, turn.state.clock.listening_ms) + rule.missing


def _missing_alert(
    turn: Turn, rule: Heartbeat, expected: ExpectedHeartbeat, known: LiveAlert | None
) -> LiveAlert:
    if known is not None and known.incident:
        return known
    labels = missing_labels(rule.name, expected.labels)
    decision = turn.rules.evaluate(labels)
    place = turn.rules.place(expected.labels, expected.fingerprint)
    heartbeat = ", ".join(f"{name}={value}" for name, value in sorted(expected.labels.items()))
    return LiveAlert(
        fingerprint=expected.fingerprint,
        component=place.component,
        scope=place.scope,
        labels=labels,
        annotations={"summary": f"The expected heartbeat {heartbeat} was never received"},
        severity=rule.severity,
        severity_label="",
        owner=rule.owner or decision.owner,
        incident_class=decision.incident_class,
        changes=known.changes if known else None,
    )


def _send(turn: Turn, rule: Heartbeat, labels: Labels, *, received: bool) -> None:
    key = turn.rules.place(labels, missing_fingerprint(rule.name, labels)).key
    turn.send(key, encode_expected(rule.name, labels, received=received))


def _wanted(rules: CompiledPolicy) -> set[str]:
    return {
        missing_fingerprint(rule.name, labels)
        for rule in rules.policy.heartbeats
        for labels in rule.expected
    }
