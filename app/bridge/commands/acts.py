"""Carries out what came back through a chat, a pager or a link: each act is a command in the journal.

A command carries who did it, through what, and the act's key, which the engine counts once
(`app.core.incidents.acts`).
"""

import uuid
from collections.abc import Mapping
from typing import Any

import orjson

from app import metrics
from app.bridge.alertmanager.silence_answers import SilenceAnswers
from app.bridge.alertmanager.silences import LIVE_MAX, Silences
from app.bridge.commands.answers import ANSWER_SECONDS, NOT_ANSWERED, CommandAnswers, Outcome
from app.bridge.writer import JournalWriter
from app.history.incident_view import IncidentView
from app.intake.commands import partition_of_incident
from app.notifier.replies.act import Act, ActCommand
from app.notifier.replies.act_outcome import ActOutcome, ActStatus
from app.transport.log import FollowedLog
from models.command import Command
from models.incident import State
from models.journal import encode_command, encode_silence
from models.matcher import Matcher, Operator
from models.policy.policy import Contact
from models.reason import BadInput, Reason
from models.silence import Silence
from models.text.instant import format_instant
from models.text.plural import plural
from models.topics import Topics

SILENCE_MS = 3_600_000
# A cluster and a namespace would silence every other P0 there, too.
_TOO_DIFFERENT = "its alerts have no alertname in common: silence them with tocsin silence add"
_SILENCES = uuid.UUID("6f2c1d0e-93a7-4c1e-8f54-2a9d4f0b7c11")  # the ids below come from it

Document = dict[str, Any]


