"""Records as aiokafka's C code reads them, for the worker.

aiokafka copies each of them into a `ConsumerRecord`, which costs as much as reading it. The engine
reads five fields (`app.core.journal_record`), and the record that was read has all of them.
`tests/unit/transport/test_faust_contract.py` fails when a method that this relies on changes.
"""

from typing import Any

from aiokafka.consumer.fetcher import PartitionRecords
from faust.transport.drivers import aiokafka as driver


class PlainRecords(PartitionRecords):
    """A partition's fetched records, each as it was read."""

    def _consumer_record(self, tp: Any, record: Any) -> Any:  # noqa: ARG002  aiokafka's signature
        return record


def hand_through(fetcher: Any) -> None:
    """Let a fetcher of aiokafka give records as they were read, from its next answer on.

    What it was to hand out before is handed out as a `ConsumerRecord`, which has the same fields.
    """
    process_answer = fetcher._proc_fetch_request  # noqa: SLF001  there is no public way

    async def process_plainly(*request: Any) -> Any:
        outcome = await process_answer(*request)
        for result in fetcher._records.values():  # noqa: SLF001  as above
            records = getattr(result, "_partition_records", None)  # an error has none
            if records is not None:
                records.__class__ = PlainRecords
        return outcome

    fetcher._proc_fetch_request = process_plainly  # noqa: SLF001  as above


class PlainRecordsThread(driver.AIOKafkaConsumerThread):
    """The thread in which Faust's consumer fetches."""

    async def on_start(self) -> None:
        """Make the consumer; it has no partitions yet."""
        await super().on_start()
        hand_through(self._ensure_consumer()._fetcher)  # noqa: SLF001  as above
