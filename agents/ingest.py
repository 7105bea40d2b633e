"""Raw alerts to the journal: what producers that do not use the bridge wrote to `tocsin.alerts.raw`.

Each record goes on with its position as the source, so a batch that is read again after a crash
changes nothing. What cannot be read as alerts becomes a record in the journal too, and from there a
dead letter.
"""

import logging
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from app.core.rules.compiled_policy import CompiledPolicy
from app.core.state.deadletter import letter_of
from app.core.state.poison import describe_fault
from app.intake.raw_events import is_cloud_event, raw_entries
from app.intake.raw_values import RawValues
from app.intake.records import Intake
from app.intake.requests import records_of_request
from app.transport.batches import BatchSchema
from app.transport.log import NewRecord, append_all
from app.worker.worker import Worker
from models.journal import encode_refused, source_header, source_headers
from models.reason import BadInput, Reason
from models.topics import partition_of

logger = logging.getLogger("tocsin.ingest")


def attach(app: Any, worker: Worker) -> None:
    """Give the app the agent that reads raw alerts."""
    topic = app.topic(worker.topics.raw, schema=BatchSchema())
    intake, values = Intake(), RawValues()

    @app.agent(topic, name="tocsin.ingest", concurrency=1)
    async def ingest(stream: Any) -> None:
        async for event in stream.noack().events():
            try:
                await copy_records(
                    event.message.partition, event.message.value, worker, intake, values
                )
            except Exception as error:  # noqa: BLE001  the outermost loop: Faust would acknowledge the batch
                worker.on_fault("raw alerts", error)
            event.message.ack(app.consumer)


async def copy_records(
    partition: int, records: list[Any], worker: Worker, intake: Intake, values: RawValues
) -> None:
    """Append what the raw records say to the journal, and wait until it is there."""
    partitions, now_ms = worker.settings.partitions, worker.log.now_ms()
    batches: dict[int, list[NewRecord]] = defaultdict(list)
    position_of = source_headers("raw", partition)
    values.begin(now_ms, worker.policy)
    for record in records:
        value = record.value or b""
        # The headers of a CloudEvent say what its value means.
        is_whole = not record.headers or not is_cloud_event(record.headers)
        known = values.recognise(value) if is_whole else None
        if known is not None:
            headers = (position_of(record.offset),)
            batches[known.partition].append(NewRecord(known.key, known.value, headers))
            continue
        copies = list(journal_records(partition, record, intake, worker.policy, now_ms))
        for copy in copies:
            target = partition_of(copy.key or b"", partitions)
            batches[target].append(copy)
            if is_whole and len(copies) == 1:
                values.remember(value, copy, target)
    for target, batch in batches.items():
        await append_all(worker.log, worker.topics.journal, target, batch)


def journal_records(
    partition: int, record: Any, intake: Intake, policy: CompiledPolicy, now_ms: int
) -> Iterator[NewRecord]:
    """The journal records that a raw record becomes."""
    value = record.value or b""
    try:
        taken, refused = list[NewRecord](), list[BadInput]()
        for entries in raw_entries(value, record.headers, policy):
            records, refusals = intake.records(entries, now_ms, policy)
            taken, refused = [*taken, *records], [*refused, *refusals]
    except BadInput as refusal:
        taken, refused = [], [refusal]
    except (
        Exception
    ) as error:  # a fault of ours must not keep everybody from what comes after this record
        logger.exception(
            "partition %d: a dead letter instead of the raw record at offset %d",
            partition,
            record.offset,
            extra={"partition": partition, "offset": record.offset},
        )
        taken, refused = [], [BadInput(Reason.POISON, describe_fault(error))]
    numbered, count = records_of_request(taken), len(taken)
    for number, why in enumerate(refused, count):
        body = letter_of(
            why, "raw", partition, record.offset, value if why.part is None else why.part
        )
        numbered.append((number, NewRecord(b"refused", encode_refused(body))))
    for number, item in numbered:
        source = source_header("raw", partition, record.offset, number)
        yield NewRecord(item.key, item.value, (source,))
