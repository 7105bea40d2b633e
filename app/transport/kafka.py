"""A log on Apache Kafka: an idempotent producer that writes whole record batches, and a reader without a group.

A partition that is claimed has a transactional producer of its own, for two reasons: the broker
refuses whoever claimed it before, and an append may be larger than a record batch, which is atomic
by itself.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    InvalidProducerEpoch,
    KafkaError,
    ProducerFenced,
    TopicAlreadyExistsError,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
    for_code,
)
from aiokafka.producer.message_accumulator import BatchBuilder

from app import metrics
from app.clock import system_ms
from app.transport.log import (
    Appended,
    Fenced,
    LogAway,
    LogUnavailable,
    NewRecord,
    Place,
    StoredRecord,
    TopicMismatch,
    in_batches,
    size_of,
)
from app.transport.security import why_not
from models.topics import MAX_BATCH_BYTES, TopicSpec

REQUEST_MS = 30_000
READ_SECONDS = 60  # for a read, from its turn on; aiokafka asks a broker that is away for ever
WAIT_MS = 50  # for records; a reader that stands before a transaction's marker gets none, and steps over it
CLAIMED_BATCH_BYTES = (
    8 * 1024 * 1024
)  # of each batch of a transaction; a topic that is claimed takes twice as much
CLAIMED_SECONDS = (
    60  # for an append to a claimed partition; its coordinator is asked for ever otherwise
)


FOLLOWERS_MAX = 4  # consumers that wait for news at a time; who comes later waits for one of them
FOLLOW_WAIT_MS = 100  # for which a broker lets a fetch wait that finds nothing

FORBIDDEN = (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
)


class AccessForbidden(LogUnavailable):
    """The brokers know us, and do not let us do this."""


class KafkaLog:
    """`app.transport.log.Log` over a Kafka cluster.

    `servers` are host:port; `security` as `app.transport.security` says.
    """

    def __init__(
        self,
        servers: Sequence[str],
        replication: int = 1,
        security: Mapping[str, Any] | None = None,
    ) -> None:
        self._servers = list(servers)
        self._replication = replication
        self._security = dict(security or {})
        self._producer: AIOKafkaProducer | None = None
        self._claimed: dict[tuple[str, int], AIOKafkaProducer] = {}
        self._lost: set[tuple[str, int]] = (
            set()
        )  # of the claimed ones, those that somebody else has claimed since
        self._consumer: AIOKafkaConsumer | None = None
        self._reading = asyncio.Lock()
        self._idle: list[AIOKafkaConsumer] = []  # consumers of those who followed before
        self._following = asyncio.Semaphore(FOLLOWERS_MAX)

    async def start(self) -> None:
        """Connect the producer; the reader connects when it is first needed."""
        try:
            self._producer = await self._start_producer()
        except AccessForbidden:
            raise
        except LogUnavailable:
            reason = await why_not(self._servers, self._security)
            kind = LogAway if reason.away else LogUnavailable
            raise kind(
                f"Kafka at {', '.join(self._servers)} cannot be used: {reason.text}"
            ) from None

    async def stop(self) -> None:
        """Flush and disconnect."""
        for producer in (self._producer, *self._claimed.values()):
            if producer is not None:
                await producer.stop()
        self._claimed.clear()
        for consumer in self._idle:
            await consumer.stop()
        self._idle.clear()
        if self._consumer is not None:
            await self._consumer.stop()
        self._producer = self._consumer = None

    def now_ms(self) -> int:
        """The time of this machine; brokers stamp the journal with theirs."""
        return system_ms()

    async def ensure_topics(self, specs: Sequence[TopicSpec]) -> set[str]:
        """Create what is missing, compare what is there, and return the names created."""
        admin = AIOKafkaAdminClient(
            bootstrap_servers=self._servers, request_timeout_ms=REQUEST_MS, **self._security
        )
        try:
            await admin.start()
            existing = set(await admin.list_topics())
            missing = [spec for spec in specs if spec.name not in existing]
            if missing:
                await _create_topics(admin, missing, self._replication)
            problems = await _topic_mismatches(
                admin, [spec for spec in specs if spec.name in existing]
            )
        except KafkaError as error:
            raise self._unavailable_error(error) from None
        finally:
            await admin.close()
        if problems:
            raise TopicMismatch("\n".join(problems))
        return {spec.name for spec in missing}

    async def compare_topics(self, specs: Sequence[TopicSpec]) -> tuple[list[str], list[str]]:
        """The names that are missing, and a line for each setting that breaks a promise. Creates nothing."""
        admin = AIOKafkaAdminClient(
            bootstrap_servers=self._servers, request_timeout_ms=REQUEST_MS, **self._security
        )
        try:
            await admin.start()
            existing = set(await admin.list_topics())
            known = [spec for spec in specs if spec.name in existing]
            problems = await _topic_mismatches(admin, known)
        except KafkaError as error:
            raise self._unavailable_error(error) from None
        finally:
            await admin.close()
        return [spec.name for spec in specs if spec.name not in existing], problems

    async def list_topics(self) -> dict[str, int]:
        """The topics that we may see."""
        admin = AIOKafkaAdminClient(
            bootstrap_servers=self._servers, request_timeout_ms=REQUEST_MS, **self._security
        )
        try:
            await admin.start()
            described = await admin.describe_topics()
        except KafkaError as error:
            raise self._unavailable_error(error) from None
        finally:
            await admin.close()
        return {topic["topic"]: len(topic["partitions"]) for topic in described}

    async def check_group(self, group: str) -> None:
        """Raise AccessForbidden when we may not be of a consumer group.

        Faust would wait for its partitions, and say nothing.
        """
        admin = AIOKafkaAdminClient(
            bootstrap_servers=self._servers, request_timeout_ms=REQUEST_MS, **self._security
        )
        try:
            await admin.start()
            await admin.find_coordinator(group)
        except FORBIDDEN as error:
            raise self._unavailable_error(error) from None
        except KafkaError:
            pass  # a group that is new may have no coordinator yet
        finally:
            await admin.close()

    async def append(self, topic: str, partition: int, records: Sequence[NewRecord]) -> int:
        """Append; the first record's offset once all replicas have them."""
        owner = self._claimed.get((topic, partition))
        if (topic, partition) in self._lost:
            raise _fenced_error(topic, partition)
        producer = owner or self._producer
        if producer is None:
            raise LogUnavailable("the connection to Kafka is closed")
        try:
            if owner is None:
                return await _send_batch(producer, records, topic, partition)
            async with asyncio.timeout(CLAIMED_SECONDS), owner.transaction():
                first, *rest = in_batches(records, CLAIMED_BATCH_BYTES)
                offset = await _send_batch(owner, first, topic, partition)
                for batch in rest:
                    await _send_batch(owner, batch, topic, partition)
                return offset
        except (ProducerFenced, InvalidProducerEpoch):
            self._lost.add((topic, partition))
            raise _fenced_error(topic, partition) from None
        except (KafkaError, TimeoutError) as error:
            raise self._unavailable_error(error) from None

    async def claim(self, topic: str, partition: int) -> None:
        """Start a producer that fences the one of whoever claimed the partition before."""
        known = self._claimed.pop((topic, partition), None)
        if known is not None:
            await known.stop()
        self._lost.discard((topic, partition))
        self._claimed[topic, partition] = await self._start_producer(
            transactional_id=f"{topic}-{partition}"
        )

    async def read(
        self, topic: str, partition: int, offset: int, max_records: int = 5000
    ) -> list[StoredRecord]:
        """Records at `offset` and after; past records that compaction removed."""
        async with self._exclusive_reader(topic, partition) as (consumer, place):
            end = (await consumer.end_offsets([place]))[place]
            if offset >= end:
                return []
            consumer.assign([place])
            try:
                consumer.seek(place, offset)
                while await consumer.position(place) < end:
                    fetched = (
                        await consumer.getmany(place, timeout_ms=WAIT_MS, max_records=max_records)
                    ).get(place)
                    if fetched:
                        return list(map(_stored, fetched))
            finally:
                # What is assigned is fetched for ever, and the broker answers nothing else on the
                # connection meanwhile.
                consumer.unsubscribe()
            return []

    @asynccontextmanager
    async def following(self, places: Sequence[Place]) -> AsyncIterator["KafkaFollower"]:
        """Follow some partitions from here on, with a consumer that waits."""
        assigned = [TopicPartition(*place) for place in places]
        async with self._following:
            consumer: AIOKafkaConsumer | None = self._idle.pop() if self._idle else None
            try:
                async with asyncio.timeout(READ_SECONDS):
                    consumer = consumer or await self._new_reader(FOLLOW_WAIT_MS)
                    ends = await consumer.end_offsets(assigned)
            except (KafkaError, TimeoutError) as error:
                if consumer is not None:
                    await consumer.stop()
                raise self._unavailable_error(error) from None
            consumer.assign(assigned)
            try:
                for place in assigned:
                    consumer.seek(place, ends[place])
                yield KafkaFollower(consumer, self._unavailable_error)
            finally:
                consumer.unsubscribe()
                self._idle.append(consumer)

    async def start_offset(self, topic: str, partition: int) -> int:
        """The oldest offset that is kept."""
        async with self._exclusive_reader(topic, partition) as (consumer, place):
            return int((await consumer.beginning_offsets([place]))[place])

    async def end_offset(self, topic: str, partition: int) -> int:
        """The offset that the next record will get."""
        async with self._exclusive_reader(topic, partition) as (consumer, place):
            return int((await consumer.end_offsets([place]))[place])

    @asynccontextmanager
    async def _exclusive_reader(
        self, topic: str, partition: int
    ) -> AsyncIterator[tuple[AIOKafkaConsumer, TopicPartition]]:
        """The reader and a partition, for one at a time.

        Raises LogUnavailable for what Kafka does not answer in time.
        """
        async with self._reading:
            try:
                async with asyncio.timeout(READ_SECONDS):
                    yield await self._reader(), TopicPartition(topic, partition)
            except (KafkaError, TimeoutError) as error:
                raise self._unavailable_error(error) from None

    async def _start_producer(self, **more: str) -> AIOKafkaProducer:
        producer = AIOKafkaProducer(
            bootstrap_servers=self._servers,
            enable_idempotence=True,
            acks="all",
            max_batch_size=MAX_BATCH_BYTES,
            max_request_size=MAX_BATCH_BYTES + 65536,
            request_timeout_ms=REQUEST_MS,
            **self._security,
            **more,
        )
        try:
            await producer.start()
        except (
            KafkaError,
            ValueError,
        ) as error:  # aiokafka's ValueError: a broker that does not know the password either
            await producer.stop()
            raise self._unavailable_error(error) from None
        return producer

    async def _reader(self) -> AIOKafkaConsumer:
        if self._consumer is None:
            self._consumer = await self._new_reader(20)
        return self._consumer

    async def _new_reader(self, wait_ms: int) -> AIOKafkaConsumer:
        """A consumer without a group, whose fetches wait for so long at the broker."""
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._servers,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            max_partition_fetch_bytes=8 * 1024 * 1024,
            fetch_max_wait_ms=wait_ms,
            **self._security,
        )
        try:
            await consumer.start()
        except KafkaError as error:
            await consumer.stop()
            raise self._unavailable_error(error) from None
        return consumer

    def _unavailable_error(self, error: KafkaError | TimeoutError | ValueError) -> LogUnavailable:
        servers = ", ".join(self._servers)
        metrics.KAFKA_ERRORS.labels(type(error).__name__).inc()
        if isinstance(error, FORBIDDEN):
            return AccessForbidden(
                f"Kafka at {servers} does not let us ({error!r}): SECURITY.md lists the rights that it takes"
            )
        return LogAway(
            f"Kafka at {servers} does not answer ({error!r}): is it running, is TOCSIN_BROKER right?"
        )


