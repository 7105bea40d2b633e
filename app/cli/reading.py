"""Commands that read a journal: what runs them opens the source that their arguments name."""

import asyncio
from argparse import Namespace
from collections.abc import Awaitable, Callable

from app import settings
from app.history.source import open_source
from app.settings import Settings
from app.transport.log import Readable


def reading(
    show: Callable[[Readable, Settings, Namespace], Awaitable[bool | None]],
) -> Callable[[Namespace], int]:
    """A command that hands its log to `show`.

    Its exit status is 1 when `show` has nothing to show, which is False.
    """

    async def read(arguments: Namespace) -> int:
        async with open_source(arguments.journal, settings.from_environment()) as source:
            return 1 if await show(source.log, source.config, arguments) is False else 0

    return lambda arguments: asyncio.run(read(arguments))