class ActRunner:
    """Appends acts to the journal, and says what came of them."""

    def __init__(
        self,
        log: FollowedLog,
        topics: Topics,
        partitions: int,
        writer: JournalWriter,
        incidents: IncidentView,
        answer_seconds: float = ANSWER_SECONDS,
        answers: CommandAnswers | None = None,
    ) -> None:
        """`incidents` is where the newest snapshots are read; `answers` are a bridge's own."""
        self._log, self._partitions, self._incidents = log, partitions, incidents
        self._commands = answers or CommandAnswers(log, topics, writer, answer_seconds)
        self._silencing = SilenceAnswers(log, topics, partitions, writer, answer_seconds)
        self._silences = Silences(log, topics.silences)

    async def snapshot(self, incident: str) -> Document | None:
        """The newest snapshot of an incident; None where there is none."""
        try:
            partition = partition_of_incident(incident, self._partitions)
        except BadInput:
            return None
        value = await self._incidents.snapshot(incident, partition)
        document: Document | None = orjson.loads(value) if value is not None else None
        return document

    async def carry_out(
        self, act: Act, contacts: Mapping[str, Contact] | None = None
    ) -> ActOutcome:
        """Carry an act out. Raises LogUnavailable; then nothing may be assumed kept.

        `contacts` are those of the policy, among which the one of an assignment is looked for.
        """
        try:
            outcome = await self._carry_out(act, contacts or {})
        except BadInput as refusal:
            outcome = ActOutcome(ActStatus.UNKNOWN, refusal.message)
        metrics.ACTS.labels(act.through, outcome.status).inc()
        return outcome

    async def _carry_out(self, act: Act, contacts: Mapping[str, Contact]) -> ActOutcome:
        match act.command:
            case ActCommand.SILENCE_1H:
                return await self._silence(act)
            case ActCommand.ASSIGN:
                return await self._assign(act, contacts)
            case _:
                return await self._command(act, Command(act.command), text=act.text)

    async def _command(self, act: Act, command: Command, **details: str) -> ActOutcome:
        partition = partition_of_incident(act.incident, self._partitions)
        given = {name: text for name, text in details.items() if text}
        value = encode_command(
            command, act.incident, person_of(act), **given, through=act.through, key=act.key
        )
        outcome = await self._commands.send(act.incident, partition, value)
        if outcome is None:
            return ActOutcome(ActStatus.WAITS, NOT_ANSWERED)
        if outcome.refusal is None:
            return ActOutcome(ActStatus.DONE, _done(outcome))
        return await self._refused(act, *outcome.refusal)

    async def _refused(self, act: Act, reason: Reason, message: str) -> ActOutcome:
        if reason is not Reason.UNKNOWN_INCIDENT:
            return ActOutcome(ActStatus.REFUSED, message)
        known = await self.snapshot(act.incident)
        if known is None:
            return ActOutcome(ActStatus.UNKNOWN, f"there is no incident {act.incident}")
        return ActOutcome(ActStatus.REFUSED, f"{act.incident} was closed at {known['closed_at']}")

    async def _assign(self, act: Act, contacts: Mapping[str, Contact]) -> ActOutcome:
        """Give it to the contact of that name. Of somebody else there is a note."""
        names = {contact.name.casefold(): name for name, contact in contacts.items()}
        names |= {name.casefold(): name for name in contacts}
        contact = names.get(act.text.casefold())
        if contact is not None:
            return await self._command(act, Command.ASSIGN, to=contact)
        text = f"gave it to {act.text}, who is no contact of the policy"
        return await self._command(act, Command.NOTE, text=text)

    async def _silence(self, act: Act) -> ActOutcome:
        """Silence what fires in the incident, and note it there."""
        known = await self.snapshot(act.incident)
        if known is None:
            return ActOutcome(ActStatus.UNKNOWN, f"there is no incident {act.incident}")
        if known["state"] == State.CLOSED or not known["alerts_firing"]:
            return ActOutcome(ActStatus.REFUSED, "none of its alerts is firing")
        silences = self._silences_of(act, known)
        if not silences:
            return ActOutcome(ActStatus.REFUSED, _TOO_DIFFERENT)
        kept = await self._silences.all()
        if silences[0].id in kept:
            return ActOutcome(ActStatus.REFUSED, "this silence exists already")
        now_ms = self._log.now_ms()
        if sum(item.silence.ends_ms > now_ms for item in kept.values()) + len(silences) > LIVE_MAX:
            return ActOutcome(
                ActStatus.REFUSED, f"there are {LIVE_MAX} silences, and may be no more: expire some"
            )
        muted = 0
        for silence in silences:
            _, outcome = await self._silencing.send(silence.id, [encode_silence(silence)])
            muted += int(outcome.document()["mutes_total"])
        until = format_instant(silences[0].ends_ms)
        text = f"silenced {plural(muted, 'alert')} until {until}"
        noted = await self._command(act, Command.NOTE, text=text)
        return ActOutcome(noted.status, text) if noted.status is ActStatus.DONE else noted

    def _silences_of(self, act: Act, incident: Document) -> list[Silence]:
        """One for each alert that fires; where there are too many, one for what all have in common.

        That has to name their alertname: other labels would silence what is no part of the incident.

        Their ids come from the act's key, so that a second copy makes no others.
        """
        labels = [alert["labels"] for alert in incident["alerts"] if alert["status"] == "firing"]
        if incident["alerts_omitted"]:
            common = incident["common_labels"]
            labels = [common] if "alertname" in common else []
        now_ms = self._log.now_ms()
        return [
            Silence(
                str(uuid.uuid5(_SILENCES, f"{act.key} {number}")),
                tuple(Matcher(name, Operator.EQUAL, value) for name, value in item.items()),
                now_ms,
                now_ms + SILENCE_MS,
                person_of(act),
                f"{act.incident}, silenced for 1 hour",
            )
            for number, item in enumerate(labels)
        ]


def act_runner(
    log: FollowedLog,
    topics: Topics,
    partitions: int,
    answer_seconds: float = ANSWER_SECONDS,
) -> ActRunner:
    """A runner with a writer and a view of its own, for a process without a bridge."""
    writer = JournalWriter(log, topics.journal, partitions)
    incidents = IncidentView(log, topics.incidents, partitions)
    return ActRunner(log, topics, partitions, writer, incidents, answer_seconds)


def person_of(act: Act) -> str:
    """Who did it, and through what: `Ann Lee (via pagerduty)`."""
    return f"{act.by} (via {act.through})"


def _done(outcome: Outcome) -> str:
    return "; ".join(outcome.texts[:1]) or "done"
