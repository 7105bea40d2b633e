"""What the effects of a worker tell of its messages and of people, for Prometheus."""

from collections.abc import Iterable

import orjson

from app import metrics
from models.effect import Effect, Stream
from models.incident import opened_ms_of_id
from models.text.instant import milliseconds

_RESPONSES = {
    b'"kind":"Acknowledged"': metrics.ACKNOWLEDGE_SECONDS,
    b'"kind":"Resolved"': metrics.RESOLVE_SECONDS,
}
_HEAD = 64  # bytes of an effect; its kind stands behind its id


def count_effects(effects: Iterable[Effect]) -> None:
    """Count messages, and how long people took. Most effects are neither, and are not parsed."""
    for effect in effects:
        if effect.stream is Stream.NOTIFICATIONS:
            document = orjson.loads(effect.value)
            wakes = "true" if document["wakes"] else "false"
            metrics.NOTIFICATIONS.labels(document["channel"], document["kind"], wakes).inc()
        elif effect.stream is Stream.TIMELINE:
            head = effect.value[:_HEAD]
            for sign, histogram in _RESPONSES.items():
                if sign in head:
                    document = orjson.loads(effect.value)
                    opened_ms = opened_ms_of_id(document["incident"])
                    histogram.observe(max(milliseconds(document["at"]) - opened_ms, 0) / 1000)
