"""One course of events: engines for all partitions, fed with what came from outside, and what they tell each other.

A run under the recorded policies is what happened. One under another policy is what would have
happened: each alert goes to the component that this policy finds for it, and each message to the
partition of its key, at the place that the record has for it (`app.whatif.journal_scan`), else at
once, before the next record. Messages between two partitions stay in their order.
"""

from collections import Counter, deque
from collections.abc import Iterable
from typing import Any

import orjson

from app.core.engine import Engine
from app.core.rules.compiled_policy import CompiledPolicy
from app.core.state.poison import Poison
from app.transport.log import StoredRecord
from app.whatif.ids import ROOM
from app.whatif.inputs import InputKind, InputStep
from app.whatif.journal_scan import JournalScan, MessageSlot, signature_of
from models.effect import Effect, Stream
from models.journal import FINGERPRINT, TICK, alerts_in, encode_alerts
from models.reason import BadInput
from models.topics import partition_of

# A message on its way, and the offset of its slot in the record of its partition; None is as soon
# as it can be.
_Sent = tuple[StoredRecord, int | None]


class RunPoisoned(Exception):
    """An engine of a run raised: the run has to begin anew, and pass over what made it raise."""

    def __init__(self, partition: int, poison: Poison) -> None:
        super().__init__(f"partition {partition}: {poison}")
        self.partition, self.poison = partition, poison


