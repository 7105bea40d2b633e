"""What a log on Kafka makes of a Kafka that does not answer."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError, KafkaTimeoutError

from app.transport import kafka
from app.transport.kafka import KafkaLog
from app.transport.log import LogUnavailable

READS: dict[str, Callable[[KafkaLog], Awaitable[Any]]] = {
    "read": lambda log: log.read("topic", 0, 0),
    "start_offset": lambda log: log.start_offset("topic", 0),
    "end_offset": lambda log: log.end_offset("topic", 0),
}


class Away:
    """A consumer of aiokafka's whose broker went away.

    It raises, or (without an error) never answers.
    """

    def __init__(self, error: Exception | None) -> None:
        self._error = error

    async def _answer(self, *_: object) -> None:
        if self._error is not None:
            raise self._error
        await asyncio.Event().wait()

    beginning_offsets = end_offsets = _answer


@pytest.mark.parametrize("name", READS)
@pytest.mark.parametrize(
    "error", [KafkaTimeoutError(), KafkaConnectionError("closed"), None], ids=repr
)
def test_what_is_not_answered_is_unavailable(
    monkeypatch: pytest.MonkeyPatch, name: str, error: Exception | None
) -> None:
    """Whoever reads hears the one error that the bridge answers with 503, and soon.

    The next reader has its turn.
    """
    monkeypatch.setattr(kafka, "READ_SECONDS", 0.01)

    async def run() -> None:
        log = KafkaLog(["127.0.0.1:1"])
        log._consumer = Away(error)
        for _ in range(2):
            with pytest.raises(LogUnavailable, match=r"Kafka at 127\.0\.0\.1:1 does not answer"):
                await READS[name](log)

    asyncio.run(run())
