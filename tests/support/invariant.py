"""The invariant: each P0 and P1 that begins to fire is named in a message within group_interval, or there is a reason.

What was over before that is named in some message later, which may be a digest.

The check looks at what the engine emits, and at its state between records only for what fires and
what keeps it quiet. Time passes in short ticks, so that little happens between two looks.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import orjson

from app.core.engine import Engine
from app.core.state.live_alert import CORRELATION_WAIT, LiveAlert
from app.core.state.state import Incident
from app.policy.simulator import signal_record
from app.transport.log import StoredRecord
from models.effect import Effect, Stream
from models.incident import State
from models.journal import TICK

TICK_MS = 20_000
WAKING = ("opened", "severity_raised")


@dataclass
class Watched:
    """An engine that is fed record by record, and what was seen of each time that an urgent alert fired."""

    engine: Engine
    now_ms: int
    since: dict[tuple[str, int], int] = field(default_factory=dict)  # it has no excuse
    named: set[tuple[str, int]] = field(default_factory=set)
    states: dict[str, tuple[str, bool]] = field(default_factory=dict)  # incident: state, flapping
    over: dict[str, LiveAlert] = field(default_factory=dict)  # before a message named it
    violations: list[str] = field(default_factory=list)
    _messages: list[dict[str, Any]] = field(default_factory=list)  # of this record

    def pass_time(self, wait_ms: int) -> None:
        """Let time pass, a tick at a time."""
        end_ms = self.now_ms + wait_ms
        while self.now_ms + TICK_MS < end_ms:
            self.feed(TICK, None, self.now_ms + TICK_MS)
        self.now_ms = max(self.now_ms, end_ms)

    def feed(self, value: bytes, key: bytes | None, at_ms: int) -> None:
        """Apply a record and what actors say because of it, then look."""
        self.now_ms = at_ms
        self._messages.clear()
        waiting = [StoredRecord(0, at_ms, key, value)]
        while waiting:
            record = waiting.pop(0)
            record.offset = self.engine.applied_offset + 1
            effects = self.engine.apply([record])
            waiting += [
                signal_record(one, at_ms) for one in effects if one.stream is Stream.JOURNAL
            ]
            self._read(effects)
        self._look()

    def _read(self, effects: Iterable[Effect]) -> None:
        """A snapshot comes after the messages of its turn: they belong to the state before it."""
        messages: dict[str, list[dict[str, Any]]] = {}
        for effect in effects:
            body = orjson.loads(effect.value) if effect.value else {}
            incident = body.get("incident") or ""
            if effect.stream is Stream.NOTIFICATIONS:
                self._messages.append(body)
                messages.setdefault(incident, []).append(body)
            elif effect.stream is Stream.INCIDENTS:
                self._note_all_named(messages.pop(incident, []))
                self.states[incident] = (body["state"], body["flapping"])
        for left in messages.values():
            self._note_all_named(left)

    def _note_all_named(self, messages: list[dict[str, Any]]) -> None:
        for alert in self._urgent() if messages else ():
            about = [one for one in messages if one["incident"] == alert.incident]
            self._note_named(alert, [one for one in about if _names(one, alert)])

    def _note_named(self, alert: LiveAlert, messages: list[dict[str, Any]]) -> None:
        kinds = {one["kind"] for one in messages} & {*WAKING, "updated"}
        channels = {one["channel"] for one in messages if one["kind"] in kinds}
        wanted = set(self.engine.policy.policy.notify.channels[alert.severity])
        if not kinds or not wanted <= channels:
            return
        state, flapping = self.states.get(alert.incident, (State.OPEN, False))
        time = _time(alert)
        if time not in self.named and not kinds & {*WAKING}:
            known = state == State.ACKNOWLEDGED or flapping
            incident = self.engine.state.incidents[alert.incident]
            if not known and not incident.flapping_ms:
                self.violations.append(f"{alert.name} on {alert.component}: named, and woke nobody")
        self.named.add(time)

    def _look(self) -> None:
        interval_ms = self.engine.policy.policy.notify.group_interval
        firing = {_time(alert): alert for alert in self._urgent()}
        for alert in self.engine.state.alerts.values():
            if _time(alert) in self.since and not alert.firing and not alert.replaced:
                self.over[alert.fingerprint] = alert
        self.over = {
            name: alert
            for name, alert in self.over.items()
            if not any(_names(message, alert) for message in self._messages)
        }
        self.since = {time: since for time, since in self.since.items() if time in firing}
        for time, alert in firing.items():
            if time in self.named or self._is_excused(alert):
                self.since.pop(time, None)
                continue
            since_ms = self.since.setdefault(time, self.now_ms)
            if self.now_ms - since_ms > interval_ms:
                place = f"{alert.name} on {alert.component}"
                self.violations.append(f"{place}: not named after {self.now_ms - since_ms} ms")
                self.named.add(time)  # it is told once

    def _urgent(self) -> list[LiveAlert]:
        alerts = self.engine.state.alerts.values()
        return [one for one in alerts if one.severity.is_urgent and one.firing and one.incident]

    def _is_excused(self, alert: LiveAlert, seen: frozenset[str] = frozenset()) -> bool:
        """Whether an operator's silence or inhibition covers it, or a cause that is notified explains it."""
        if self.engine.state.incidents[alert.incident].ended:
            return True  # somebody has resolved it
        return any(
            self._excuses(key, alert, seen | {alert.fingerprint})
            for key in alert.suppressions or ()
            if key != CORRELATION_WAIT
        )

    def _excuses(self, key: str, alert: LiveAlert, seen: frozenset[str]) -> bool:
        name, _, group = key.partition("/")
        state, rules = self.engine.state, self.engine.policy
        if name == "silence":
            return True
        link = rules.inhibition(name)
        if link is None:
            incident = state.current.get((key, "correlated"))
            return incident is not None and self._is_known(incident, alert, seen)
        if not link.membership:
            return True
        target = state.inhibition_groups[name, group].targets[alert.fingerprint]
        cause = target.root
        if cause is None or cause.severity > alert.severity:
            return False
        root = state.alerts.get(
            next(iter(_identities(state.inhibition_groups[name, group], cause)), b"")
        )
        if root is None or not root.firing:
            return True  # an incident of a rule, or over: its grace is short
        known = root.fingerprint not in seen
        return known and (_time(root) in self.named or self._is_excused(root, seen))

    def _is_known(self, incident: Incident, alert: LiveAlert, seen: frozenset[str]) -> bool:
        urgent = incident.severity <= alert.severity
        held = any(key != CORRELATION_WAIT for key in incident.suppressions)
        return urgent and (bool(incident.notified_ms) or held) and incident.id not in seen


def _time(alert: LiveAlert) -> tuple[str, int]:
    """Which time it is that an alert fires."""
    return alert.fingerprint, alert.fired_offset


def _names(message: dict[str, Any], alert: LiveAlert) -> bool:
    said = f"{message['title']} {message['text']}"
    parts = (alert.name, alert.component, alert.labels.get("instance", ""))
    return all(part in said for part in parts)


def _identities(link: Any, cause: Any) -> list[bytes]:
    return [
        identity.encode()
        for identity, source in link.sources.items()
        if source.record == cause.record
    ]
