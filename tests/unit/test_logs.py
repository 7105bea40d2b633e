"""What the log leaves out."""

import asyncio
import gc
import logging
import ssl

import pytest

from app.logs import is_news


async def _forget(error: Exception) -> None:
    """Let asyncio find an error that nobody asked for."""
    asyncio.get_running_loop().create_future().set_exception(error)
    gc.collect()
    await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("error", "news"),
    [
        (ssl.SSLError(1, "bad certificate"), False),
        (ConnectionResetError(), False),
        (RuntimeError("ours"), True),
    ],
)
def test_connections_that_were_given_up(
    caplog: pytest.LogCaptureFixture, error: Exception, news: bool
) -> None:
    """asyncio's complaint of a stream that nobody waits for is no news.

    Any other that nobody asked for is.
    """
    asyncio.run(_forget(error))

    # Collecting may find what another test left behind.
    records = [one for one in caplog.records if one.exc_info and one.exc_info[1] is error]
    assert [(record.levelno, is_news(record)) for record in records] == [(logging.ERROR, news)]
