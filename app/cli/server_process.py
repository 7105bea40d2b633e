"""The processes that serve until they are told to stop: worker, bridge, notifier, or all in one."""

import asyncio
import json

from app import settings
from app.bridge.commands.acts import act_runner
from app.bridge.http_server import MetricsServer
from app.bridge.resources import Bridge
from app.clock import Clock
from app.factory import TocsinApp, build, connect, make_log, start, stop, until_told
from app.memory import given_back
from app.notifier.service import Notifier, receivers_of
from app.notifier.setup.dry_run import print_plan
from app.settings import BadSettings, Settings
from app.transport.log import FollowedLog, Log
from app.web.site import Site
from app.worker.patient_start import leave_at_once, started, stop_signal, unless_stopped
from app.worker.policy_reload import PolicyReloader
from models.topics import Topics

Server = Bridge | MetricsServer | Notifier  # what is started, and stopped in reverse


def run_process(name: str, *, dry_run: bool = False) -> None:
    """Run a process of that name until it is told to stop. Raises BadSettings and LogUnavailable."""
    match name:
        case "up":
            config = settings.from_environment()
            asyncio.run(serve(config, worker=True, bridge=True, notifier=True))
        case "worker":
            asyncio.run(serve(_kafka_only(name), worker=True, bridge=False))
        case "bridge":
            asyncio.run(serve(_kafka_only(name), worker=False, bridge=True))
        case _:
            _notifier(dry_run=dry_run)


def _notifier(*, dry_run: bool) -> None:
    if dry_run:
        asyncio.run(print_plan(settings.from_environment()))
        return
    config = _kafka_only("notifier")
    if not config.receivers_file:
        raise BadSettings(
            "TOCSIN_RECEIVERS is not set, must be a receivers file (docs/NOTIFIER.md)"
        )
    asyncio.run(serve(config, worker=False, bridge=False, notifier=True))


def _kafka_only(name: str) -> Settings:
    config = settings.from_environment()
    if config.embedded:
        raise BadSettings(
            f"tocsin {name} shares its journal with others, so it needs TOCSIN_BROKER=kafka://...; alone, use tocsin up"
        )
    return config


async def serve(config: Settings, *, worker: bool, bridge: bool, notifier: bool = False) -> None:
    """Run a worker, a bridge, a notifier, until told to stop. Prints one line of JSON when ready."""
    settings.check_reach(config)
    receivers = receivers_of(config) if notifier else None
    reloader = PolicyReloader(config.policy_file)
    clock = Clock(driven=config.clock == "driven", begins_ms=config.clock_begins_ms)
    log = make_log(config, clock)
    app = build(config, reloader.policy, log, clock) if worker else None
    servers = _servers(config, reloader, log, app, clock, bridge=bridge)
    if notifier:
        handler = act_runner(log, Topics(config.prefix), config.partitions)
        deliverer = Notifier(config, log, receivers, handler)
        servers.insert(0, deliverer)
        reloader.reload_also("receivers", deliverer.reload)
        if config.metrics_port and not worker:
            servers.insert(0, MetricsServer(config))
    for server in servers:
        if not isinstance(server, Notifier):
            await server.check()
    async with stop_signal() as told, reloader.kept_fresh(), given_back():
        if not await unless_stopped(_start(config, servers, app, log), told):
            leave_at_once()
        # A worker without a port for metrics serves nothing.
        url = servers[-1].url if servers and isinstance(servers[-1], Bridge) else None
        print(json.dumps({"ready": True, "url": url}), flush=True)
        await until_told(app, told)
    await _end(servers, app, log)


async def _start(
    config: Settings, servers: list[Server], app: TocsinApp | None, log: FollowedLog
) -> None:
    """Start everything, once the log answers."""
    await started(lambda: connect(config, log, worker=app is not None))
    if app is not None:
        await start(app)
    try:
        for server in servers:
            await server.start()
    except BadSettings:
        await _end(
            servers, app, log
        )  # else what has been started goes on without a bridge, and never ends
        raise


async def _end(servers: list[Server], app: TocsinApp | None, log: Log) -> None:
    for server in reversed(servers):
        await server.stop()
    if app is not None:
        await stop(app)
    await log.stop()


def _servers(
    config: Settings,
    reloader: PolicyReloader,
    log: FollowedLog,
    app: TocsinApp | None,
    clock: Clock,
    *,
    bridge: bool,
) -> list[Server]:
    """What is to be served, the bridge last.

    Raises BadSettings, while nothing has been started yet.
    """
    servers: list[Server] = []
    owner = app.owner if app is not None else None
    if owner is not None:
        reloader.hand_to(owner.use)
        if config.metrics_port:
            servers.append(MetricsServer(config))
    if bridge:
        server = Bridge(
            config,
            reloader.policy,
            log,
            worker=owner,
            clock=clock,
            reloader=reloader,
            pages=Site,
        )
        reloader.hand_to(server.use)
        servers.append(server)
    return servers
