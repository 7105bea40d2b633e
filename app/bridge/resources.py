"""The resources of the bridge.

200 only after the journal has acknowledged; what is malformed is told, by path and reason.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import orjson
from aiohttp import web

from app import metrics
from app.bridge.access.authorization import Asker, asker_of
from app.bridge.access.request_bodies import Bodies
from app.bridge.alertmanager.alert_routes import AlertRoutes
from app.bridge.alertmanager.silence_answers import SilenceAnswers
from app.bridge.alertmanager.silence_routes import SilenceRoutes
from app.bridge.board.availability import AvailabilityMetrics
from app.bridge.board.board import Board
from app.bridge.board.board_routes import board_routes
from app.bridge.commands.acts import ActRunner
from app.bridge.commands.answers import ANSWER_SECONDS, NOT_ANSWERED, CommandAnswers, status_of
from app.bridge.commands.link_routes import LinkRoutes
from app.bridge.commands.merges import refusal_of_merge
from app.bridge.commands.opening_routes import OpeningRoutes
from app.bridge.commands.openings import Openings
from app.bridge.commands.pagerduty_routes import PagerDutyRoutes, secrets_of
from app.bridge.connections.limits import Limits, limits_of
from app.bridge.connections.partial_refusal import partial_refusal
from app.bridge.connections.refusals import count_refusal
from app.bridge.connections.responses import error_json, json_response, refuse_web_page
from app.bridge.health.health_routes import HealthRoutes
from app.bridge.health.health_watch import HealthWatch
from app.bridge.health.heartbeat import Heartbeat
from app.bridge.http_server import HttpServer, answer_metrics, get_health
from app.bridge.parts import BridgeParts, Pages, Routed
from app.bridge.senders.heartbeat_routes import HeartbeatRoutes
from app.bridge.senders.keyed_alerts import KeyedAlerts
from app.bridge.senders.pagerduty_event_routes import PagerDutyEventRoutes
from app.bridge.senders.sns_routes import SnsRoutes
from app.bridge.senders.webhook_routes import WebhookRoutes
from app.bridge.writer import JournalWriter
from app.clock import Clock, Stopwatch
from app.core.rules.compiled_policy import CompiledPolicy
from app.files.policy_file import BadPolicy
from app.files.yaml_file import BadFile
from app.history.view import View
from app.intake.commands import (
    command_of,
    command_value,
    partition_of_incident,
    receipts_of,
    resubmitted_record,
)
from app.intake.normalise import Entries, in_list, in_webhook, parse_alerts
from app.intake.records import Intake
from app.intake.requests import records_of_request
from app.notifier.replies.link_key import one_tap_of
from app.settings import Settings
from app.transport.log import FollowedLog, LogUnavailable, NewRecord
from app.worker.policy_reload import PolicyReloader
from app.worker.worker import Worker
from models.reason import BadInput, Reason
from models.text.plural import plural
from models.topics import Topics
from models.wire import ClockRequest

Shape = Callable[[Any], Entries]


class Bridge:
    """The HTTP server.

    `worker` and `clock` are given where they run in the same process (`tocsin up`).
    """

    def __init__(
        self,
        settings: Settings,
        policy: CompiledPolicy,
        log: FollowedLog,
        *,
        worker: Worker | None = None,
        clock: Clock | None = None,
        limits: Limits | None = None,
        reloader: PolicyReloader | None = None,
        answer_seconds: float = ANSWER_SECONDS,
        pages: Callable[[BridgeParts], Pages] | None = None,
        stopwatch: Stopwatch | None = None,
    ) -> None:
        """Make it; `limits` are those of the settings, `reloader` reads the policy again when somebody asks for it.

        A command is answered after `answer_seconds` at the most, whatever came of it. `pages` makes
        what is served to browsers. `stopwatch` tells for how long no worker was heard of.

        Raises BadSettings when tokens, certificates or keys cannot be read.
        """
        self._settings, self._policy, self._log = settings, policy, log
        self._worker, self._clock, self._reloader = worker, clock, reloader
        limits = limits or limits_of(settings.http)
        self._bodies = Bodies(limits)
        self._intake = Intake()
        self._topics = Topics(settings.prefix)
        self._writer = JournalWriter(log, self._topics.journal, settings.partitions)
        self._answers = CommandAnswers(log, self._topics, self._writer, answer_seconds)
        silence_answers = SilenceAnswers(
            log, self._topics, settings.partitions, self._writer, answer_seconds
        )
        self._silences = SilenceRoutes(
            log, self._topics.silences, silence_answers, policy, self._bodies
        )
        self._availability = AvailabilityMetrics(
            log, self._topics.timeline, settings.partitions, policy
        )
        view = View(log, self._topics, settings.partitions)
        self._health = HealthWatch(settings, view, lambda: self._policy, stopwatch)
        address = settings.heartbeat_url
        self._heartbeat = Heartbeat(address, self._health, self._writer) if address else None
        self._alerts = AlertRoutes(view, lambda: self._policy)
        self._board = Board(
            view,
            settings,
            lambda: self._policy,
            self._availability.outages,
        )
        incidents = self._board.view.incidents
        acts = ActRunner(
            log,
            self._topics,
            settings.partitions,
            self._writer,
            incidents,
            answer_seconds,
            self._answers,
        )
        self._senders = self._sender_routes(view, acts, answer_seconds)
        one_tap = one_tap_of(settings.link_key_file)
        self._links = LinkRoutes(one_tap, acts, log) if one_tap is not None else None
        secrets = secrets_of(settings.pagerduty_key_file)
        self._pagerduty = (
            PagerDutyRoutes(secrets, acts, lambda: self._policy, limits) if secrets else None
        )
        self._pages = pages(self._parts()) if pages is not None else None
        needs = self._pages.needs if self._pages is not None else None
        self._server = HttpServer(settings, settings.port, limits, pages=needs)

    def _sender_routes(
        self, view: View, acts: ActRunner, answer_seconds: float
    ) -> tuple[Routed, ...]:
        """What takes alerts in shapes of others, and what people open."""
        partitions, http = self._settings.partitions, self._settings.http
        openings = Openings(
            self._log, self._topics, partitions, self._writer, lambda: self._policy, answer_seconds
        )
        self._answers.on_done = openings.end
        keyed = KeyedAlerts(view.alerts)
        webhooks = WebhookRoutes(self._bodies, keyed, self._accept, lambda: self._policy)
        sns = (
            [SnsRoutes(self._settings, self._bodies, webhooks, self._log)]
            if self._settings.sns_topics
            else []
        )
        return (
            *sns,
            OpeningRoutes(openings, self._answers, self._bodies, partitions),
            HeartbeatRoutes(self._log, lambda: self._policy, self._accept),
            webhooks,
            PagerDutyEventRoutes(
                self._bodies,
                keyed,
                self._accept,
                acts,
                lambda: self._server.tokens,
                http.allowed_hosts,
            ),
        )

    def _parts(self) -> BridgeParts:
        return BridgeParts(
            self._settings,
            self._log,
            self._topics,
            lambda: self._policy,
            self._board,
            self._answers,
            self._silences,
            lambda: self._server.tokens,
            self._health.now,
        )

    async def check(self) -> None:
        """Raise BadSettings when nothing can listen there."""
        await self._server.check()

    async def start(self) -> None:
        """Listen. Raises BadSettings when the port is taken."""
        pages, outermost = self._pages, [self._health.middleware()]
        if pages is None:
            await self._server.start(self.routes(), outermost=outermost)
        else:
            outermost += pages.middlewares()
            await self._server.start(self.routes(), pages.routes(), outermost)
        await self._health.start()
        if self._heartbeat is not None:
            await self._heartbeat.start()

    def routes(self) -> list[web.RouteDef]:
        """What there is."""
        routes = [
            web.post("/api/v2/alerts", self._post_alerts),
            web.post("/webhook/alertmanager", self._post_webhook),
            *self._alerts.routes(),
            *(route for part in self._senders for route in part.routes()),
            *board_routes(self._board),
            web.post("/api/v1/incidents/{incident}/{command}", self._post_command),
            web.post("/api/v1/receipts", self._post_receipts),
            web.post("/api/v1/deadletters/{letter}/resubmitted", self._post_resubmitted),
            *self._silences.routes(),
            web.get("/healthz", get_health),
            web.get("/-/healthy", get_health),
            *HealthRoutes(self._health, self._writer).routes(),
            web.get("/metrics", self._get_metrics),
        ]
        if self._links is not None:
            routes += self._links.routes()
        if self._pagerduty is not None:
            routes += self._pagerduty.routes()
        if self._reloader is not None:
            routes.append(web.post("/-/reload", self._post_reload))
        if self._worker is not None:
            routes.append(web.get("/progress", self._get_progress))
        if self._clock is not None and self._settings.clock == "driven":
            routes.append(web.put("/clock", self._put_clock))
        return routes

    @property
    def url(self) -> str:
        """Where it listens, once it does."""
        return self._server.url

    async def stop(self) -> None:
        """Answer what is under way, and stop listening."""
        if self._heartbeat is not None:
            await self._heartbeat.stop()
        await self._health.stop()
        await self._availability.stop()
        if self._pages is not None:
            await self._pages.stop()
        await self._server.stop()
        await self._writer.stop()

    async def use(self, policy: CompiledPolicy) -> None:
        """Find components and teams by another policy from now on."""
        self._policy = policy
        self._silences.use(policy)
        self._availability.use(policy)

    async def _post_alerts(self, request: web.Request) -> web.Response:
        return await self._accept_alerts(request, in_list)

    async def _post_webhook(self, request: web.Request) -> web.Response:
        return await self._accept_alerts(request, in_webhook)

    async def _accept_alerts(self, request: web.Request, shape: Shape) -> web.Response:
        entries = shape(await self._bodies.read_json(request, parsed_by=parse_alerts))
        records, refused = self._journal_records(entries)
        del entries
        await self._write_alerts(records, refused, asker_of(request))
        if not refused:
            return json_response({"status": "success", "accepted": len(records)})
        for refusal in refused:
            count_refusal(refusal.reason, refusal.message)
        return partial_refusal(len(records), refused)

    async def _accept(self, entries: Entries, asker: Asker) -> list[BadInput]:
        """Write alerts into the journal; what was refused. Raises BadInput and LogUnavailable."""
        records, refused = self._journal_records(entries)
        await self._write_alerts(records, refused, asker)
        return refused

    async def _write_alerts(
        self, records: list[NewRecord], refused: list[BadInput], asker: Asker
    ) -> None:
        asker.count_alerts(len(records) + len(refused))
        await self._writer.append([record for _, record in records_of_request(records)])
        metrics.RECEIVED.labels("accepted").inc(len(records))
        metrics.RECEIVED.labels("refused").inc(len(refused))

    def _journal_records(self, entries: Entries) -> tuple[list[NewRecord], list[BadInput]]:
        """What goes to the journal, and what is refused.

        The entries are forgotten while the journal works.
        """
        return self._intake.records(entries, self._log.now_ms(), self._policy)

    async def _post_command(self, request: web.Request) -> web.Response:
        incident, command = (
            request.match_info["incident"],
            command_of(request.match_info["command"]),
        )
        partition = partition_of_incident(incident, self._settings.partitions)
        document, asker = await self._bodies.read_json(request), asker_of(request)
        value = command_value(
            incident,
            command,
            document,
            self._log.now_ms(),
            self._policy.policy.teams,
            asker.signature_of,
        )
        refusal = await refusal_of_merge(
            self._board.view.incidents, command, document, self._settings.partitions
        )
        if refusal is not None:
            count_refusal(*refusal)
            return error_json(status_of(refusal[0]), *refusal)
        outcome = await self._answers.send(incident, partition, value)
        if outcome is not None and outcome.refusal is not None:
            return await self._refused(incident, partition, *outcome.refusal)
        body: dict[str, Any] = {"status": "success", "incident": incident, "command": command}
        if outcome is None:
            return json_response(body | {"status": "accepted", "text": NOT_ANSWERED}, 202)
        body["texts"] = outcome.texts
        if outcome.snapshot is not None:
            body |= {"state": outcome.snapshot["state"], "snapshot": outcome.snapshot}
        return json_response(body)

    async def _refused(
        self, incident: str, partition: int, reason: Reason, message: str
    ) -> web.Response:
        """What the engine says against a command. It knows no closed incidents; the topic does."""
        count_refusal(reason, message)
        if reason is Reason.UNKNOWN_INCIDENT:
            known = await self._board.view.incidents.snapshot(incident, partition)
            if known is not None:
                reason = Reason.ILLEGAL_TRANSITION
                message = f"{incident} was closed at {orjson.loads(known)['closed_at']}"
            else:
                newest = ", ".join(await self._board.view.incidents.newest_ids(3)) or "none yet"
                message = f"no incident {incident!r}; the newest are: {newest}"
        return error_json(status_of(reason), reason, message)

    async def _post_receipts(self, request: web.Request) -> web.Response:
        receipts = receipts_of(await self._bodies.read_json(request), self._settings.partitions)
        by_partition: dict[int, list[NewRecord]] = {}
        for partition, incident, value in receipts:
            by_partition.setdefault(partition, []).append(NewRecord(incident.encode(), value))
        await self._writer.append_to(by_partition)
        return json_response({"status": "success", "accepted": len(receipts)}, 202)

    async def _post_resubmitted(self, request: web.Request) -> web.Response:
        letter = request.match_info["letter"]
        document, asker = await self._bodies.read_json(request), asker_of(request)
        partition, record = resubmitted_record(
            letter, document, self._settings.partitions, asker.signature_of
        )
        await self._writer.append_to({partition: [record]})
        return json_response({"status": "success", "letter": letter}, 202)

    async def _get_metrics(self, _: web.Request) -> web.Response:
        # While the log is away, the gauges are as of the last scrape, and the health tells it.
        with suppress(LogUnavailable):
            await self._availability.refresh()
        return answer_metrics()

    async def _get_progress(self, _: web.Request) -> web.Response:
        assert self._worker is not None
        ends = [
            await self._log.end_offset(self._topics.journal, index)
            for index in range(self._settings.partitions)
        ]
        applied = {pipe.partition: pipe.settled_offset + 1 for pipe in self._worker.pipes.values()}
        done = [applied.get(partition, 0) for partition in range(self._settings.partitions)]
        return json_response(
            {
                "journal_end": ends,
                "applied": done,
                "next_deadline_ms": self._worker.next_deadline_ms(),
                "counts": self._worker.counts(),
            }
        )

    async def _post_reload(self, request: web.Request) -> web.Response:
        assert self._reloader is not None
        refuse_web_page(request)
        try:
            changed = await self._reloader.reload()
        except BadPolicy as error:
            return _reload_refused(error, "the policy of before stays")
        answer = {"changed": changed, "policy": self._reloader.policy.fingerprint}
        try:
            renewed = await self._reloader.reload_others()
        except BadFile as error:
            return _reload_refused(error, "the receivers of before stay")
        return json_response({"status": "success"} | answer | renewed)

    async def _put_clock(self, request: web.Request) -> web.Response:
        assert self._clock is not None
        body = ClockRequest.of(await self._bodies.read_json(request))
        try:
            self._clock.set(body.now_ms, body.speed)
        except ValueError as error:
            raise BadInput(Reason.BAD_TIME, str(error)) from None
        await self._writer.tick()
        return json_response({"status": "success", "now_ms": self._clock.now_ms()})


def _reload_refused(error: BadFile, subject: str) -> web.Response:
    """400 with everything that is wrong with a file."""
    number = plural(len(error.problems), "mistake")
    message = f"{number}; {subject} in force: {error}"
    body = {"status": "error", "reason": Reason.MALFORMED, "error": message}
    return json_response(body | {"problems": error.problems}, 400)
