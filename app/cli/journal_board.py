"""What a bridge would answer, from a journal that is opened for it."""

import asyncio
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager
from urllib.parse import unquote

import orjson

from app import settings
from app.bridge.board.board import RESOURCES, Ask, Board
from app.bridge.board.outages import OutageView
from app.cli.board_client import Parameters
from app.files import policy_file
from app.history.not_retained import NotRetained
from app.history.snapshots import SnapshotIndex
from app.history.source import open_source
from app.history.view import View
from app.settings import EMBEDDED, KAFKA, Settings
from app.transport.log import Readable
from models.reason import BadInput
from models.topics import Topics

CLOSED_MAX = 1_000_000  # closed incidents that a command reads

_RESOURCES: tuple[tuple[re.Pattern[str], Ask], ...] = tuple(
    (re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path)), ask)
    for path, ask in RESOURCES.items()
)


class JournalBoard:
    """Answers from a log. `run` is an event loop on which the log lives."""

    def __init__(
        self,
        log: Readable,
        config: Settings,
        run: asyncio.Runner,
        index: SnapshotIndex | None = None,
    ) -> None:
        topics = Topics(config.prefix)
        self._run = run
        self._board = Board(
            View(log, topics, config.partitions, CLOSED_MAX),
            config,
            lambda: policy_file.load_policy(config.policy_file),
            OutageView(log, topics.timeline, config.partitions, kept_ms=None),
            index,
            explain_seconds=None,
        )

    def get(self, path: str, parameters: Parameters) -> tuple[bytes, Mapping[str, str]]:
        """The body and the headers of an answer. Raises TocsinError."""
        query = {name: [value] for name, value in parameters.items()}
        for pattern, ask in _RESOURCES:
            match = pattern.fullmatch(path)
            if match is not None:
                parts = {name: unquote(value) for name, value in match.groupdict().items()}
                try:
                    answer = self._run.run(ask(self._board, query, **parts))
                except BadInput as error:
                    raise NotRetained(error.message) from None
                body = answer.body
                if isinstance(body, dict):
                    return orjson.dumps(body), {}
                return body.encode() if isinstance(body, str) else body, dict(answer.headers)
        raise AssertionError(path)


def environment_with(journal: str) -> tuple[Settings, str]:
    """The settings, and the path of a journal; empty for one that is named as TOCSIN_BROKER is."""
    if journal.startswith((EMBEDDED, KAFKA)):
        return settings.from_environment({**os.environ, "TOCSIN_BROKER": journal}), ""
    return settings.from_environment(), journal


@contextmanager
def opened(journal: str) -> Iterator[JournalBoard]:
    """The journal, open to be read. Raises TocsinError."""
    config, path = environment_with(journal)
    with asyncio.Runner() as run:
        stack = AsyncExitStack()
        source = run.run(stack.enter_async_context(open_source(path, config)))
        try:
            index = SnapshotIndex(f"{source.where} {source.config.prefix}")
            yield JournalBoard(source.log, source.config, run, index)
        finally:
            run.run(stack.aclose())
