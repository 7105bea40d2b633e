"""What may be read: incidents, timelines, reports, tasks, availability, dead letters, explanations.

Each question takes parameters and answers with a document, from one view (`app.history.view`). The
bridge serves them over HTTP (`app.bridge.board.board_routes`); commands with `--journal` ask directly.
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

import orjson

from app.bridge.board.activity import ActivityView, night_zone
from app.bridge.board.incident_filter import matches
from app.bridge.board.joint_incidents import JointIncidents
from app.bridge.board.outages import OutageView
from app.bridge.board.page import Page
from app.bridge.board.query import (
    Values,
    check_names,
    choices_of,
    cursor_of,
    limit_of,
    matchers_of,
    number_of,
    text_of,
)
from app.core.rules.compiled_policy import CompiledPolicy
from app.explain.answer import answer
from app.history.archive import Archive
from app.history.dead_letters import Bodies, Letter, record_of, value_in, whole_value
from app.history.incident_view import NOT_CLOSED
from app.history.not_retained import NotRetained
from app.history.snapshots import SnapshotIndex
from app.history.source import Source
from app.history.tracer import Tracer
from app.history.view import View
from app.intake.commands import partition_of_incident
from app.render.explanation_text import lines
from app.render.report_markdown import report_markdown
from app.report.activity import HOUR_MS, HOURS_MAX, NIGHT, hour_documents
from app.report.availability import availability_rows, month_of
from app.report.build import build_report
from app.settings import Settings
from app.transport.log import LogUnavailable, Readable
from models.errors import TocsinError
from models.incident import State
from models.reason import BadInput, Reason
from models.text.instant import format_instant
from models.topics import Topics

EXPLAIN_SECONDS = 30.0
DAY_HOURS = 24
WORK_MAX = 4  # explanations that wait for the one that is worked out

Document = dict[str, Any]
T = TypeVar("T")


class Absent(TocsinError):
    """There is no such thing; the message says what there is. `reason` is for programs."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Answer:
    """A JSON document, or a text or bytes of a type of its own. `headers` say what it is."""

    body: Document | str | bytes
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()


