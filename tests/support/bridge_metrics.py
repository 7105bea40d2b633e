"""What the bridges of this process have counted."""

import asyncio
from collections.abc import Callable

from prometheus_client import REGISTRY


def refused_count(reason: str) -> float:
    """How often the bridges of this process refused for a reason."""
    return REGISTRY.get_sample_value("tocsin_bridge_refused_total", {"reason": reason}) or 0.0


def closed_count(why: str) -> float:
    """How many connections the bridges of this process ended for a reason."""
    return REGISTRY.get_sample_value("tocsin_bridge_connections_closed_total", {"why": why}) or 0.0


def gauge(name: str) -> float | None:
    """A gauge of this process."""
    return REGISTRY.get_sample_value(f"tocsin_bridge_{name}")


async def until(condition: Callable[[], bool]) -> None:
    """Return when the condition holds."""
    while not condition():  # noqa: ASYNC110  metrics are no events
        await asyncio.sleep(0)
