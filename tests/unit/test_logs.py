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
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, error: Exception, news: bool
) -> None:
    """asyncio's complaint of a stream that nobody waits for is no news.

    Any other that nobody asked for is.
    """
    monkeypatch.setattr(
        logging.getLogger("asyncio"), "filters", []
    )  # another test may have run a command
    asyncio.run(_forget(error))

    said = [record for record in caplog.records if record.name == "asyncio"]
    assert [is_news(record) for record in said] == [news]
    assert said[0].levelno == logging.ERROR
