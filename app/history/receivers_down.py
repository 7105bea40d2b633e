"""The receivers that the notifier cannot reach, as its own alerts about them say."""

import orjson

from app.history.topic_reader import TopicReader, Turnstile
from app.transport.log import Readable
from models.events_alert import AlertState

ALERTNAME = "TocsinReceiverDown"
_SIGN = ALERTNAME.encode()


class ReceiversDownView:
    """Reads what is new in `tocsin.alerts`, and keeps nothing but these alerts."""

    def __init__(self, log: Readable, topic: str, partitions: int) -> None:
        self._partitions = partitions
        self._turnstile = Turnstile()
        self._reader = TopicReader(log, topic, partitions, tombstones=True)
        self._down: dict[bytes, str] = {}  # fingerprint -> receiver

    async def names(self) -> list[str]:
        """The receivers that are down. Raises LogUnavailable."""
        async with self._turnstile as needed:
            if needed:
                for partition in range(self._partitions):
                    while (news := await self._reader.next_chunk(partition)) is not None:
                        for record in news:
                            self._note(record.key or b"", record.value)
        return list(self._down.values())

    def _note(self, fingerprint: bytes, value: bytes) -> None:
        self._down.pop(fingerprint, None)
        if _SIGN not in value:
            return
        document = orjson.loads(value)
        labels = document["labels"]
        if labels.get("alertname") == ALERTNAME and AlertState(document["state"]).fires:
            self._down[fingerprint] = labels.get("receiver", "")
