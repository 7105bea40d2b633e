"""What Tocsin counts, for Prometheus. Counters move once for each batch, never for each record."""

import platform
from contextlib import suppress
from importlib.metadata import version

from prometheus_client import Counter, Gauge, Histogram, Info, disable_created_metrics

from app.core.engine import Engine
from app.core.state.changelog import sizes_by_bound

disable_created_metrics()  # type: ignore[no-untyped-call]  # a series more for each counter, which nobody asks for
BUILD = Info("tocsin_build", "The version of this process")
BUILD.info({"version": version("tocsin"), "python": platform.python_version()})

RECORDS = Counter("tocsin_journal_records", "Journal records applied", ["partition"])
EFFECTS = Counter("tocsin_effects", "Effects sent", ["partition"])
CHECKPOINTED = Counter("tocsin_checkpoint_records", "State records written", ["partition"])
EVENTS = Counter(
    "tocsin_events",
    "What the engine counted: alerts, repeats, fired, escalations, deadletters ...",
    ["what"],
)
INCIDENTS = Gauge("tocsin_incidents", "Incidents that are not closed", ["partition"])
ALERTS = Gauge("tocsin_alerts", "Alerts that are remembered", ["partition"])
STATE = Gauge(
    "tocsin_state",
    "Things that the state holds, by kind; docs/LIMITS.md has their bounds",
    ["kind", "partition"],
)
APPLIED = Gauge("tocsin_applied_offset", "The last journal offset applied", ["partition"])
BACKLOG = Gauge(
    "tocsin_backlog_seconds",
    "How long ago the newest tick was appended that is applied; a few seconds are usual",
    ["partition"],
)
CLOCK_WRONG = Gauge(
    "tocsin_clock_wrong_seconds",
    "By how much the clock that stamps the journal is ahead, while it is not used; 0 is right",
    ["partition"],
)
DEGRADED = Gauge(
    "tocsin_degraded",
    "1 for what is wrong, as the bridge sees it; 0 for what is not",
    ["problem"],
)
CHECKPOINT_AGE = Gauge(
    "tocsin_checkpoint_age_seconds",
    "How long ago the bridge saw a partition's newest checkpoint for the first time",
    ["partition"],
)
TICK_AGE = Gauge(
    "tocsin_tick_age_seconds",
    "How long ago the bridge saw the newest applied tick of a partition for the first time",
    ["partition"],
)
LAG = Gauge(
    "tocsin_journal_lag_records",
    "Journal records up to the newest tick that are not applied yet",
    ["partition"],
)
BEHIND = Gauge(
    "tocsin_engine_behind_seconds",
    "By how much engine time is behind this machine's clock",
    ["partition"],
)
CHECKPOINT_BYTES = Counter(
    "tocsin_checkpoint_bytes", "Bytes of the state that were written", ["partition"]
)
CHECKPOINT_TIME = Gauge(
    "tocsin_checkpoint_timestamp_seconds",
    "When the newest checkpoint was acknowledged, by this machine's clock",
    ["partition"],
)
TICK_TIME = Gauge(
    "tocsin_tick_timestamp_seconds",
    "When the newest tick was acknowledged, by this machine's clock",
    ["partition"],
)
BOUND_RATIO = Gauge(
    "tocsin_bound_ratio",
    "How full what the policy bounds is; at 0.9 P2 and P3 are refused",
    ["bound", "partition"],
)
OUTCOMES = Counter(
    "tocsin_alert_outcomes",
    "Alerts by what they were: fired, repeats, ended, expired, lost, replaced, deadletters",
    ["outcome"],
)
NOTIFICATIONS = Counter(
    "tocsin_notifications",
    "Messages that were decided on, for the notifier",
    ["channel", "kind", "wakes"],
)
_MINUTES = (60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400, 604800)
ACKNOWLEDGE_SECONDS = Histogram(
    "tocsin_acknowledge_seconds",
    "From an incident's opening to its acknowledgement",
    buckets=_MINUTES,
)
RESOLVE_SECONDS = Histogram(
    "tocsin_resolve_seconds", "From an incident's opening to its resolution", buckets=_MINUTES
)
_LATENCIES = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
EFFECT_SECONDS = Histogram(
    "tocsin_effect_latency_seconds",
    "From a record's append to the acknowledgement of its effects, one of each batch",
    buckets=_LATENCIES,
)
REQUEST_SECONDS = Histogram(
    "tocsin_http_request_seconds",
    "From a request's last header to its answer",
    ["path"],
    buckets=_LATENCIES,
)
APPEND_SECONDS = Histogram(
    "tocsin_append_seconds",
    "From an append of the bridge to its acknowledgement",
    buckets=_LATENCIES,
)
MISSING = Counter(
    "tocsin_journal_records_missing",
    "Journal records that were deleted before a worker read them",
    ["partition"],
)
KAFKA_ERRORS = Counter("tocsin_kafka_errors", "What Kafka did not do, by its error", ["error"])
HEARTBEATS = Counter(
    "tocsin_heartbeats_sent",
    "Heartbeats to TOCSIN_HEARTBEAT_URL: sent, failed, withheld",
    ["result"],
)
REQUESTS = Counter("tocsin_http_requests", "Requests to the bridge", ["path", "status"])
RECEIVED = Counter("tocsin_bridge_alerts", "Alerts that the bridge accepted or refused", ["result"])
REFUSED = Counter(
    "tocsin_bridge_refused", "Alerts, and requests as a whole, that the bridge refused", ["reason"]
)
ACTS = Counter(
    "tocsin_acts", "What came back through chats, pagers and links", ["through", "result"]
)
CLOSED = Counter(
    "tocsin_bridge_connections_closed",
    "Connections that the bridge ended, by what it waited for",
    ["why"],
)
CONNECTIONS = Gauge("tocsin_bridge_connections", "Connections to the bridge")
SENDERS = Gauge("tocsin_bridge_senders", "Senders that the bridge tells apart")
BODY_BYTES = Gauge("tocsin_bridge_body_bytes", "Bytes of the bodies that are being read")
FILES_GOOD = Gauge(
    "tocsin_bridge_files_good",
    "0 while tokens or certificates are as before, because of a file",
    ["what"],
)
POLICY_RELOADS = Counter(
    "tocsin_policy_reloads",
    "Times the policy file was read again: changed, same, refused",
    ["result"],
)
POLICY_INFO = Gauge(
    "tocsin_policy_info", "1 for the policy that this process uses", ["fingerprint"]
)
UP = Gauge(
    "tocsin_availability_ratio",
    "Share of this month so far in which the service was up",
    ["service"],
)
UP_TARGET = Gauge(
    "tocsin_availability_target_ratio", "The share that the policy asks for", ["service"]
)
DOWN_SECONDS = Gauge(
    "tocsin_availability_down_seconds", "How long the service was down this month", ["service"]
)


