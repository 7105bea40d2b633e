"""A log that is only read: the one of the settings, or an embedded journal that is named."""

from dataclasses import replace
from pathlib import Path

from app.settings import EMBEDDED, Settings
from app.transport.kafka import KafkaLog
from app.transport.log import Log, LogUnavailable
from app.transport.security import client_settings
from app.transport.sqlite import SqliteLog


def with_journal(config: Settings, named: str) -> Settings:
    """The settings for an embedded journal's folder, or for the file in it; as they are if none is named.

    Raises LogUnavailable when there is no journal.
    """
    if not named:
        return config
    path = Path(named)
    folder = path.parent if path.name == "journal.db" else path
    if not (folder / "journal.db").is_file():
        raise LogUnavailable(f"{named}: is no embedded journal, must be a folder with a journal.db in it")
    return replace(config, broker=f"{EMBEDDED}{folder}")


def to_read(config: Settings) -> Log:
    """The log, to be started. Nothing is created in it."""
    if config.embedded:
        return SqliteLog(config.journal_dir, read_only=True)
    return KafkaLog(config.bootstrap, config.replication, client_settings(config.kafka))
