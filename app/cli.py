"""The commands of `tocsin`: each parses its arguments, calls one function, and turns known errors into one line."""

import argparse
import asyncio
import json
from collections.abc import Sequence
from typing import Any

from app import logs, outcome, settings
from app.bridge.server import Bridge
from app.bridge.serving import MetricsServer
from app.clock import Clock
from app.demo.run import main as demo_main
from app.explain.commands import add_explain
from app.history import show_incident, show_incidents
from app.main import TocsinApp, build, make_log, start, stop, until_told
from app.memory import given_back
from app.operating import add, add_journal, add_operating
from app.policy.commands import add_policy
from app.reloading import Reloader
from app.replay.commands import add_record, add_replay
from app.report.picturing import add_timeline
from app.report.show import show_availability, show_followups, show_report
from app.resubmitting import add_deadletters
from app.settings import BadSettings, Settings
from app.source import open_source
from app.transport.log import Log, LogUnavailable
from models.topics import Topics


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; the exit status, as `app.outcome` has it."""
    arguments = _parse(_parser(), argv)
    logs.to_stderr()
    return outcome.run(arguments)


def _parse(parser: argparse.ArgumentParser, argv: Sequence[str] | None) -> argparse.Namespace:
    """The arguments. Words that are said may stand behind options too, which argparse does not take by itself."""
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
    add(commands, "bridge", _bridge, "HTTP -> journal", "TOCSIN_BROKER=kafka://127.0.0.1:9092 tocsin bridge")
    demo = add(commands, "demo", _demo, "a bad day and a storm, with no broker", "tocsin demo --input alerts.jsonl")
    demo.add_argument(
        "--input", metavar="FILE", help="JSON lines of alerts, or the CSV of AIT-ADS, instead of the bad day"
    )
    demo.add_argument("--json", action="store_true", help="print one JSON object last")
    demo.add_argument("--keep", action="store_true", help="leave the service running, and say where")
    demo.add_argument("--journal", metavar="DIR", help="keep the journal in DIR; a temporary folder otherwise")
    demo.add_argument("--storm", type=int, default=60_000, metavar="N", help="alerts in the storm (60000)")
    demo.add_argument("--seed", type=int, default=7, help="of the storm (7)")
    _add_incidents(commands)
    add_policy(commands)
    add_operating(commands)
    add_deadletters(commands, _shown)
    add_record(commands)
    add_replay(commands)
    add_explain(commands)
    add_timeline(commands)
    for name, show, text in (
        ("report", show_report, "the incident report, in Markdown or JSON"),
        ("followups", show_followups, "what closed incidents left to do"),
        ("availability", show_availability, "how much of a month services were up"),
    ):
        reading = add(commands, name, _shown(show), text, f"tocsin {name}{' INC-...' if name == 'report' else ''}")
        add_journal(reading)
        reading.add_argument("--json", action="store_true", help="for programs")
        if name == "report":
            reading.add_argument("incident")
        elif name == "followups":
            reading.add_argument("--all", action="store_true", help="also those that are done")
        else:
            reading.add_argument("--month", default="", help="such as 2026-11; this month otherwise")
    return parser


def _add_incidents(commands: Any) -> None:
    incidents = commands.add_parser("incidents", help="list and show").add_subparsers(required=True, metavar="COMMAND")
    listed = add(incidents, "list", _list, "the incidents that are not closed", "tocsin incidents list --all --json")
    add_journal(listed)
    listed.add_argument("--all", action="store_true", help="closed ones too")
    listed.add_argument("--json", action="store_true", help="one JSON object a line")
    shown = add(
        incidents, "show", _show, "one incident and its timeline", "tocsin incidents show INC-20260412T031502Z-00K3F"
    )
    shown.add_argument("incident")
    add_journal(shown)
    shown.add_argument("--json", action="store_true", help="one JSON object")


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
    clock = Clock(driven=config.clock == "driven")
    log = make_log(config, clock)
    app = build(config, reloader.policy, log) if worker else None
    servers = _servers(config, reloader, log, app, clock, bridge=bridge)
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
        except OSError:
            await _end(servers, app, log)  # else what has been started goes on without a bridge, and never ends
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
    config: Settings, reloader: Reloader, log: Log, app: TocsinApp | None, clock: Clock, *, bridge: bool
) -> list[Bridge | MetricsServer]:
    """What is to be served, the bridge last. Raises BadSettings, while nothing has been started yet."""
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


def _demo(arguments: argparse.Namespace) -> int:
    return demo_main(arguments)


def _list(arguments: argparse.Namespace) -> int:
    return _reading(show_incidents, arguments)


def _show(arguments: argparse.Namespace) -> int:
    return _reading(show_incident, arguments)


def _shown(show: Any) -> Any:
    return lambda arguments: _reading(show, arguments)


def _reading(show: Any, arguments: argparse.Namespace) -> int:
    found = asyncio.run(_with_log(lambda log, config: show(log, config, arguments), getattr(arguments, "journal", "")))
    return 1 if found is False else 0


async def _with_log(use: Any, journal: str) -> Any:
    source = await open_source(journal, settings.from_environment())
    try:
        return await use(source.log, source.config)
    finally:
        await source.log.stop()
