"""The sentence that says why an alert belongs to a group."""

from typing import assert_never

from app.core.correlation.nearness import Join
from app.core.rules.near_tuning import HOUR_MS, MINUTE_MS, Nearby


def sentence(join: Join) -> str:
    """Why, for people: "db.example.org too, 8 s apart; seen in 4 % of quarters of an hour"."""
    name, apart = join.token.partition(" ")[2], apart_text(join.apart_ms)
    match join.reason:
        case Nearby.AGAIN:
            return f"the same alert fired {apart} before"
        case Nearby.BACKGROUND:
            return (
                f"background: it came in {join.hours} of the last 24 hours, and nobody resolves it"
            )
        case Nearby.PLACE:
            return f"{name} too, {apart} apart; seen in {_seen(join)}"
        case Nearby.KIND:
            return f"{name} too, {apart} apart, and that is not resolved; seen in {_seen(join)}"
        case Nearby.NEW:
            return "near nothing that fired before"
        case _ as never:
            assert_never(never)


def apart_text(apart_ms: int) -> str:
    """A time in one unit: 8 s, 3 min, 2 h."""
    if apart_ms < 2 * MINUTE_MS:
        return f"{apart_ms // 1000} s"
    return f"{apart_ms // MINUTE_MS} min" if apart_ms < 2 * HOUR_MS else f"{apart_ms // HOUR_MS} h"


def share_text(share_ppm: int) -> str:
    """A share in per cent, with one decimal below ten: 43 %, 4.1 %, less than 0.1 %."""
    if share_ppm < 1000:
        return "less than 0.1 %"
    whole, decimal = divmod(share_ppm // 1000, 10)
    return f"{whole} %" if whole >= 10 or not decimal else f"{whole}.{decimal} %"


def _seen(join: Join) -> str:
    slots = {MINUTE_MS: "minutes", 15 * MINUTE_MS: "quarters of an hour", HOUR_MS: "hours"}
    width = slots.get(join.slot_ms, f"spans of {apart_text(join.slot_ms)}")
    return f"{share_text(join.share_ppm)} of {width}"
