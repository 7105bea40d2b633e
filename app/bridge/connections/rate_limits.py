"""How much each sender may still send: a bucket for its requests and one for its alerts, filled evenly, overdrawn once.

A sender is told apart by its token or certificate, else by its address. As many are known as there
may be; one that has not sent for so long that its buckets are full can be forgotten, and nothing is
lost by it.
"""

import ipaddress
import math
import time
from collections.abc import Callable

from app.bridge.connections.limits import Limits

WARN_SECONDS = 60.0  # a sender is not logged more often
OTHERS = "all others"  # who is not known, because so many are


_ROUNDING_ERROR = 1e-6  # sums of seconds are not exact


class _Bucket:
    """May be taken from while there is one in it, and then as much as is wanted: a body may be larger than it.

    One without a rate never runs dry.
    """

    __slots__ = ("_at", "_level", "_most", "_rate")

    def __init__(self, rate: float, burst_seconds: float, now: float) -> None:
        self._rate, self._most, self._at = rate, rate * burst_seconds, now
        self._level = self._most

    def wait_seconds(self, now: float) -> float:
        self._refill(now)
        return (
            0.0
            if not self._rate or self._level > 1 - _ROUNDING_ERROR
            else (1 - self._level) / self._rate
        )

    def take(self, amount: float, now: float) -> None:
        self._refill(now)
        self._level -= amount if self._rate else 0

    def is_full(self, now: float) -> bool:
        self._refill(now)
        return self._level >= self._most

    def _refill(self, now: float) -> None:
        self._level = min(self._level + (now - self._at) * self._rate, self._most)
        self._at = now


class Sender:
    """One sender."""

    __slots__ = ("_alerts", "_now", "_requests", "_told", "name")

    def __init__(self, name: str, limits: Limits, now: Callable[[], float]) -> None:
        self.name, self._now = name, now
        at = now()
        self._requests = _Bucket(limits.requests_per_second, limits.burst_seconds, at)
        self._alerts = _Bucket(limits.alerts_per_second, limits.burst_seconds, at)
        self._told = -math.inf

    def wait_seconds(self) -> int:
        """Whole seconds until it may ask again; 0 when it may now."""
        return max(
            math.ceil(self._requests.wait_seconds(self._now())), self.wait_seconds_for_alerts()
        )

    def wait_seconds_for_alerts(self) -> int:
        """Whole seconds until it may send alerts, whatever it asks; 0 when it may now."""
        return math.ceil(self._alerts.wait_seconds(self._now()))

    def count_request(self) -> None:
        """It asked for something."""
        self._requests.take(1, self._now())

    def count_alerts(self, number: float) -> None:
        """It sent so many alerts, or KiB."""
        self._alerts.take(number, self._now())

    def may_be_forgotten(self) -> bool:
        """Whether it has as much left as a new one."""
        now = self._now()
        return (
            self._requests.is_full(now)
            and self._alerts.is_full(now)
            and now - self._told >= WARN_SECONDS
        )

    def is_to_be_told(self) -> bool:
        """Whether to log what is refused to it; true once a minute."""
        now = self._now()
        due = now - self._told >= WARN_SECONDS
        if due:
            self._told = now
        return due


class Senders:
    """The senders that are known, those that asked last at the end."""

    def __init__(self, limits: Limits, now: Callable[[], float] = time.monotonic) -> None:
        self._limits, self._now = limits, now
        self._known: dict[str, Sender] = {}
        self._others = Sender(OTHERS, limits, now)

    def __len__(self) -> int:
        return len(self._known)

    def of(self, name: str) -> Sender:
        """The sender of that name, or the one that stands for all who are too many to be known."""
        sender = self._known.pop(name, None)
        if sender is None and len(self._known) >= self._limits.senders:
            oldest = next(iter(self._known))
            if not self._known[oldest].may_be_forgotten():
                return self._others
            del self._known[oldest]
        sender = sender or Sender(name, self._limits, self._now)
        self._known[name] = sender
        return sender


def address_key(peer: str | None) -> str:
    """What an address is told apart by.

    Of IPv6 the first 64 bits, for who has one such network has all addresses in it.
    """
    try:
        address = ipaddress.ip_address(peer or "")
    except ValueError:
        return peer or "nowhere"
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((int(address) >> 64 << 64, 64)))
    return str(address)
