"""The topics, their names and the settings that the promises rest on."""

import zlib
from dataclasses import dataclass

from models.incident import partition_from_id

DAY_MS = 24 * 60 * 60 * 1000

PARTITIONS_MAX = 1024
# A record of the changelog, a dead letter, or the bridge's batch for the journal is larger than
# what brokers take unless told.
MAX_BATCH_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """One topic as Tocsin creates it, and as it insists on finding it.

    `config` holds Kafka's topic settings by their Kafka names.
    """

    name: str
    partitions: int
    config: dict[str, str]


@dataclass(frozen=True, slots=True)
class Topics:
    """The names of all topics. Another prefix makes a second, separate Tocsin on one broker."""

    prefix: str = "tocsin"

    @property
    def raw(self) -> str:
        """Alerts of any shape, from producers that do not use the bridge."""
        return f"{self.prefix}.alerts.raw"

    @property
    def journal(self) -> str:
        """Every input that can change an incident, in the order in which it counts."""
        return f"{self.prefix}.journal"

    @property
    def incidents(self) -> str:
        """The newest snapshot of each incident, by incident id."""
        return f"{self.prefix}.incidents"

    @property
    def escalations(self) -> str:
        """Who was escalated to, by which rule, because of which records."""
        return f"{self.prefix}.escalations"

    @property
    def notifications(self) -> str:
        """Who is to be told what, through which channel. Notifiers subscribe to this."""
        return f"{self.prefix}.notifications"

    @property
    def timeline(self) -> str:
        """Everything that happened to an incident, in order."""
        return f"{self.prefix}.timeline"

    @property
    def followups(self) -> str:
        """The newest snapshot of each task that an incident left behind, by task id."""
        return f"{self.prefix}.followups"

    @property
    def silences(self) -> str:
        """The newest snapshot of each silence, by its id; all in partition 0."""
        return f"{self.prefix}.silences"

    @property
    def alerts(self) -> str:
        """The newest state of each alert that is known, by fingerprint."""
        return f"{self.prefix}.alerts"

    @property
    def deliveries(self) -> str:
        """What notifiers have to deliver and have delivered, by contact (`app.notifier.runtime.records`)."""
        return f"{self.prefix}.deliveries"

    @property
    def deadletter(self) -> str:
        """What was refused: reason, position and bytes."""
        return f"{self.prefix}.deadletter"

    @property
    def state(self) -> str:
        """The changelog of the state: checkpoints, each whole or not at all."""
        return f"{self.prefix}.state"

    def specs(self, partitions: int) -> list[TopicSpec]:
        """All topics with their settings.

        One partition count for all: effects keep their cause's partition.
        """
        journal = {
            "cleanup.policy": "delete",
            "retention.ms": str(14 * DAY_MS),
            "message.timestamp.type": "LogAppendTime",
        }
        effects = {"cleanup.policy": "delete", "retention.ms": str(90 * DAY_MS)}
        compacted = {"cleanup.policy": "compact", "max.message.bytes": str(MAX_BATCH_BYTES)}
        return [
            TopicSpec(self.raw, partitions, {"cleanup.policy": "delete"}),
            TopicSpec(
                self.journal, partitions, journal | {"max.message.bytes": str(MAX_BATCH_BYTES)}
            ),
            TopicSpec(self.incidents, partitions, compacted),
            TopicSpec(self.escalations, partitions, effects),
            TopicSpec(self.notifications, partitions, effects),
            TopicSpec(self.timeline, partitions, effects),
            TopicSpec(self.followups, partitions, compacted),
            TopicSpec(self.silences, partitions, compacted),
            TopicSpec(self.alerts, partitions, compacted),
            TopicSpec(
                self.deadletter, partitions, effects | {"max.message.bytes": str(MAX_BATCH_BYTES)}
            ),
            TopicSpec(self.deliveries, partitions, compacted),
            TopicSpec(self.state, partitions, compacted),
        ]


INCIDENT_KEY = b"incident/"  # how the key of a message to an incident begins; its id follows


def partition_of(key: bytes, partitions: int) -> int:
    """The journal partition of a correlation key.

    Only Tocsin writes to the journal, so this is the only hash. An incident's id says itself in
    which partition it lives.
    """
    if key.startswith(INCIDENT_KEY):
        partition = _partition_of_incident(key.removeprefix(INCIDENT_KEY).decode(errors="replace"))
        if partition is not None and partition < partitions:
            return partition
    return zlib.crc32(key) % partitions


def _partition_of_incident(identity: str) -> int | None:
    try:
        return partition_from_id(identity)
    except ValueError:
        return None
