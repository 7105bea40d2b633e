"""The bridge: 200 only after the journal has acknowledged; what is malformed is told, by path and reason."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from app import metrics
from app.bridge.writer import JournalWriter
from app.clock import Clock
from app.core.rulebook import Rulebook
from app.normalise import Result, from_list, from_webhook, parse
from app.settings import Settings
from app.transport.log import Log, LogUnavailable, NewRecord
from app.worker import Worker
from models.command import Command
from models.incident import partition_from_id
from models.journal import TICK, encode_alert, encode_command
from models.reason import BadInput, Reason
from models.topics import Topics

BODY_BYTES_MAX = 10 * 1024 * 1024
BODY_SECONDS_MAX = 30  # a sender that dribbles must not hold a connection for ever
SHOWN_MAX = 10  # refused alerts that an answer names

Shape = Callable[[Any, int], Result]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Bridge:
    """The HTTP server. `worker` and `clock` are given where they run in the same process (`tocsin up`)."""

    def __init__(
        self,
        settings: Settings,
        policy: Rulebook,
        log: Log,
        *,
        worker: Worker | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._settings, self._policy, self._log = settings, policy, log
        self._worker, self._clock = worker, clock
        self._topics = Topics(settings.prefix)
        self._writer = JournalWriter(log, self._topics.journal, settings.partitions)
        self._runner: web.AppRunner | None = None
        self.url = ""

    async def start(self) -> None:
        """Listen. Raises OSError when the port is taken."""
        app = web.Application(client_max_size=BODY_BYTES_MAX, middlewares=[_answer_errors])
        app.router.add_post("/api/v2/alerts", self._post_alerts)
        app.router.add_post("/webhook/alertmanager", self._post_webhook)
        app.router.add_post("/api/v1/incidents/{incident}/{command}", self._post_command)
        app.router.add_get("/healthz", _healthy)
        app.router.add_get("/readyz", self._get_ready)
        app.router.add_get("/metrics", _get_metrics)
        if self._worker is not None:
            app.router.add_get("/progress", self._get_progress)
        if self._clock is not None and self._settings.clock == "driven":
            app.router.add_put("/clock", self._put_clock)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=5)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._settings.host, self._settings.port)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"

    async def stop(self) -> None:
        """Answer what is under way, and stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _post_alerts(self, request: web.Request) -> web.Response:
        return await self._take(request, from_list)

    async def _post_webhook(self, request: web.Request) -> web.Response:
        return await self._take(request, from_webhook)

    async def _take(self, request: web.Request, shape: Shape) -> web.Response:
        async with asyncio.timeout(BODY_SECONDS_MAX):
            body = await request.read()
        alerts, refused = shape(parse(body), self._log.now_ms())
        component = self._policy.component
        await self._writer.append(NewRecord(component(alert.labels).encode(), encode_alert(alert)) for alert in alerts)
        metrics.RECEIVED.labels("accepted").inc(len(alerts))
        if not refused:
            return _json({"status": "success", "accepted": len(alerts)})
        metrics.RECEIVED.labels("refused").inc(len(refused))
        shown = [{"reason": one.reason, "error": one.message} for one in refused[:SHOWN_MAX]]
        body_out = {
            "status": "error",
            "reason": refused[0].reason,
            "error": f"{len(refused)} of {len(alerts) + len(refused)} alerts refused; the others are accepted",
            "accepted": len(alerts),
            "refused": shown,
        }
        return _json(body_out, 400)

    async def _post_command(self, request: web.Request) -> web.Response:
        incident, name = request.match_info["incident"], request.match_info["command"]
        if name not in list(Command):
            raise BadInput(Reason.UNKNOWN_KIND, f"the command is {name!r}, must be one of {', '.join(Command)}")
        try:
            partition = partition_from_id(incident)
        except ValueError as error:
            raise BadInput(Reason.UNKNOWN_INCIDENT, str(error)) from None
        if partition >= self._settings.partitions:
            raise BadInput(Reason.UNKNOWN_INCIDENT, f"{incident!r} is of partition {partition}, which is not there")
        document = parse(await request.read() or b"{}")
        if not isinstance(document, dict):
            raise BadInput(Reason.MALFORMED, f"the body is {type(document).__name__}, must be an object with `by`")
        by, text = document.get("by"), document.get("text", "")
        if not isinstance(by, str) or not by or not isinstance(text, str):
            raise BadInput(Reason.MALFORMED, 'the body must be {"by": "your name", "text": "what you want to say"}')
        value = encode_command(name, incident, by, text=text)
        await self._writer.append_to(partition, NewRecord(incident.encode(), value))
        return _json({"status": "success", "incident": incident, "command": name}, 202)

    async def _get_ready(self, _: web.Request) -> web.Response:
        # Ready is what can take an alert: the journal has to answer.
        await asyncio.wait_for(self._log.end_offset(self._topics.journal, 0), 5)
        if self._worker is not None and not self._worker.ready.is_set():
            return _json({"status": "error", "error": "the worker has no partitions yet"}, 503)
        return _json({"status": "ready"})

    async def _get_progress(self, _: web.Request) -> web.Response:
        assert self._worker is not None
        ends = [await self._log.end_offset(self._topics.journal, one) for one in range(self._settings.partitions)]
        applied = {pipe.partition: pipe.settled_offset + 1 for pipe in self._worker.pipes.values()}
        done = [applied.get(partition, 0) for partition in range(self._settings.partitions)]
        return _json({"journal_end": ends, "applied": done, "counts": self._worker.counts()})

    async def _put_clock(self, request: web.Request) -> web.Response:
        assert self._clock is not None
        document = parse(await request.read())
        now_ms, speed = document.get("now_ms"), document.get("speed", 0)
        if not isinstance(now_ms, int) or not isinstance(speed, int | float):
            raise BadInput(Reason.MALFORMED, 'the body must be {"now_ms": milliseconds, "speed": number}')
        try:
            self._clock.set(now_ms, speed)
        except ValueError as error:
            raise BadInput(Reason.BAD_TIME, str(error)) from None
        ticks = (self._writer.append_to(one, NewRecord(None, TICK)) for one in range(self._settings.partitions))
        await asyncio.gather(*ticks)
        return _json({"status": "success", "now_ms": self._clock.now_ms()})


