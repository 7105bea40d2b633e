"""Incidents that a person opens: an alert of Tocsin's own, which fires until its incident is resolved.

So such an incident is grouped, escalated, silenced and replayed like any other. Its alert ends with it,
through whatever it was resolved.
"""

import asyncio
import uuid
from collections.abc import Callable
from typing import Any

import orjson

from app.bridge.commands.answers import ANSWER_SECONDS
from app.bridge.writer import JournalWriter
from app.core.rules.compiled_policy import CompiledPolicy
from app.intake.made_labels import severity_label, team_labels
from app.intake.normalise import HOLD_MAX_MS, Lifetime, alert_of
from app.transport.log import FollowedLog, NewRecord
from models.effect import position_from
from models.incident import State
from models.journal import encode_alert
from models.reason import BadInput, Reason
from models.text.instant import format_instant
from models.text.suggest import did_you_mean
from models.topics import Topics, partition_of
from models.wire import OpenRequest

SENDER = "by-hand"
_LIFETIME = Lifetime(HOLD_MAX_MS, until_resolved=True)

Document = dict[str, Any]


class Openings:
    """Opens incidents by hand, and ends their alerts."""

    def __init__(
        self,
        log: FollowedLog,
        topics: Topics,
        partitions: int,
        writer: JournalWriter,
        policy: Callable[[], CompiledPolicy],
        seconds: float = ANSWER_SECONDS,
    ) -> None:
        """`seconds` is how long the worker is waited for."""
        self._log, self._topics, self._partitions = log, topics, partitions
        self._writer, self._policy, self._seconds = writer, policy, seconds

    async def open(self, body: OpenRequest, by: str) -> Document | None:
        """The incident's snapshot; None when no worker answered in time.

        Raises BadInput, and LogUnavailable when the journal did not take it.
        """
        policy, now_ms = self._policy(), self._log.now_ms()
        entry = {
            "status": "firing",
            "labels": labels_of_opening(body, policy, uuid.uuid4().hex[:8]),
            "annotations": {"opened_by": by, **({"summary": body.text} if body.text else {})},
            "startsAt": format_instant(now_ms),
        }
        record = self._record(entry, now_ms)
        partition = partition_of(record.key or b"", self._partitions)
        places = [(self._topics.incidents, partition)]
        async with self._log.following(places) as follower:
            offset = await self._writer.append_to({partition: [record]})
            try:
                async with asyncio.timeout(self._seconds):
                    while True:
                        for appended in await follower.next():
                            position = position_from(tuple(appended.record.headers))
                            value = appended.record.value
                            if value and position is not None and position.offset == offset:
                                snapshot: Document = orjson.loads(value)
                                return snapshot
            except TimeoutError:
                return None

    async def end(self, snapshot: Document) -> None:
        """End what was opened by hand of an incident that is over. Raises LogUnavailable."""
        if snapshot["state"] not in (State.RESOLVED, State.CLOSED):
            return
        now_ms = self._log.now_ms()
        records = [
            self._record({"status": "resolved", "labels": alert["labels"]}, now_ms)
            for alert in snapshot["alerts"]
            if alert["status"] == "firing" and alert["labels"].get("sender") == SENDER
        ]
        await self._writer.append(records)

    def _record(self, entry: Document, now_ms: int) -> NewRecord:
        alert = alert_of(entry, now_ms, _LIFETIME)
        key = self._policy().place(alert.labels, alert.fingerprint).key
        return NewRecord(key.encode(), encode_alert(alert))


def labels_of_opening(body: OpenRequest, policy: CompiledPolicy, unique: str) -> dict[str, str]:
    """The alert's labels: such that the policy finds the team and the severity. Raises BadInput."""
    teams = policy.policy.teams
    team = body.team or policy.policy.default_owner
    if team not in teams:
        message = f"team: is {team!r:.60}, must be one of the policy's teams ({', '.join(teams)})"
        raise BadInput(Reason.MALFORMED, f"{message}{did_you_mean(team, teams)}")
    labels = {
        "alertname": body.title,
        **severity_label(policy, body.severity),
        **({"component": body.component} if body.component else {}),
        "sender": SENDER,
        "opening": unique,
    }
    return team_labels(policy, team, labels)
