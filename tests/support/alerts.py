"""Alerts of a Kubernetes cluster, and what the engine says of them."""

from collections.abc import Mapping
from typing import Any

import orjson

from app.core.engine import Engine
from app.core.rules.compiled_policy import CompiledPolicy
from app.transport.log import StoredRecord
from models.alert import Alert, fingerprint
from models.effect import Effect, Stream
from models.journal import TICK, encode_alert
from tests.support.scenario import START_MS, Feeding, one_by_one, play
from tests.support.shipped_policy import shipped

RUNBOOK = "https://wiki.example.org/runbooks/pods"
GRAPH = "https://prometheus.example.org/graph?g0.expr=restarts"
POD = {
    "alertname": "PodRestarts",
    "severity": "critical",
    "job": "kube-state-metrics",
    "namespace": "store",
    "pod": "basket-5f8d",
    "container": "basket",
}
ANNOTATIONS = {
    "summary": "A pod restarts again and again.",
    "description": "The pod store/basket-5f8d restarted 7 times.",
    "runbook_url": RUNBOOK,
    "dashboard_url": "https://grafana.example.org/d/pods",
}


def record(at_ms: int = 0, *, firing: bool = True, **changes: Any) -> StoredRecord:
    """The journal record of an alert.

    `at_ms` counts from the start of the scenarios. Changes: `labels`, `annotations`, `url`,
    `component`.
    """
    labels: Mapping[str, str] = changes.get("labels", POD)
    alert = Alert(
        fingerprint(labels),
        labels,
        changes.get("annotations", ANNOTATIONS),
        firing,
        START_MS + at_ms,
        0 if firing else START_MS + at_ms,
        86_400_000 if firing else 0,
        url=changes.get("url", GRAPH),
    )
    component = changes.get("component", labels.get("container", "web"))
    return StoredRecord(-1, START_MS + at_ms, component.encode(), encode_alert(alert))


def tick(at_ms: int) -> StoredRecord:
    """The journal record of a tick: it only lets time pass."""
    return StoredRecord(-1, START_MS + at_ms, None, TICK)


def effects_of(
    *records: StoredRecord, policy: CompiledPolicy | None = None, feeding: Feeding = one_by_one
) -> list[Effect]:
    """What the engine does with the records, and with the signals that they cause."""
    return play(policy or shipped(), records, feeding)[1]


def documents(effects: list[Effect], stream: Stream) -> list[dict[str, Any]]:
    """The effects of a stream, as JSON."""
    return [orjson.loads(effect.value) for effect in effects if effect.stream is stream]


def engine_after(*records: StoredRecord) -> Engine:
    """An engine that has applied the records."""
    engine = Engine(0, shipped())
    for offset, one in enumerate(records):
        one.offset = offset
        engine.apply([one])
    return engine
