"""Putting it together: `build` makes an app from settings and a policy; there is no global one."""

import asyncio
import logging
import tempfile
from pathlib import Path

import faust
from prometheus_client import REGISTRY

from agents import correlate, ingest, ticks
from app.clock import Clock
from app.core.rules.compiled_policy import CompiledPolicy
from app.settings import Settings
from app.transport.batches import BatchTransport
from app.transport.embedded import Transport as EmbeddedTransport
from app.transport.kafka import KafkaLog
from app.transport.log import FollowedLog, Log
from app.transport.security import client_settings
from app.transport.sqlite import SqliteLog
from app.worker.incident_metrics import IncidentMetrics
from app.worker.worker import Worker, crash_process
from models.topics import Topics

SESSION_TIMEOUT_S = (
    10.0  # after a kill -9 the partitions wait for the dead member so long; Faust's default is 60
)
STOP_SECONDS = 25.0  # less than what Kubernetes waits before it kills, 30


class TocsinApp(faust.App):
    """A Faust app that knows Tocsin's log and worker; the transports ask for them."""

    tocsin_log: Log
    owner: Worker
    incident_metrics: IncidentMetrics
    journal: str
    partitions: int


def make_log(config: Settings, clock: Clock | None = None) -> FollowedLog:
    """The log that the settings name.

    On a driven clock nothing expires: months are played in minutes, and are looked at afterwards.
    """
    if config.embedded:
        return SqliteLog(config.journal_dir, clock, expires=config.clock != "driven")
    return KafkaLog(config.bootstrap, config.replication, client_settings(config.kafka))


def build(
    config: Settings, policy: CompiledPolicy, log: Log, clock: Clock | None = None
) -> TocsinApp:
    """The app: its agents attached, its transport chosen; started with `start`.

    `clock` is the embedded journal's, where somebody may drive it.
    """
    topics = Topics(config.prefix)
    app = TocsinApp(
        config.prefix,
        broker="kafka://" + ";".join(config.bootstrap)
        if not config.embedded
        else "kafka://localhost",
        datadir=Path(tempfile.gettempdir())
        / f"{config.prefix}-faust",  # Faust makes it; nothing of ours is kept there
        broker_credentials=_faust_credentials(config),
        broker_session_timeout=SESSION_TIMEOUT_S,
        broker_heartbeat_interval=1.0,
        broker_commit_interval=1.0,
        consumer_max_fetch_size=2 * 1024 * 1024,
        consumer_group_instance_id=config.instance or None,
        stream_buffer_maxsize=4,  # events are batches
        table_standby_replicas=0,
        topic_allow_declare=False,
        topic_disable_leader=True,
        web_enabled=False,
        logging_config=None,
    )
    app.partitions, app.journal = config.partitions, topics.journal
    app.tocsin_log = log
    transport = EmbeddedTransport if config.embedded else BatchTransport
    app.transport = app.producer_transport = transport(app.conf.broker_consumer, app)
    worker = Worker(config, policy, log, topics)
    app.owner = worker
    correlate.attach_correlate(app, worker)
    ingest.attach(app, worker)
    ticks.attach_ticks(app, worker, clock or Clock())
    return app


def _faust_credentials(config: Settings) -> faust.SASLCredentials | faust.SSLCredentials | None:
    """What Faust hands to aiokafka's consumer, in its own words."""
    client = client_settings(config.kafka)
    context = client.get("ssl_context")
    if config.kafka.sasl:
        return faust.SASLCredentials(
            username=client["sasl_plain_username"],
            password=client["sasl_plain_password"],
            mechanism=client["sasl_mechanism"],
            ssl_context=context,  # with one it is SASL_SSL, without SASL_PLAINTEXT
        )
    return faust.SSLCredentials(context) if config.kafka.tls else None


async def connect(config: Settings, log: Log, *, worker: bool) -> None:
    """Connect the log and create the topics.

    Raises LogUnavailable, and the log is closed then: it can be connected anew.
    """
    try:
        await log.start()
        await log.ensure_topics(Topics(config.prefix).specs(config.partitions))
        if worker and isinstance(log, KafkaLog):
            await log.check_group(config.prefix)
    except BaseException:
        await log.stop()
        raise


async def start(app: TocsinApp) -> None:
    """Start, once the log is connected; returns when the worker has its partitions."""
    worker = app.owner
    if isinstance(worker.log, SqliteLog):
        worker.epoch = worker.log.epoch
    else:
        worker.epoch = worker.settings.epoch
    app.incident_metrics = IncidentMetrics(
        lambda: [pipe.engine for pipe in list(worker.pipes.values())]
    )
    REGISTRY.register(app.incident_metrics)
    await app.start()
    ready = asyncio.create_task(worker.ready.wait())
    crashed = _watch_crash(app)
    await asyncio.wait({ready, crashed}, return_when=asyncio.FIRST_COMPLETED)
    if crashed.done():
        raise SystemExit(f"the worker could not start: {app.crash_reason!r}")
    crashed.cancel()


def _watch_crash(app: TocsinApp) -> "asyncio.Task[bool]":
    """A task that ends when Faust has given the app up."""
    return asyncio.create_task(app._crashed.wait())  # noqa: SLF001  Faust has no public way to ask


async def stop(app: TocsinApp) -> None:
    """Finish and checkpoint what was accepted, and leave."""
    app.consumer.stop_flow()
    await app.owner.settle()
    await app.consumer.commit()
    await app.stop()
    app.owner.release()
    REGISTRY.unregister(app.incident_metrics)


async def until_told(app: TocsinApp | None, told: asyncio.Event) -> None:
    """Wait until `told` is set, which SIGINT and SIGTERM do (`app.worker.patient_start`).

    An app that Faust has given up works on nothing more, so its process ends at once.
    """
    waiting = {asyncio.create_task(told.wait())} | (
        {_watch_crash(app)} if app is not None else set()
    )
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    for task in waiting:
        task.cancel()
    if app is not None and not told.is_set():
        crash_process(
            "Faust has given the worker up", app.crash_reason or RuntimeError("it does not say why")
        )
    logging.getLogger("tocsin").info("stopping")
    # A broker that is away, or a disk that is full, would be waited for; what is not acknowledged
    # is done again.
    asyncio.get_running_loop().call_later(
        STOP_SECONDS,
        crash_process,
        "stopping",
        TimeoutError(f"it took more than {STOP_SECONDS:g} s"),
    )