class Board:
    """Answers questions about a log. `policy` is asked for the services of today's policy."""

    def __init__(
        self,
        view: View,
        config: Settings,
        policy: Callable[[], CompiledPolicy],
        outages: OutageView,
        index: SnapshotIndex | None = None,
        explain_seconds: float | None = EXPLAIN_SECONDS,
    ) -> None:
        """`index` keeps states that explanations passed by, if there is one."""
        self.view, self._config, self._policy, self._index = view, config, policy, index
        self.outages, self._explain_seconds = outages, explain_seconds
        self.activity = ActivityView(view.log, Topics(config.prefix), config.partitions)
        self._log: Readable = view.log
        self._explaining, self._waiting = asyncio.Lock(), 0

    async def incidents(self, query: Values) -> Answer:
        """A page of incidents, in the order of their opening."""
        names = ("state", "severity", "owner", "component", "matcher", "limit", "cursor")
        check_names(query, names)
        states = tuple(map(State, choices_of(query, "state", tuple(State)))) or NOT_CLOSED
        matchers, limit, cursor = matchers_of(query, "matcher"), limit_of(query), cursor_of(query)
        page: Page[orjson.Fragment] = Page(limit)
        joint = await self._joint_incidents()
        for snapshot in await self.view.incidents.snapshots(states):
            if cursor and snapshot.place <= cursor:
                continue
            if matches(snapshot.value, query, matchers):
                value = joint.with_parts(snapshot.incident, snapshot.value)
                if page.is_full(len(value)):
                    break
                page.add(orjson.Fragment(value), snapshot.place, len(value))
        return await self._page(page)

    async def _joint_incidents(self) -> JointIncidents:
        known = await self.view.incidents.snapshots(tuple(State))
        alerts = await self.view.incident_alerts.of_incidents()
        return JointIncidents(((entry.incident, entry.value) for entry in known), alerts)

    async def incident(self, _: Values, incident: str) -> Answer:
        """An incident's newest snapshot with its timeline."""
        document, partition = await self._take_snapshot(incident)
        entries = await self.view.timeline.of(incident, partition)
        document["timeline"] = list(map(orjson.Fragment, entries.values))
        if entries.dropped:
            document["timeline_dropped"] = entries.dropped
        return await self._answer(document)

    async def timeline(self, _: Values, incident: str) -> Answer:
        """An incident's newest snapshot, its timeline, and the messages that it sent."""
        document, partition = await self._take_snapshot(incident)
        entries = await self.view.timeline.of(incident, partition)
        sent = await self._notifications(incident)
        body = {
            "incident": document,
            "timeline": list(map(orjson.Fragment, entries.values)),
            "timeline_dropped": entries.dropped,
            "notifications": sent,
        }
        return await self._answer(body)

    async def report(self, query: Values, incident: str) -> Answer:
        """The report of an incident, as a document or in Markdown."""
        check_names(query, ("format",))
        chosen = choices_of(query, "format", ("json", "markdown"))
        document, partition = await self._take_snapshot(incident)
        timeline = (await self.view.timeline.of(incident, partition)).values
        escalations = (await self.view.escalations.of(incident, partition)).values
        tasks = [task for task in await self.view.tasks.tasks() if task["incident"] == incident]
        report = build_report(
            document,
            map(orjson.loads, timeline),
            await self._notifications(incident),
            map(orjson.loads, escalations),
            tasks,
        )
        if "markdown" in chosen:
            return Answer(report_markdown(report), "text/markdown")
        return await self._answer(report)

    async def followups(self, query: Values) -> Answer:
        """A page of follow-up tasks, the next due first."""
        check_names(query, ("state", "limit", "cursor"))
        wanted = text_of(query, "state") or "open"
        if wanted not in ("open", "all"):
            raise BadInput(Reason.MALFORMED, f"state: is {wanted!r:.60}, must be open or all")
        page: Page[Document] = Page(limit_of(query))
        cursor = cursor_of(query)
        for task in await self.view.tasks.tasks():
            place = (task["due_at"], task["task"])
            if place <= cursor or (wanted == "open" and task["state"] != "open"):
                continue
            size = len(orjson.dumps(task))
            if page.is_full(size):
                break
            page.add(task, place, size)
        return await self._page(page)

    async def availability(self, query: Values) -> Answer:
        """How much of a month each service of the policy was up."""
        check_names(query, ("month",))
        text, now_ms = text_of(query, "month"), self._log.now_ms()
        try:
            month = month_of(text, now_ms)
        except ValueError as error:
            raise BadInput(Reason.MALFORMED, str(error)) from None
        if month[0] > now_ms:
            this = format_instant(now_ms)[:7]
            message = f"the month is {text!r}, which has not begun: this one is {this}"
            raise BadInput(Reason.MALFORMED, message)
        ledger = await self.outages.ledger()
        targets = self._policy().policy.targets.availability
        kept_ms = await self.outages.kept_from_ms()
        body = {
            "services": availability_rows(targets, ledger, month, now_ms),
            "kept_from": format_instant(kept_ms) if kept_ms > month[0] else None,
        }
        return await self._answer(body)

    async def happened(self, query: Values) -> Answer:
        """What happened in the last hours, what woke people, and which targets the month kept."""
        check_names(query, ("hours",))
        count = number_of(query, "hours", DAY_HOURS, HOURS_MAX)
        ledger, now_ms = await self.activity.ledger(), self._log.now_ms()
        zone = night_zone(self._policy().policy)
        body = {
            "hours": hour_documents(ledger.hours(count, now_ms)),
            "noise": [asdict(row) for row in ledger.noise(now_ms - count * HOUR_MS, zone)],
            "targets": [asdict(row) for row in ledger.targets(month_of("", now_ms))],
            "night": {"from": NIGHT[0], "to": NIGHT[1], "zone": str(zone)},
        }
        return await self._answer(body)

    async def deadletters(self, query: Values) -> Answer:
        """A page of dead letters, oldest first; with what was refused if `values` is yes."""
        check_names(query, ("reason", "values", "limit", "cursor"))
        reasons = choices_of(query, "reason", tuple(Reason))
        values = "yes" in choices_of(query, "values", ("yes", "no"))
        limit, cursor = limit_of(query), cursor_of(query)
        bodies, page = Bodies(self._log, self._config), Page[Document](limit)
        for letter in await self.view.letters.letters():
            place = (letter.at, f"{letter.partition:04d}-{letter.place:019d}")
            if place <= cursor or (reasons and letter.reason not in reasons):
                continue
            item = letter_document(letter, await bodies.of(letter) if values else None)
            size = len(orjson.dumps(item))
            if page.is_full(size):
                break
            page.add(item, place, size)
        return await self._page(page)

    async def deadletter(self, _: Values, letter: str) -> Answer:
        """One dead letter, with as much of what was refused as it has."""
        known = await self._letter(letter)
        body = await Bodies(self._log, self._config).of(known)
        return await self._answer(letter_document(known, body))

    async def deadletter_value(self, _: Values, letter: str) -> Answer:
        """The bytes that were refused.

        The header `Tocsin-Value` says what they are: `whole`, `beginning` where the record that
        they came from is gone, or `record` where only the record around them can be given.
        """
        known = await self._letter(letter)
        body = await Bodies(self._log, self._config).of(known)
        value, kind = await whole_value(self._log, self._config, known, body), "whole"
        if value == b"" and known.source[0] == "raw":
            value, kind = await record_of(self._log, self._config, known), "record"
        if value is None:
            value, kind = value_in(body), "beginning"
        return Answer(value, "application/octet-stream", (("Tocsin-Value", kind),))

    async def explain(self, query: Values) -> Answer:
        """Why something is as it is: by `id`, or by `record`."""
        check_names(query, ("id", "record", "format"))
        name, record = text_of(query, "id"), text_of(query, "record")
        if bool(name) == bool(record):
            raise BadInput(Reason.MALFORMED, "explain: must have id or record, one of them")
        return await self._explain(query, name, record)

    async def explain_incident(self, query: Values, incident: str) -> Answer:
        """Why an incident is as it is."""
        check_names(query, ("format",))
        partition_of_incident(incident, self._config.partitions)
        return await self._explain(query, incident, "")

    async def _explain(self, query: Values, name: str, record: str) -> Answer:
        chosen = choices_of(query, "format", ("json", "text"))
        if self._waiting >= WORK_MAX:
            raise LogUnavailable(f"{self._waiting} explanations are waited for already")
        self._waiting += 1
        try:
            async with asyncio.timeout(self._explain_seconds), self._explaining:
                archive = Archive(Source(self._log, self._config, "the journal"))
                tracer = Tracer(archive, self._policy, self._index)
                node = await answer(archive, tracer, self._config.policy_file, name, record)
        except NotRetained as error:
            raise Absent("not_kept", str(error)) from None
        except TimeoutError:
            text = f"the explanation took more than {EXPLAIN_SECONDS:g} s; tocsin explain --journal has no limit"
            raise LogUnavailable(text) from None
        finally:
            self._waiting -= 1
        if "text" in chosen:
            return Answer("\n".join(lines(node)) + "\n", "text/plain")
        return await self._answer({"explanation": node.document()})

    async def _take_snapshot(self, incident: str) -> tuple[Document, int]:
        partition = partition_of_incident(incident, self._config.partitions)
        value = await self.view.incidents.snapshot(incident, partition)
        if value is None:
            known = ", ".join(await self.view.incidents.newest_ids(3)) or "none yet"
            text = f"no incident {incident!r}; the newest are: {known}"
            raise Absent(Reason.UNKNOWN_INCIDENT, text)
        document: Document = orjson.loads(value)
        return document, partition

    async def _notifications(self, incident: str) -> list[Document]:
        entries = await self.view.notifications.of(incident)
        sent = [orjson.loads(value) for value in entries.values]
        # The actors of digests live in other partitions.
        return sorted(sent, key=lambda notification: str(notification["at"]))

    async def _letter(self, name: str) -> Letter:
        letters = await self.view.letters.letters()
        for letter in letters:
            if letter.id == name:
                return letter
        known = ", ".join(letter.id for letter in letters[-3:]) or "none"
        raise Absent("unknown_letter", f"no dead letter {name!r:.80}; the newest are: {known}")

    async def _page(self, page: "Page[T]") -> Answer:
        return await self._answer({"items": page.items, "next": page.next})

    async def _answer(self, document: Document) -> Answer:
        """The document with the time of now, and the time as of which it is complete."""
        as_of_ms, now_ms = await self.view.as_of_ms(), self._log.now_ms()
        times = {"now": format_instant(now_ms), "as_of": format_instant(as_of_ms)}
        return Answer({**document, **times})