class Run:
    """The engines of one course of events, and what they said that people see.

    `policy` None is the recorded ones, the first of which is `first`. `poisons` are to be passed
    over, by partition.
    """

    def __init__(
        self,
        policy: CompiledPolicy | None,
        first: CompiledPolicy,
        scan: JournalScan,
        *,
        rekeyed: bool = False,
        poisons: Iterable[tuple[int, Poison]] = (),
    ) -> None:
        self.policy = policy or first
        self.engines = [Engine(partition, self.policy) for partition in range(scan.partitions)]
        self.snapshots: dict[bytes, bytes] = {}  # incident -> the newest
        self.notifications: list[bytes] = []
        self.escalations: list[bytes] = []
        self.origins: dict[
            str, str
        ] = {}  # the position of a record that is elsewhere in the journal -> that one's
        self.refused: Counter[str] = Counter()  # dead letters by reason
        self.empty_slots = 0  # messages of the record that this run did not send
        self.recorded = policy is None
        self._rekeyed = rekeyed
        self._slots = scan.slots
        self._absent = scan.absent  # what is sent there would be worked up by nobody
        self._places = [
            -1
        ] * scan.partitions  # the offset of the last record of each; -1 before its first
        self._early: dict[
            int, list[tuple[StoredRecord, str]]
        ] = {}  # what came for a partition before its first record
        self._moved: dict[bytes, bytes] = {}  # fingerprint -> the key that this policy finds
        self._channels: dict[tuple[int, int], deque[_Sent]] = {}  # from partition to partition
        self._awaited: dict[
            tuple[int, int], deque[_Sent]
        ] = {}  # by partition and offset of a slot: where its message is
        self._ready: deque[tuple[int, StoredRecord]] = deque()
        for partition, poison in poisons:
            self.engines[partition].skip([poison])

    def take(self, step: InputStep, command: tuple[int, bytes] | None = None) -> None:
        """Apply what a record of the journal is in this run, and the messages that follow from it at once.

        `command` has the partition and the value of a command in this run; None leaves it out.
        """
        partition, kind, record = step
        if (
            kind is InputKind.PLAIN
            or (kind is InputKind.ALERT and not self._rekeyed)
            or (kind is InputKind.POLICY and self.recorded)
        ):
            self._apply(partition, record)
        elif kind is InputKind.ALERT:
            self._place_alerts(partition, record)
        elif kind is InputKind.COMMAND and command is not None:
            self._place_record(partition, record, command[0], record.key, command[1])
        elif kind is InputKind.SLOT:
            self._fill_slot(partition, record)
        else:
            self._pass_time(partition, record)
        if partition in self._early:
            self._catch_up(partition)
        self._apply_pending()

    def _place_alerts(self, partition: int, record: StoredRecord) -> None:
        """Apply the alerts of a record where this run's policy puts them, those of one place together."""
        places: dict[bytes, list[bytes]] = {}
        for value in _alerts_of(record):
            places.setdefault(self._component_key(record, value), []).append(value)
        for number, (key, values) in enumerate(places.items()):
            target, value = partition_of(key, len(self.engines)), encode_alerts(values)
            if number:
                moved = StoredRecord(-1, record.timestamp, key, value, record.headers)
                self._apply_next(target, moved, f"{partition}-{record.offset}")
            else:
                self._place_record(partition, record, target, key, value)

    def _catch_up(self, partition: int) -> None:
        """Apply what came for a partition before its first record."""
        for record, origin in self._early.pop(partition):
            self._apply_next(partition, record, origin)

    def _apply_pending(self) -> None:
        """Apply what is to be applied at once, and what follows from that.

        Breadth first, as the journal would bring it.
        """
        while self._ready:
            self._apply_next(*self._ready.popleft())

    def _place_record(
        self,
        partition: int,
        record: StoredRecord,
        target: int,
        key: bytes | None,
        value: bytes | None,
    ) -> None:
        """Apply a record at its place, or in the partition that it has in this run."""
        if target == partition:
            self._apply(
                partition, StoredRecord(record.offset, record.timestamp, key, value, record.headers)
            )
        else:
            self._pass_time(partition, record)
            moved = StoredRecord(-1, record.timestamp, key, value, record.headers)
            self._apply_next(target, moved, f"{partition}-{record.offset}")

    def _pass_time(self, partition: int, record: StoredRecord) -> None:
        """Let the time pass that the record stood for."""
        self._apply(partition, StoredRecord(record.offset, record.timestamp, None, TICK))

    def _apply_next(self, partition: int, record: StoredRecord, origin: str = "") -> None:
        """Apply a record that the journal has not, or has elsewhere, behind the last one of the partition."""
        if partition in self._absent:
            return
        if self._places[partition] < 0:
            self._early.setdefault(partition, []).append((record, origin))
            return
        record.offset = self._places[partition] + 1
        assert record.offset % ROOM, (
            f"partition {partition} has more than {ROOM} messages that follow from one record"
        )
        if self._apply(partition, record) and origin:
            self.origins[f"{partition}-{record.offset}"] = origin

    def _apply(self, partition: int, record: StoredRecord) -> bool:
        """Apply a record; whether anything came of it."""
        self._places[partition] = record.offset
        try:
            effects = self.engines[partition].apply((record,))
        except Poison as poison:
            raise RunPoisoned(partition, poison) from poison
        if effects:
            self._keep_effects(partition, record, effects)
        return bool(effects)

    def _keep_effects(
        self, partition: int, record: StoredRecord, effects: Iterable[Effect]
    ) -> None:
        """Keep what people see, and send what actors say."""
        place, between = divmod(record.offset, ROOM)
        free = [] if between else list(self._slots.get((partition, place), ()))
        for effect in effects:
            match effect.stream:
                case Stream.JOURNAL:
                    self._send(
                        partition,
                        StoredRecord(-1, record.timestamp, effect.key, effect.value),
                        free,
                    )
                case Stream.INCIDENTS:
                    self.snapshots[effect.key or b""] = effect.value
                case Stream.NOTIFICATIONS:
                    self.notifications.append(effect.value)
                case Stream.ESCALATIONS:
                    self.escalations.append(effect.value)
                case Stream.DEADLETTER:
                    self.refused[orjson.loads(effect.value)["reason"]] += 1
                case _:
                    pass

    def _send(self, source: int, message: StoredRecord, free: list[MessageSlot]) -> None:
        """Send a message to its slot, or at once if there is none and none before it is under way."""
        signature, target = (
            signature_of(message.key, message.value or b""),
            partition_of(message.key or b"", len(self.engines)),
        )
        ahead = (item for item in free if item.offset * ROOM > self._places[item.partition])
        slot = next((item for item in ahead if item.signature == signature), None)
        channel = self._channels.setdefault((source, target), deque())
        if slot is not None:
            free.remove(slot)
            offset = slot.offset * ROOM
            self._awaited[target, offset] = channel
            channel.append((message, offset))
        elif channel:
            channel.append((message, None))
        else:
            self._ready.append((target, message))

    def _fill_slot(self, partition: int, record: StoredRecord) -> None:
        """Apply the message that has its slot here, after those before it and before those behind it that have none."""
        channel = self._awaited.pop((partition, record.offset), None)
        if channel is None:
            self.empty_slots += 1
            self._pass_time(partition, record)
            return
        while channel[0][1] != record.offset:
            message, slot = channel.popleft()
            self._awaited.pop((partition, slot or 0), None)
            self._apply_next(partition, message)
        message, _ = channel.popleft()
        self._apply(
            partition, StoredRecord(record.offset, record.timestamp, message.key, message.value)
        )
        while channel and channel[0][1] is None:
            self._ready.append((partition, channel.popleft()[0]))

    def _component_key(self, record: StoredRecord, alert: bytes) -> bytes:
        """The component that this run's policy finds for an alert."""
        identity = alert[FINGERPRINT]
        known = self._moved.get(identity)
        if known is None:
            known = self._moved[identity] = self._policy_component(alert) or record.key or b""
        return known

    def _policy_component(self, alert: bytes) -> bytes | None:
        try:
            document: Any = orjson.loads(alert)
            return self.policy.place(document["labels"], document["alert"]).key.encode()
        except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
            return None  # it becomes a dead letter where it is


def _alerts_of(record: StoredRecord) -> list[bytes]:
    value = record.value or b""
    try:
        return alerts_in(value)
    except BadInput:
        return [value]  # it becomes a dead letter where it is