# Attributes of `app.core.state.state.PartitionState`; a metric's label is never derived from an
# input.
KINDS = (
    *(
        "alerts",
        "incidents",
        "windows",
        "inhibition_groups",
        "parked",
        "deferred_signals",
        "former_rule_ids",
    ),
    *("receivers", "silences", "tasks", "expected", "sources", "timers"),
)


BOUNDS = ("alerts", "alert_bytes", "incidents", "groups", "silences", "tasks")
_OUTCOMES = frozenset(
    ("fired", "repeats", "ended", "expired", "lost", "replaced", "deadletters", "duplicates")
)


def begin_at_zero() -> None:
    """Show what is counted from the beginning: Prometheus sees no increase from nothing to 1."""
    for outcome in _OUTCOMES:
        OUTCOMES.labels(outcome)
    for result in ("changed", "same", "refused"):
        POLICY_RELOADS.labels(result)
    for result in ("sent", "failed", "withheld"):
        HEARTBEATS.labels(result)


begin_at_zero()


class Partition:
    """The metrics of one journal partition, for as long as this process owns it."""

    def __init__(self, partition: int) -> None:
        name = str(partition)
        self._name = name
        self._records, self._effects = RECORDS.labels(name), EFFECTS.labels(name)
        self._checkpointed = CHECKPOINTED.labels(name)
        self._incidents, self._alerts, self._applied = (
            INCIDENTS.labels(name),
            ALERTS.labels(name),
            APPLIED.labels(name),
        )
        # Children are looked up once: a batch of one alert is told as often as one of thousands.
        self._sizes = [(kind, STATE.labels(kind, name)) for kind in KINDS]
        MISSING.labels(name)
        self._ratios = {bound: BOUND_RATIO.labels(bound, name) for bound in BOUNDS}
        self._events: dict[str, Counter] = {}
        self._counted: dict[str, int] = {}

    def restored(self, engine: Engine) -> None:
        """What an engine had counted before is not counted again by this process."""
        self._counted = dict(engine.counts)
        self._set_gauges(engine)

    def applied(self, engine: Engine, records: int) -> None:
        """A batch was applied."""
        self._records.inc(records)
        self._set_gauges(engine)
        for name, number in engine.counts.items():
            more = number - self._counted.get(name, 0)
            if more:
                self._counted[name] = number
                if name not in self._events:
                    self._events[name] = EVENTS.labels(name)
                self._events[name].inc(more)
                if name in _OUTCOMES:
                    OUTCOMES.labels(name).inc(more)

    def sent(self, effects: int) -> None:
        """Effects were acknowledged."""
        self._effects.inc(effects)

    def checkpointed(self, records: int, size: int) -> None:
        """A checkpoint of so many bytes was acknowledged."""
        self._checkpointed.inc(records)
        CHECKPOINT_BYTES.labels(self._name).inc(size)
        CHECKPOINT_TIME.labels(self._name).set_to_current_time()

    def released(self) -> None:
        """Somebody else may own the partition, and tells how large its state is."""
        for gauge in (INCIDENTS, ALERTS, APPLIED):
            gauge.remove(self._name)
        for kind in KINDS:
            STATE.remove(kind, self._name)
        for gauge in (BACKLOG, CLOCK_WRONG, LAG, BEHIND, CHECKPOINT_TIME, TICK_TIME):
            with suppress(KeyError):  # not looked at yet
                gauge.remove(self._name)
        for bound in BOUNDS:
            with suppress(KeyError):
                BOUND_RATIO.remove(bound, self._name)

    def _set_gauges(self, engine: Engine) -> None:
        state = engine.state
        self._incidents.set(len(state.incidents))
        self._alerts.set(len(state.alerts))
        self._applied.set(engine.applied_offset)
        for kind, size in self._sizes:
            size.set(len(getattr(state, kind)))
        bounds = engine.policy.policy.bounds
        for bound, number in sizes_by_bound(state).items():
            self._ratios[bound].set(number / getattr(bounds, bound))