class KafkaFollower:
    """`app.transport.log.Follower`: a consumer that has some partitions and no group."""

    def __init__(
        self,
        consumer: AIOKafkaConsumer,
        unavailable: Callable[[KafkaError], LogUnavailable],
    ) -> None:
        self._consumer, self._unavailable_error = consumer, unavailable

    async def next(self) -> list[Appended]:
        """Wait until a broker gives something."""
        while True:
            try:
                fetched = await self._consumer.getmany(timeout_ms=REQUEST_MS)
            except KafkaError as error:
                raise self._unavailable_error(error) from None
            appended = [
                Appended(place.topic, place.partition, _stored(record))
                for place, records in fetched.items()
                for record in records
            ]
            if appended:
                return appended


def _stored(record: Any) -> StoredRecord:
    return StoredRecord(record.offset, record.timestamp, record.key, record.value, record.headers)


def _fenced_error(topic: str, partition: int) -> Fenced:
    return Fenced(
        f"another worker has taken over partition {partition} of {topic} while this one was paused"
    )


async def _create_topics(
    admin: AIOKafkaAdminClient, specs: Sequence[TopicSpec], replication: int
) -> None:
    """Create topics.

    Raises KafkaError or LogUnavailable; aiokafka leaves what the broker says to its caller.
    """
    topics = [
        NewTopic(spec.name, spec.partitions, replication, topic_configs=spec.config)
        for spec in specs
    ]
    for name, code, *texts in (await admin.create_topics(topics)).topic_errors:
        error, because = for_code(code), texts[0] if texts else ""
        if error in FORBIDDEN:
            raise error(f"topic {name} is not created: {because}")
        if code not in (
            0,
            TopicAlreadyExistsError.errno,
        ):  # somebody else who starts may have been faster
            told = f"{error.__name__}: {because}"
            raise LogUnavailable(
                f"Kafka does not create the topic {name} with TOCSIN_REPLICATION={replication} ({told})"
            )


