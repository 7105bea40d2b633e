"""`tocsin backup` and `tocsin restore`: a copy of an embedded journal, and the way back."""

import argparse
from pathlib import Path

from app import settings
from app.clock import system_ms
from app.settings import BadSettings
from app.transport.sqlite_backup import back_up, restore
from models.text.instant import format_instant

_KAFKA = (
    "TOCSIN_BROKER is {!r}, must be embedded:FOLDER: docs/OPERATIONS.md says how Kafka is backed up"
)


def add_arguments(parser: argparse.ArgumentParser, name: str) -> None:
    """Add the command's arguments."""
    if name == "backup":
        parser.set_defaults(run=_back_up)
        parser.add_argument(
            "file", metavar="FILE", help="a new file; TOCSIN_BROKER names the journal"
        )
    else:
        parser.set_defaults(run=_restore)
        parser.add_argument("file", metavar="FILE", help="a file that tocsin backup made")
        parser.add_argument(
            "--to", metavar="FOLDER", default="", help="a folder without a journal; TOCSIN_BROKER's"
        )


def _back_up(arguments: argparse.Namespace) -> None:
    copy = back_up(_folder(), Path(arguments.file), system_ms())
    print(f"{copy.path}: {copy.bytes:,} bytes, {copy.batches:,} batches, each checked")


def _restore(arguments: argparse.Namespace) -> None:
    folder = Path(arguments.to) if arguments.to else _folder()
    copy = restore(Path(arguments.file), folder, system_ms())
    made = format_instant(copy.at_ms)
    print(f"{copy.path}: as of {made}; {copy.batches:,} batches, each checked; epoch {copy.epoch}")
    print("What came after that is not in it. Senders repeat what still fires.")


def _folder() -> Path:
    config = settings.from_environment()
    if not config.embedded:
        raise BadSettings(_KAFKA.format(config.broker))
    return config.journal_dir