def letter_document(letter: Letter, body: Document | None) -> Document:
    """A letter, with what was refused if its body is given."""
    topic, partition, offset = letter.source
    summary = {
        "at": letter.at,
        "reason": letter.reason,
        "message": letter.message,
        "topic": topic,
        "partition": partition,
        "offset": offset,
        "first": letter.first,
    }
    return {
        **(summary if body is None else body),
        "id": letter.id,
        "resubmitted": letter.resubmitted or None,
    }


Ask = Callable[..., Coroutine[None, None, Answer]]
INCIDENT_PATH = "/api/v1/incidents/{incident}"
LETTER_PATH = "/api/v1/deadletters/{letter}"

# What there is, by path. A part in braces is handed over by its name.
RESOURCES: Mapping[str, Ask] = {
    "/api/v1/incidents": Board.incidents,
    INCIDENT_PATH: Board.incident,
    f"{INCIDENT_PATH}/timeline": Board.timeline,
    f"{INCIDENT_PATH}/report": Board.report,
    f"{INCIDENT_PATH}/explain": Board.explain_incident,
    "/api/v1/explain": Board.explain,
    "/api/v1/followups": Board.followups,
    "/api/v1/activity": Board.happened,
    "/api/v1/availability": Board.availability,
    "/api/v1/deadletters": Board.deadletters,
    LETTER_PATH: Board.deadletter,
    f"{LETTER_PATH}/value": Board.deadletter_value,
}
