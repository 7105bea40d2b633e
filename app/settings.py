"""How Tocsin runs here: environment only, typed, each default with its reason.

What Tocsin decides is policy (`models.policy`), not settings.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

EMBEDDED = "embedded:"
KAFKA = "kafka://"


class BadSettings(Exception):
    """An environment variable that cannot be used; the message names it, what was found and what is expected."""


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of a process. `from_environment` reads the variable named beside each."""

    broker: str = "embedded:tocsin-data"  # TOCSIN_BROKER: no broker needed; kafka://host:9092[;host:9092] in production
    policy_file: str = ""  # TOCSIN_POLICY: empty is the policy that ships with Tocsin
    prefix: str = "tocsin"  # TOCSIN_PREFIX: of all topics, and the consumer group's name
    partitions: int = 8  # TOCSIN_PARTITIONS: fixed for the life of the topics; as many workers can share the work
    replication: int = 1  # TOCSIN_REPLICATION: of the topics we create; 3 where three brokers are
    host: str = "127.0.0.1"  # TOCSIN_HOST: the bridge's address; loopback, since it trusts who reaches it
    port: int = 9099  # TOCSIN_PORT: the bridge's; 0 lets the system choose. Not Alertmanager's, so that both can run
    metrics_port: int = 0  # TOCSIN_METRICS_PORT: a worker's own metrics; 0 is none
    instance: str = ""  # TOCSIN_INSTANCE: a stable name makes a quick restart cost no rebalance (static membership)
    checkpoint_ms: int = 1000  # TOCSIN_CHECKPOINT_MS: how much work a restart may have to do again
    clock: str = "system"  # TOCSIN_CLOCK: "driven" lets PUT /clock move the embedded journal's time (demo, tests)

    @property
    def embedded(self) -> bool:
        """Whether the journal is a file of ours rather than Kafka."""
        return self.broker.startswith(EMBEDDED)

    @property
    def journal_dir(self) -> Path:
        """Where the embedded journal lives."""
        return Path(self.broker.removeprefix(EMBEDDED) or "tocsin-data")

    @property
    def bootstrap(self) -> list[str]:
        """Kafka's addresses as host:port."""
        return [server for server in self.broker.removeprefix(KAFKA).replace(";", ",").split(",") if server]


def from_environment(environ: Mapping[str, str] = os.environ) -> Settings:
    """Settings from TOCSIN_* variables. Raises BadSettings."""
    defaults = Settings()
    settings = Settings(
        broker=environ.get("TOCSIN_BROKER", defaults.broker),
        policy_file=environ.get("TOCSIN_POLICY", defaults.policy_file),
        prefix=environ.get("TOCSIN_PREFIX", defaults.prefix),
        partitions=_integer(environ, "TOCSIN_PARTITIONS", defaults.partitions, 1, 1024),
        replication=_integer(environ, "TOCSIN_REPLICATION", defaults.replication, 1, 15),
        host=environ.get("TOCSIN_HOST", defaults.host),
        port=_integer(environ, "TOCSIN_PORT", defaults.port, 0, 65535),
        metrics_port=_integer(environ, "TOCSIN_METRICS_PORT", defaults.metrics_port, 0, 65535),
        instance=environ.get("TOCSIN_INSTANCE", defaults.instance),
        checkpoint_ms=_integer(environ, "TOCSIN_CHECKPOINT_MS", defaults.checkpoint_ms, 0, 60_000),
        clock=environ.get("TOCSIN_CLOCK", defaults.clock),
    )
    if not settings.embedded and not settings.broker.startswith(KAFKA):
        raise BadSettings(
            f"TOCSIN_BROKER is {settings.broker!r}, must be embedded:DIRECTORY or kafka://HOST:PORT[;HOST:PORT]"
        )
    if settings.clock not in ("system", "driven"):
        raise BadSettings(f"TOCSIN_CLOCK is {settings.clock!r}, must be system or driven")
    if settings.clock == "driven" and not settings.embedded:
        raise BadSettings("TOCSIN_CLOCK is driven, which only an embedded: broker can be; Kafka has the broker's clock")
    return settings


def _integer(environ: Mapping[str, str], name: str, default: int, lowest: int, highest: int) -> int:
    text = environ.get(name)
    if text is None or text == "":
        return default
    try:
        number = int(text)
    except ValueError:
        number = lowest - 1
    if not lowest <= number <= highest:
        raise BadSettings(f"{name} is {text!r}, must be a whole number from {lowest} to {highest}")
    return number