@web.middleware
async def _answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every error as JSON with its reason; whose fault it is tells the status."""
    try:
        response = await handler(request)
    except BadInput as refusal:
        response = _error(413 if refusal.reason is Reason.TOO_LARGE else 400, refusal.reason, refusal.message)
    except LogUnavailable as error:
        text = f"{error}; assume that none of the alerts was kept, and send them again"
        response = _error(503, "journal_unavailable", text)
        response.headers["Retry-After"] = "5"
    except TimeoutError:
        response = _error(
            408, "too_slow", f"the body did not arrive within {BODY_SECONDS_MAX} s, or the journal not answer"
        )
    except web.HTTPRequestEntityTooLarge:
        response = _error(
            413, Reason.TOO_LARGE, f"the body is larger than {BODY_BYTES_MAX} bytes: send fewer alerts at once"
        )
    except web.HTTPException as error:
        ways = "POST /api/v2/alerts, POST /webhook/alertmanager, POST /api/v1/incidents/ID/COMMAND, GET /readyz"
        response = _error(error.status, "no_such_resource", f"{request.method} {request.path}: there is {ways}")
    path = request.match_info.route.resource.canonical if request.match_info.route.resource else "other"
    metrics.REQUESTS.labels(path, str(response.status)).inc()
    return response


async def _healthy(_: web.Request) -> web.Response:
    return _json({"status": "alive"})


async def _get_metrics(_: web.Request) -> web.Response:
    return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})


def _error(status: int, reason: str, text: str) -> web.Response:
    return _json({"status": "error", "reason": reason, "error": text}, status)


def _json(document: dict[str, Any], status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(document), status=status, content_type="application/json")
