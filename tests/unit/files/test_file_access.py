"""Settings are read without waiting for anybody, and what holds alerts is for its owner only."""

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.bridge.access.certificates import certificate_of
from app.bridge.access.tokens import tokens_in
from app.bridge.commands.pagerduty_routes import secrets_of
from app.cli import main as command_line
from app.files.policy_file import load_policy
from app.notifier.replies.link_key import one_tap_of
from app.settings import HttpSecurity, KafkaSecurity
from app.transport.security import client_settings
from app.transport.sqlite import SqliteLog
from models.topics import TopicSpec
from tests.support.driven_loop import run_driven

KINDS = "it is a FIFO, must be a plain file"


@pytest.fixture
def fifo(tmp_path: Path) -> str:
    """A FIFO that nobody writes into: to open it waits for ever."""
    path = tmp_path / "fifo"
    os.mkfifo(path)
    return str(path)


READERS: dict[str, Callable[[str], object]] = {
    "TOCSIN_TOKENS": tokens_in,
    "TOCSIN_LINK_KEY": one_tap_of,
    "TOCSIN_PAGERDUTY_KEY": secrets_of,
    "TOCSIN_TLS_CERT": lambda file: certificate_of(HttpSecurity(cert_file=file, key_file=file)),
    "TOCSIN_POLICY": load_policy,
    "TOCSIN_KAFKA_PASSWORD_FILE": lambda file: client_settings(
        KafkaSecurity(protocol="SASL_SSL", user="t", password_file=file)
    ),
}


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_a_fifo_is_refused(read: Callable[[str], object], fifo: str) -> None:
    """At once, with what it is."""
    with pytest.raises(Exception, match=KINDS):
        read(fifo)


def test_a_pipe_of_the_shell_is_read() -> None:
    """What was opened for the process before it began has a writer: `policy check <(...)` works."""
    read_end, write_end = os.pipe()
    os.write(write_end, b"nothing: here\n")
    os.close(write_end)
    try:
        assert command_line.main(["policy", "check", f"/dev/fd/{read_end}"]) == 1
    finally:
        os.close(read_end)


@pytest.fixture
def open_umask() -> Iterator[None]:
    """As most machines have it."""
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.mark.usefixtures("open_umask")
def test_the_journal_is_for_its_owner(tmp_path: Path) -> None:
    """Its folder and each of its files."""
    folder = tmp_path / "made" / "journal"

    async def scenario() -> None:
        log = SqliteLog(folder)
        await log.start()
        await log.ensure_topics([TopicSpec("t", 1, {})])
        try:
            modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()}
        finally:
            await log.stop()
        assert set(modes.values()) == {0o600}
        assert {"journal.db", "journal.db-wal", "journal.end", "lock"} <= set(modes)

    run_driven(scenario())

    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
