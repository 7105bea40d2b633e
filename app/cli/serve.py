"""`tocsin up`, `worker`, `bridge` and `notifier`: what serves, until it is told to stop."""

import argparse
import asyncio
import json

from app import settings
from app.bridge.http_server import MetricsServer
from app.bridge.resources import Bridge
from app.clock import Clock
from app.factory import TocsinApp, build, make_log, start, stop, until_told
from app.memory import given_back
from app.notifier.runtime.service import Notifier, receivers_of
from app.notifier.setup.dry_run import print_plan
from app.settings import BadSettings, Settings
from app.transport.log import FollowedLog, Log, LogUnavailable
from app.web.site import Site
from app.worker.policy_reload import PolicyReloader
from models.topics import Topics

Server = Bridge | MetricsServer | Notifier  # what is started, and stopped in reverse


def add_arguments(parser: argparse.ArgumentParser, name: str) -> None:
    """Say which of them is to be run. Their settings are the environment's."""
    commands = {"up": _up, "worker": _worker, "bridge": _bridge, "notifier": _notifier}
    parser.set_defaults(run=commands[name])
    if name == "notifier":
        parser.add_argument(
            "--dry-run", action="store_true", help="print what would be sent, and send nothing"
        )


def _up(_: argparse.Namespace) -> None:
    asyncio.run(serve(settings.from_environment(), worker=True, bridge=True, notifier=True))


def _worker(_: argparse.Namespace) -> None:
    asyncio.run(serve(_kafka_only("worker"), worker=True, bridge=False))


def _bridge(_: argparse.Namespace) -> None:
    asyncio.run(serve(_kafka_only("bridge"), worker=False, bridge=True))


def _notifier(arguments: argparse.Namespace) -> None:
    if arguments.dry_run:
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
        deliverer = Notifier(config, log, receivers)
        servers.insert(0, deliverer)
        reloader.reload_also("receivers", deliverer.reload)
        if config.metrics_port and not worker:
            servers.insert(0, MetricsServer(config))
    for server in servers:
        if not isinstance(server, Notifier):
            await server.check()
    async with reloader.kept_fresh(), given_back():
        await log.start()
        try:
            if app is None:
                await log.ensure_topics(Topics(config.prefix).specs(config.partitions))
            else:
                await start(app)
        except LogUnavailable:
            await log.stop()
            raise
        try:
            for server in servers:
                await server.start()
        except BadSettings:
            await _end(
                servers, app, log
            )  # else what has been started goes on without a bridge, and never ends
            raise
        # A worker without a port for metrics serves nothing.
        url = servers[-1].url if servers and isinstance(servers[-1], Bridge) else None
        print(json.dumps({"ready": True, "url": url}), flush=True)
        await until_told(app)
    await _end(servers, app, log)


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
