"""Who reads a topic on, and who is spared it."""

import asyncio

from app.history.topic_reader import Turnstile


def read_in_turn(*, fails: bool) -> list[bool]:
    """Who had to read: the first one, three that came meanwhile, and one that came afterwards."""

    async def scenario() -> list[bool]:
        turnstile, go_on, read = Turnstile(), asyncio.Event(), list[bool]()

        async def come(*, failing: bool = False) -> None:
            async with turnstile as needed:
                read.append(needed)
                await go_on.wait()
                if failing:
                    raise ConnectionError

        tasks = [asyncio.create_task(come())]
        await asyncio.sleep(0)
        tasks += [asyncio.create_task(come(failing=fails and number == 0)) for number in range(3)]
        await asyncio.sleep(0)
        go_on.set()
        await asyncio.gather(*tasks, return_exceptions=True)
        await come()
        return read

    return asyncio.run(scenario())


def test_one_reading_is_enough_for_all_who_waited() -> None:
    """The reading under way may have passed what a newcomer asks for; the next one has not."""
    assert read_in_turn(fails=False) == [True, True, False, False, True]


def test_a_reading_that_failed_spares_nobody() -> None:
    """The next one who waited reads instead."""
    assert read_in_turn(fails=True) == [True, True, True, False, True]