async def _send_batch(
    producer: AIOKafkaProducer, records: Sequence[NewRecord], topic: str, partition: int
) -> int:
    """Send one record batch; its first offset."""
    batch = producer.create_batch()
    if not _fill(batch, records):
        size = sum(map(size_of, records))
        raise LogUnavailable(
            f"a batch of {size} bytes for {topic} is larger than {MAX_BATCH_BYTES}"
        )
    sent = await producer.send_batch(batch, topic, partition=partition)
    return int((await sent).offset)


def _fill(batch: BatchBuilder, records: Sequence[NewRecord]) -> bool:
    """Put all records into a batch of aiokafka, and close it; whether they have room.

    `BatchBuilder.append` asks the clock for each record, and costs more than the C code below it.
    """
    add, now_ms = batch._builder.append, system_ms()  # noqa: SLF001  tests/unit/transport/test_faust_contract.py
    for number, (key, value, headers) in enumerate(records):
        if add(number, now_ms, key, value, list(headers)) is None:
            return False
    batch._relative_offset = len(records)  # noqa: SLF001  as above
    batch.close()
    return True


async def _topic_mismatches(admin: AIOKafkaAdminClient, specs: Sequence[TopicSpec]) -> list[str]:
    """A line for each setting of an existing topic on which a promise would break."""
    if not specs:
        return []
    problems = []
    described = {
        topic["topic"]: topic
        for topic in await admin.describe_topics([spec.name for spec in specs])
    }
    resources = [ConfigResource(ConfigResourceType.TOPIC, spec.name) for spec in specs]
    mismatches: dict[str, dict[str, str]] = {}
    for answer in await admin.describe_configs(resources):
        for _, _, _, name, entries in answer.resources:
            mismatches[name] = {entry[0]: entry[1] for entry in entries}
    for spec in specs:
        partitions = len(described[spec.name]["partitions"])
        if partitions != spec.partitions:
            problems.append(
                f"topic {spec.name} has {partitions} partitions, TOCSIN_PARTITIONS asks for {spec.partitions}: "
                "set it to what the topic has"
            )
        for key, expected in spec.config.items():
            is_value = mismatches.get(spec.name, {}).get(key)
            if is_value != expected and not key.startswith(
                "retention"
            ):  # how long to keep is the operator's choice
                problems.append(
                    f"topic {spec.name} has {key}={is_value}, must be {expected}: "
                    f"kafka-configs.sh --alter --topic {spec.name} --add-config {key}={expected}"
                )
    return problems
