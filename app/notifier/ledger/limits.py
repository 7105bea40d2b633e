"""How much a contact can be sent through a kind of channel, so that a storm cannot ring a phone to death.

The defaults are those of GoAlert: what a phone gets in a quarter of an hour, in an
hour and in three. Pure.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from app.notifier.channel import ChannelKind

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS


class Limit(NamedTuple):
    """At most so many within any time that is so long."""

    sends: int
    within_ms: int


DEFAULT: Mapping[ChannelKind, Sequence[Limit]] = {
    ChannelKind.TWILIO_VOICE: (
        Limit(1, MINUTE_MS),
        Limit(3, 15 * MINUTE_MS),
        Limit(7, HOUR_MS),
        Limit(15, 3 * HOUR_MS),
    ),
    ChannelKind.TWILIO_SMS: (
        Limit(1, MINUTE_MS),
        Limit(5, 15 * MINUTE_MS),
        Limit(11, HOUR_MS),
        Limit(21, 3 * HOUR_MS),
    ),
}


def free_at_ms(limits: Sequence[Limit], sends_ms: Sequence[int], now_ms: int) -> int:
    """When the next may be sent: now, or when enough of the earlier ones (oldest first) are long enough ago."""
    free_ms = now_ms
    for limit in limits:
        if len(sends_ms) >= limit.sends:
            free_ms = max(free_ms, sends_ms[-limit.sends] + limit.within_ms)
    return free_ms


def pruned(limits: Sequence[Limit], sends_ms: Sequence[int], now_ms: int) -> list[int]:
    """Those sends that still count."""
    longest_ms = max((limit.within_ms for limit in limits), default=0)
    return [at_ms for at_ms in sends_ms if at_ms > now_ms - longest_ms]
