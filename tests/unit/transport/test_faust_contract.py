"""What we override of Faust, aiokafka and mode is private: these tests fail when it changes under us.

When one fails after an upgrade: read the new source beside app/transport/batches.py,
plain_records.py, kafka.py and embedded.py, adapt them, run `make integration`, and then take over
the new hash.
"""

import hashlib
import inspect
from importlib.metadata import version
from typing import Any

import pytest
from aiokafka.consumer.fetcher import Fetcher, FetchResult, PartitionRecords
from aiokafka.producer.message_accumulator import BatchBuilder
from faust.transport import consumer
from faust.transport.conductor import Conductor
from faust.transport.drivers import aiokafka as driver

OVERRIDDEN: list[tuple[Any, str]] = [
    (consumer.Consumer.getmany, "4b168d84882a"),
    (consumer.Consumer._wait_next_records, "6218e1969a63"),
    (consumer.Consumer._drain_messages, "44a2500309e8"),
    (consumer.Consumer._add_gap, "4df2573ded7c"),
    (consumer.Consumer._new_offset, "1d2c7ea89a7a"),
    (consumer.Consumer.on_buffer_full, "c8961679e0bc"),
    (consumer.Consumer.perform_seek, "0e8c130ff4b0"),
    (consumer.Consumer.on_partitions_revoked, "d04b7ae72c6f"),
    (consumer.Consumer.ack, "5fcf41cf4515"),
    (consumer.Consumer.force_commit, "cc094614d22c"),
    (consumer.Fetcher, "c922e4ab78d9"),
    (Conductor._update_indices, "619b3247b96a"),
    (driver.ConsumerRebalanceListener, "f3d04f29dfb3"),
    (driver.AIOKafkaConsumerThread.on_start, "38b4e8bd1e10"),
    (driver.Consumer._new_consumer_thread, "0870ec53dea7"),
    (Fetcher._proc_fetch_request, "59bf948fff47"),
    (FetchResult, "d7db13f06de8"),
    (PartitionRecords, "94aa0da0dbec"),
    (BatchBuilder, "8050802ca751"),
]


def test_versions() -> None:
    """The three packages are pinned."""
    found = {name: version(name) for name in ("faust-streaming", "aiokafka", "mode-streaming")}

    assert found == {"faust-streaming": "0.15.3", "aiokafka": "0.14.0", "mode-streaming": "0.7.1"}


@pytest.mark.parametrize(
    ("thing", "expected"), OVERRIDDEN, ids=lambda one: getattr(one, "__qualname__", "")
)
def test_source(thing: Any, expected: str) -> None:
    """The source of what we override, or rely on in overriding, is what we read."""
    assert hashlib.sha256(inspect.getsource(thing).encode()).hexdigest()[:12] == expected
