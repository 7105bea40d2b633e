"""Delivery over a real journal: once, in order, over stops and kills, and said in the journal."""

import asyncio
from pathlib import Path

import orjson

from app.notifier.outcome import TryAgain
from app.notifier.runtime.records import kept_in
from tests.support.delivering import (
    PARTITIONS,
    TOPICS,
    Delivering,
    WatchedChannel,
    journal,
    notify,
    page,
    receipts,
)

OTHER = "INC-20260412T031502Z-00K3G"


def test_a_message_is_sent_once_and_its_receipt_is_in_the_journal(tmp_path: Path) -> None:
    """From the notifications topic to the receiver, and back into the journal."""

    async def run() -> None:
        async with journal(tmp_path) as log:
            delivering = Delivering(log, {"hook": WatchedChannel()})
            await notify(log, 0, [page(1)])
            await delivering.idle(1)
            await delivering.stop()

            assert delivering.channels["hook"].sent == [("0-1-0", "")]
            assert await receipts(log) == [
                {
                    "receipt": "0-1-0",
                    "incident": page(1)["incident"],
                    "state": "delivered",
                    "detail": "hook, their-0-1-0",
                }
            ]

    asyncio.run(run())


def test_a_restart_sends_nothing_again_and_goes_on(tmp_path: Path) -> None:
    """The position, and what a channel wanted back, survive a stop."""

    async def run() -> None:
        async with journal(tmp_path) as log:
            first = Delivering(log, {"hook": WatchedChannel()})
            await notify(log, 0, [page(1)])
            await first.idle(1)
            await first.stop()
            await notify(log, 0, [page(2, action="resolve", kind="resolved")])
            second = Delivering(log, {"hook": WatchedChannel()})
            await second.idle(2)
            await second.stop()

            assert second.channels["hook"].sent == [("0-2-0", "after 0-1-0")]
            assert [one["state"] for one in await receipts(log)] == ["delivered", "delivered"]

    asyncio.run(run())


def test_a_kill_between_the_answer_and_its_record_repeats_that_message_only(tmp_path: Path) -> None:
    """What was under way in the kill is sent again with the same key, and all else is not."""

    async def run() -> None:
        async with journal(tmp_path) as log:
            first = Delivering(log, {"hook": WatchedChannel()})
            await notify(log, 0, [page(1)])
            await first.idle(1)
            first.channels["hook"].gate.clear()
            first.channels["hook"].asked.clear()
            await notify(log, 1, [page(2, incident=OTHER)])
            await first.channels["hook"].asked.wait()
            await first.kill()
            second = Delivering(log, {"hook": WatchedChannel()})
            await second.idle(2)
            await second.stop()

            assert second.channels["hook"].sent == [("0-2-0", "")]

    asyncio.run(run())


def test_a_page_of_a_kill_that_is_over_is_resolved_at_its_receiver(tmp_path: Path) -> None:
    """The receiver may ring, and the incident ended while nobody delivered: it is told of the end."""

    async def run() -> None:
        async with journal(tmp_path) as log:
            first = Delivering(log, {"hook": WatchedChannel()})
            first.channels["hook"].gate.clear()
            await notify(log, 0, [page(1)])
            await first.channels["hook"].asked.wait()
            await first.kill()
            await notify(log, 0, [page(2, action="resolve", kind="resolved")])
            second = Delivering(log, {"hook": WatchedChannel()})
            second.channels["hook"].gate.clear()
            await second.channels["hook"].asked.wait()
            second.channels["hook"].gate.set()
            await second.idle(2)
            await second.stop()

            assert second.channels["hook"].sent[-1][0] == "0-2-0"

    asyncio.run(run())


def test_a_request_that_was_written_twice_counts_once(tmp_path: Path) -> None:
    """A router that was killed before it kept its position writes its requests again."""

    async def run() -> None:
        async with journal(tmp_path) as log:
            first = Delivering(log, {"hook": WatchedChannel()})
            await notify(log, 0, [page(1), page(2, incident=OTHER)])
            await first.idle(2)
            await first.stop()
            requests = []
            for partition in range(PARTITIONS):
                records = await log.read(TOPICS.deliveries, partition, 0)
                news = [one for one in records if one.value and one.key and b"request" in one.key]
                if news:
                    again = [(one.key, one.value, ()) for one in news]
                    requests += again
                    await log.append(TOPICS.deliveries, partition, again)  # type: ignore[arg-type]
            second = Delivering(log, {"hook": WatchedChannel()})
            await second.idle(2)
            await second.stop()
            left = [
                kept_in(await log.read(TOPICS.deliveries, partition, 0), partition).requests
                for partition in range(PARTITIONS)
            ]

            assert len(requests) == 2
            assert second.channels["hook"].sent == []
            assert left == [[], []]

    asyncio.run(run())


def test_a_receiver_that_is_down_gets_everything_in_order_when_it_is_back(tmp_path: Path) -> None:
    """Nothing is lost over an outage with a kill in it, and the order is kept."""

    async def run() -> None:
        async with journal(tmp_path) as log:
            first = Delivering(log, {"hook": WatchedChannel()})
            first.channels["hook"].answer = TryAgain("503")
            await notify(log, 0, [page(n, episode=n) for n in range(1, 6)])
            await first.channels["hook"].asked.wait()
            await first.kill()
            second = Delivering(log, {"hook": WatchedChannel()})
            await second.idle(5)
            await second.stop()

            assert [one for one, _ in second.channels["hook"].sent] == [
                f"0-{n}-0" for n in range(1, 6)
            ]

    asyncio.run(run())


def test_what_cannot_be_read_holds_up_nothing(tmp_path: Path) -> None:
    """A record that is no notification is counted and passed over."""

    async def run() -> None:
        async with journal(tmp_path) as log:
            delivering = Delivering(log, {"hook": WatchedChannel()})
            await notify(log, 0, [page(1, channel=7, address=None, alerts=3), page(2)])
            await delivering.idle(2)
            await delivering.stop()

            assert [one for one, _ in delivering.channels["hook"].sent] == ["0-2-0"]

    asyncio.run(run())


def test_a_fault_of_a_channel_is_a_refusal(tmp_path: Path) -> None:
    """A channel that raises what it should not holds up nobody, and the journal hears of it."""

    async def run() -> None:
        async with journal(tmp_path) as log:
            channels = {"bad": WatchedChannel(), "good": WatchedChannel()}
            channels["bad"].answer = ZeroDivisionError()
            delivering = Delivering(log, channels)
            await notify(log, 0, [page(1)])
            await delivering.idle(1)
            await delivering.stop()

            assert [one for one, _ in channels["good"].sent] == ["0-1-0"]
            assert [orjson.loads(orjson.dumps(one))["state"] for one in await receipts(log)] == [
                "failed",
                "delivered",
            ]

    asyncio.run(run())
