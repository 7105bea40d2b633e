"""A tick into every partition owned, each second: time passes for the engines only through the journal."""

from typing import Any

from app.worker import Worker


def attach(app: Any, worker: Worker) -> None:
    """Give the app the timer."""

    @app.timer(1.0, name="tocsin.ticks")
    async def tick() -> None:
        if worker.ready.is_set() and not app.rebalancing:
            await worker.tick()
