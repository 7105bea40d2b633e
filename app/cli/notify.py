"""`tocsin notify`: check a receivers file, send a test message, and show what a message looks like."""

import argparse
import asyncio
import json
import sys

from app import settings
from app.cli.arguments import add_journal_option, add_json
from app.clock import system_ms
from app.files.yaml_file import BadFile
from app.history.not_retained import NotRetained
from app.history.source import open_source
from app.notifier.channel import ChannelKind
from app.notifier.channels.registry import REGISTRY
from app.notifier.channels.terminal import line_of
from app.notifier.ledger.contacts import ContactRoute
from app.notifier.setup import trial
from app.notifier.setup.assembly import assemble
from app.notifier.setup.receivers_file import Receivers, missing_secrets, model_of, read
from app.policy.schema import schema_text
from app.settings import BadSettings
from models.text.plural import plural
from models.text.sanitize import inert, inert_lines
from models.text.suggest import did_you_mean

_FILE = "a receivers file; what TOCSIN_RECEIVERS names otherwise"


def add_arguments(parser: argparse.ArgumentParser, name: str) -> None:
    """Add the command's arguments."""
    if name == "notify check":
        parser.set_defaults(run=_check)
        parser.add_argument("file", nargs="?", metavar="FILE", default="", help=_FILE)
        add_json(parser, "one JSON object")
    elif name == "notify schema":
        parser.set_defaults(run=_schema)
    elif name == "notify test":
        parser.set_defaults(run=_test)
        parser.add_argument("contact", metavar="CONTACT", help="an address or a name of the policy")
        channels = ("pager", "email", "chat")
        parser.add_argument("--channel", choices=channels, default="", help="only this")
        parser.add_argument("--dry-run", action="store_true", help="print it, and send nothing")
        _add_file(parser)
    else:
        parser.set_defaults(run=_preview)
        parser.add_argument("incident", metavar="INCIDENT")
        kinds = [str(kind) for kind in REGISTRY]
        parser.add_argument("--channel", choices=kinds, default="", help="the kind of receiver")
        _add_file(parser)
        add_journal_option(parser, "the journal of the settings is read")


def _add_file(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--file", metavar="FILE", default="", help=_FILE)


def _receivers(arguments: argparse.Namespace) -> Receivers:
    file = arguments.file or settings.from_environment().receivers_file
    if not file:
        raise BadSettings(
            "TOCSIN_RECEIVERS is not set, must be a receivers file; or name one as an argument"
        )
    return read(file, REGISTRY)


def _check(arguments: argparse.Namespace) -> int:
    try:
        receivers = _receivers(arguments)
    except BadFile as error:
        if not arguments.json:
            raise
        print(
            json.dumps({"good": False, "errors": [mistake.as_json() for mistake in error.mistakes]})
        )
        return 1
    warnings = missing_secrets(receivers)
    if arguments.json:
        print(json.dumps({"good": True, "warnings": [mistake.as_json() for mistake in warnings]}))
        return 0
    for warning in warnings:
        print(inert_lines(str(warning)))
    numbers = f"{plural(len(receivers.receivers), 'receiver')}, {plural(len(receivers.part.contacts), 'contact')}"
    print(inert(f"{receivers.path}: good: {numbers}, {plural(len(warnings), 'warning')}"))
    return 0


def _schema(_: argparse.Namespace) -> int:
    print(schema_text(model_of(frozenset(REGISTRY.items()))), end="")
    return 0


def _test(arguments: argparse.Namespace) -> int:
    receivers = _receivers(arguments)
    routes = _routes(receivers, arguments.contact, arguments.channel)
    return asyncio.run(_try(receivers, routes, dry_run=arguments.dry_run))


def _routes(receivers: Receivers, contact: str, channel: str) -> list[ContactRoute]:
    routes = [
        route for route in receivers.contacts.routes_of(contact) if channel in ("", route.channel)
    ]
    if not routes:
        parts = receivers.part.contacts
        known = [name for part in parts if (name := part.address or part.name)]
        hint = did_you_mean(contact, known) or f", must be one of {', '.join(known)}"
        raise NotRetained(f"{receivers.path} has no contact {contact!r}{hint}")
    return routes


async def _try(receivers: Receivers, routes: list[ContactRoute], *, dry_run: bool) -> int:
    assembly = assemble(receivers, REGISTRY)
    status = 0
    try:
        if dry_run:
            for route in routes:
                notification = trial.trial_notification(route, system_ms())
                for receiver in route.through:
                    address = route.address_at(receiver, route.address)
                    text = assembly.reach.channels[receiver].preview(notification, address)
                    print(inert(f"{route.channel} {route.address} through {receiver}:"))
                    print(inert_lines(text))
            return 0
        async for label, taken, answer in trial.try_routes(assembly, routes, system_ms()):
            end = f": {answer}" if answer else ""
            print(inert(f"{label}: {'taken' if taken else 'NOT taken'}{end}"))
            status = status if taken else 1
    finally:
        await assembly.close()
    return status


def _preview(arguments: argparse.Namespace) -> int:
    return asyncio.run(_show(arguments))


async def _show(arguments: argparse.Namespace) -> int:
    async with open_source(arguments.journal, settings.from_environment()) as source:
        notification = await trial.newest_of(source, arguments.incident)
    file = arguments.file or settings.from_environment().receivers_file
    if not file and arguments.channel in ("", ChannelKind.TERMINAL):
        print(line_of(notification, notification.address))
        return 0
    receivers = _receivers(arguments)
    through = receivers.contacts.through(notification)
    kinds = {name: receiver.kind for name, receiver in receivers.receivers.items()}
    if arguments.channel:
        through = tuple(name for name, kind in kinds.items() if kind == arguments.channel)
    if not through:
        raise NotRetained(f"{receivers.path} has no receiver for it")
    assembly = assemble(receivers, REGISTRY)
    try:
        address = receivers.contacts.address_at(through[0], notification)
        text = assembly.reach.channels[through[0]].preview(notification, address)
    finally:
        await assembly.close()
    print(inert(f"{through[0]} ({kinds[through[0]]}):"), file=sys.stderr)
    print(inert_lines(text))
    return 0
