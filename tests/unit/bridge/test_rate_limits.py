"""How much a sender may still send, on a clock that the test moves."""

import pytest

from app.bridge.connections.limits import Limits
from app.bridge.connections.rate_limits import OTHERS, WARN_SECONDS, Senders, address_key


class Watch:
    """A clock for senders that the test moves."""

    def __init__(self) -> None:
        self.at = 1000.0

    def __call__(self) -> float:
        """Now."""
        return self.at


def test_requests_of_a_sender() -> None:
    """A burst, then as many as come back in a second.

    Who waits as long as it is told may ask again.
    """
    watch = Watch()
    sender = Senders(Limits(requests_per_second=2, alerts_per_second=0, burst_seconds=2), watch).of(
        "a"
    )
    waits = []
    for _ in range(6):
        waits.append(sender.wait_seconds())
        sender.count_request()
    waits.append(sender.wait_seconds())
    watch.at += waits[-1]
    waits.append(sender.wait_seconds())

    assert waits == [0, 0, 0, 0, 1, 1, 2, 0]


def test_alerts_of_a_sender() -> None:
    """A body may be larger than what is left, and is paid for afterwards.

    Silence fills no more than a burst.
    """
    watch = Watch()
    sender = Senders(
        Limits(requests_per_second=0, alerts_per_second=10, burst_seconds=5), watch
    ).of("a")
    waits = []
    for number, seconds in (
        (49, 0),
        (1, 0),
        (0, 1),
        (510, 0),
        (0, 49),
        (0, 2),
        (0, 10_000),
        (50, 0),
    ):
        sender.count_alerts(number)
        watch.at += seconds
        waits.append(sender.wait_seconds())

    assert waits == [0, 1, 0, 51, 2, 0, 0, 1]


def test_no_limit() -> None:
    """Where it is 0, there is none; and such a sender can be forgotten."""
    watch = Watch()
    senders = Senders(Limits(requests_per_second=0, alerts_per_second=0, senders=1), watch)
    sender = senders.of("a")
    for _ in range(1000):
        sender.count_request()
    sender.count_alerts(1e9)

    assert (sender.wait_seconds(), senders.of("b").name, len(senders)) == (0, "b", 1)


def test_senders_that_are_known() -> None:
    """As many as there may be.

    One more takes the place of one that has been silent for long, or shares one with all others.
    """
    watch = Watch()
    senders = Senders(
        Limits(requests_per_second=1, alerts_per_second=1, burst_seconds=1, senders=2), watch
    )
    for name in ("a", "b"):
        senders.of(name).count_request()
    full = [senders.of(name).name for name in ("c", "d", "a")]
    senders.of("e").count_request()
    shared = senders.of("f").wait_seconds()
    watch.at += 1
    room = [senders.of(name).name for name in ("g", "h", "a")]

    assert full == [OTHERS, OTHERS, "a"]
    assert shared == 1
    assert (room, len(senders)) == (["g", "h", "a"], 2)


def test_a_sender_is_told_once_a_minute() -> None:
    """The log has a bound too, and a sender is not forgotten in the meantime."""
    watch = Watch()
    senders = Senders(Limits(requests_per_second=0, alerts_per_second=0, senders=1), watch)
    told = []
    for seconds in (0, WARN_SECONDS - 1, 1, 0):
        watch.at += seconds
        told.append(senders.of("a").is_to_be_told())

    assert (told, senders.of("b").name) == ([True, False, True, False], OTHERS)


@pytest.mark.parametrize(
    ("peer", "expected"),
    [
        ("10.0.0.7", "10.0.0.7"),
        ("::ffff:10.0.0.7", "10.0.0.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::", "2001:db8:1:2::/64"),
        ("::1", "::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", "nowhere"),
        (None, "nowhere"),
    ],
)
def test_what_an_address_is_told_apart_by(peer: str | None, expected: str) -> None:
    """Who has an IPv6 network has all addresses of it."""
    assert address_key(peer) == expected
