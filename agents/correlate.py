"""Journal batches to the worker, in order, with no acknowledgement of Faust's.

The worker acknowledges.
"""

from typing import Any

from app.transport.batches import BatchSchema
from app.worker.worker import Worker


def attach_correlate(app: Any, worker: Worker) -> None:
    """Give the app the agent that reads the journal."""
    topic = app.topic(worker.topics.journal, schema=BatchSchema())

    @app.agent(topic, name="tocsin.correlate", concurrency=1)
    async def correlate(stream: Any) -> None:
        async for event in stream.noack().events():
            await worker.accept(event)
