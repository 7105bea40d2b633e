"""The commands of `tocsin`.

What serves is here, and every other command is added by the module that has it.
"""

import argparse
import asyncio
import json
from collections.abc import Sequence

from app import logs, settings
from app.bridge.http_server import MetricsServer
from app.bridge.resources import Bridge
from app.cli import exit_status
from app.cli.arguments import add
from app.cli.deadletters_resubmit import add_deadletters
from app.cli.demo import add_demo
from app.cli.explain import add_explain
from app.cli.incident_commands import add_operating
from app.cli.incidents import add_incidents
from app.cli.policy import add_policy
from app.cli.replay import add_record, add_replay
from app.cli.report import add_reports
from app.cli.timeline import add_timeline
from app.clock import Clock
from app.factory import TocsinApp, build, make_log, start, stop, until_told
from app.memory import given_back
from app.settings import BadSettings, Settings
from app.transport.log import Log, LogUnavailable
from app.worker.policy_reload import Reloader
from models.topics import Topics


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; the exit status, as `app.cli.exit_status` has it."""
    arguments = _parse(_parser(), argv)
    logs.to_stderr()
    return exit_status.run(arguments)


def _parse(parser: argparse.ArgumentParser, argv: Sequence[str] | None) -> argparse.Namespace:
    """The arguments.

    Words that are said may stand behind options too, which argparse does not take by itself.
    """
    arguments, rest = parser.parse_known_args(argv)
    if rest and ("text" not in arguments or any(word.startswith("-") for word in rest)):
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    if rest:
        arguments.text = [*arguments.text, *rest]
    return arguments


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tocsin",
        description="Turn a flood of alerts into a few incidents, and tell the right people, once.",
        epilog="Settings come from TOCSIN_* environment variables; see the README.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    add(commands, "up", _up, "worker and bridge in one process", "tocsin up")
    add(
        commands,
        "worker",
        _worker,
        "journal -> engine -> effects",
        "TOCSIN_BROKER=kafka://127.0.0.1:9092 tocsin worker",
    )
    add(
        commands,
        "bridge",
        _bridge,
        "HTTP -> journal",
        "TOCSIN_BROKER=kafka://127.0.0.1:9092 tocsin bridge",
    )
    add_demo(commands)
    add_incidents(commands)
    add_policy(commands)
    add_operating(commands)
    add_deadletters(commands)
    add_record(commands)
    add_replay(commands)
    add_explain(commands)
    add_timeline(commands)
    add_reports(commands)
    return parser


def _up(_: argparse.Namespace) -> None:
    asyncio.run(serve(settings.from_environment(), worker=True, bridge=True))


def _worker(_: argparse.Namespace) -> None:
    asyncio.run(serve(_kafka_only("worker"), worker=True, bridge=False))


def _bridge(_: argparse.Namespace) -> None:
    asyncio.run(serve(_kafka_only("bridge"), worker=False, bridge=True))


def _kafka_only(name: str) -> Settings:
    config = settings.from_environment()
    if config.embedded:
        raise BadSettings(
            f"tocsin {name} shares its journal with others, so it needs TOCSIN_BROKER=kafka://...; alone, use tocsin up"
        )
    return config


async def serve(config: Settings, *, worker: bool, bridge: bool) -> None:
    """Run a worker, a bridge or both until told to stop. Prints one line of JSON when ready."""
    settings.check_reach(config)
    reloader = Reloader(config.policy_file)
    clock = Clock(driven=config.clock == "driven", begins_ms=config.clock_begins_ms)
    log = make_log(config, clock)
    app = build(config, reloader.policy, log, clock) if worker else None
    servers = _servers(config, reloader, log, app, clock, bridge=bridge)
    for server in servers:
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
        print(json.dumps({"ready": True, "url": servers[-1].url if bridge else None}), flush=True)
        await until_told(app)
    await _end(servers, app, log)


async def _end(servers: list[Bridge | MetricsServer], app: TocsinApp | None, log: Log) -> None:
    for server in reversed(servers):
        await server.stop()
    if app is not None:
        await stop(app)
    await log.stop()


def _servers(
    config: Settings,
    reloader: Reloader,
    log: Log,
    app: TocsinApp | None,
    clock: Clock,
    *,
    bridge: bool,
) -> list[Bridge | MetricsServer]:
    """What is to be served, the bridge last.

    Raises BadSettings, while nothing has been started yet.
    """
    servers: list[Bridge | MetricsServer] = []
    owner = app.owner if app is not None else None
    if owner is not None:
        reloader.hand_to(owner.use)
        if config.metrics_port:
            servers.append(MetricsServer(config))
    if bridge:
        server = Bridge(config, reloader.policy, log, worker=owner, clock=clock, reloader=reloader)
        reloader.hand_to(server.use)
        servers.append(server)
    return servers
