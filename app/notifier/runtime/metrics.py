"""What the notifier counts, for Prometheus."""

from prometheus_client import Counter, Gauge

DELIVERIES = Counter(
    "tocsin_deliveries",
    "Tries to deliver a message: sent, refused, failed (tried again)",
    ["channel", "kind", "result"],
)
UNREADABLE = Counter(
    "tocsin_notifier_unreadable", "Records of tocsin.notifications that are no notifications"
)
PENDING = Gauge("tocsin_deliveries_pending", "Messages that are not delivered yet")
OLDEST = Gauge("tocsin_deliveries_oldest_seconds", "How long the oldest of them waits")
CIRCUITS_OPEN = Gauge(
    "tocsin_notifier_circuits_open", "Receivers that are left alone because they do not answer"
)
RECEIPTS = Counter("tocsin_notifier_receipts", "Receipts that are in the journal", ["state"])
