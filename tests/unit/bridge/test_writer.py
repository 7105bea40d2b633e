"""Group commit.

Which appends go into one batch, and what happens when the journal is slow or away.
"""

import asyncio

from app.bridge.writer import BATCH_BYTES, SECONDS_MAX, JournalWriter
from app.transport.log import LogUnavailable, NewRecord
from tests.support.fake_log import FakeLog


def append_all(log: FakeLog, records: list[NewRecord], **bounds: int) -> list[BaseException | None]:
    """Append each record in a call of its own, the others while the first one is under way."""

    async def scenario() -> list[BaseException | None]:
        log.open.clear()
        writer = JournalWriter(log, "journal", 1, **bounds)
        tasks = [asyncio.create_task(writer.append(records[:1]))]
        await log.called.wait()
        tasks += [asyncio.create_task(writer.append([record])) for record in records[1:]]
        await asyncio.sleep(0)  # each has put its record
        log.open.set()
        return await asyncio.gather(*tasks, return_exceptions=True)

    return asyncio.run(scenario())


def test_what_arrives_meanwhile_makes_one_batch() -> None:
    """A lone append goes out at once.

    All that come while it is under way go out together, in order.
    """
    log = FakeLog()
    records = [NewRecord(b"k", b"%d" % number) for number in range(21)]

    assert append_all(log, records) == [None] * 21
    assert log.batches == [(0, records[:1]), (0, records[1:])]


def test_batches_have_a_bound() -> None:
    """A batch is no larger than the journal takes, whether many requests make it or one."""
    log = FakeLog()
    large = [NewRecord(b"k", b"x" * (BATCH_BYTES // 2)) for _ in range(5)]
    append_all(log, large)
    asyncio.run(JournalWriter(log, "journal", 1).append(large))

    assert [len(records) for _, records in log.batches] == [1, 2, 2, 2, 2, 1]


def test_what_waits_has_a_bound() -> None:
    """While the journal is slow, requests over the bound are refused at once instead of filling the memory."""
    log = FakeLog()
    results = append_all(log, [NewRecord(b"k", b"x" * 10)] * 4, waiting_bytes_max=25)

    assert [repr(result) for result in results] == [
        "None",
        "None",
        *["LogUnavailable('20 bytes wait for the journal, must be at most 25')"] * 2,
    ]
    assert [len(records) for _, records in log.batches] == [1, 1]


def test_what_was_written_waits_no_more() -> None:
    """The bound is on what waits at one time: what was appended, or failed, makes room."""

    async def scenario() -> None:
        writer = JournalWriter(log, "journal", 1, waiting_bytes_max=10)
        log.away = {0}
        await asyncio.gather(writer.append([NewRecord(b"k", b"x" * 9)]), return_exceptions=True)
        log.away = set()
        for _ in range(2):
            await writer.append([NewRecord(b"k", b"x" * 9)])

    log = FakeLog()
    asyncio.run(scenario())

    assert log.values() == [b"x" * 9] * 2


def test_a_failed_batch_fails_each_request_in_it_and_no_other() -> None:
    """All that wait for a batch hear of its failure; the next batch is a new attempt."""

    async def scenario() -> list[BaseException | None]:
        log = FakeLog()
        log.away = {0}
        writer = JournalWriter(log, "journal", 1)
        record = NewRecord(b"k", b"v")
        failed = await asyncio.gather(
            *(writer.append([record]) for _ in range(3)), return_exceptions=True
        )
        log.away = set()
        return [*failed, *await asyncio.gather(writer.append([record]), return_exceptions=True)]

    results = asyncio.run(scenario())

    assert [type(result) for result in results] == [LogUnavailable] * 3 + [type(None)]


def test_a_request_does_not_wait_for_ever() -> None:
    """What the journal does not acknowledge in time is told as not kept.

    When it answers, the next request goes through.
    """
    log = FakeLog()

    async def scenario() -> tuple[str, int]:
        writer = JournalWriter(log, "journal", 1, seconds_max=0.01)
        log.open.clear()
        try:
            await writer.append([NewRecord(b"k", b"1")])
        except LogUnavailable as error:
            told = str(error)
        log.open.set()
        await writer.append([NewRecord(b"k", b"2")])
        return told, len(log.batches)

    assert asyncio.run(scenario()) == ("the journal did not acknowledge within 0.01 s", 2)


def test_senders_are_answered_within_five_seconds() -> None:
    """What the journal does not acknowledge is told before whoever sent it gives up."""
    assert SECONDS_MAX < 5


def test_a_request_that_was_given_up_is_not_written_later() -> None:
    """What waits behind a journal that is away is dropped with its request, and makes room for others."""
    log = FakeLog()
    first, given_up, later = (NewRecord(b"k", value) for value in (b"1", b"2", b"3"))

    async def scenario() -> None:
        writer = JournalWriter(log, "journal", 1, seconds_max=0.01, waiting_bytes_max=2)
        log.open.clear()
        under_way = asyncio.create_task(writer.append([first]))
        await log.called.wait()
        results = await asyncio.gather(under_way, writer.append([given_up]), return_exceptions=True)
        assert [type(result) for result in results] == [LogUnavailable] * 2
        log.open.set()
        await writer.stop()
        await writer.append([later])

    asyncio.run(scenario())

    assert log.values() == [b"1", b"3"]
