"""One partition under a policy, minute by minute."""

from typing import Any

import orjson

from app.core.rules.compiled_policy import CompiledPolicy
from app.policy.simulator import Stage
from app.transport.log import StoredRecord
from models.effect import Stream
from models.journal import TICK, encode_command, encode_policy
from models.text.instant import milliseconds
from tests.support.scenario import START_MS, alert_record
from tests.support.shipped_policy import shipped

MINUTE_MS = 60_000


class Night:
    """One partition under the shipped policy, minute by minute."""

    def __init__(self, policy: CompiledPolicy | None = None) -> None:
        self.policy = policy or shipped()
        self.stage = Stage(self.policy)
        self.minute = 0.0

    def until(self, minute: float) -> "Night":
        """Let time pass."""
        self.minute = minute
        self.stage.append(self._record(TICK))
        return self

    def fire(self, labels: dict[str, str], *, minutes: int = 24 * 60) -> "Night":
        """An alert fires, or is repeated, for so many minutes."""
        return self._alert(labels, firing=True, ttl_ms=minutes * MINUTE_MS)

    def end(self, labels: dict[str, str]) -> "Night":
        """An alert ends."""
        return self._alert(labels, firing=False)

    def say(self, command: str, **details: Any) -> "Night":
        """An operator's command about the newest incident."""
        self.stage.append(
            self._record(encode_command(command, self.incident["incident"], "ann", **details))
        )
        return self

    def adopt(self, document: dict[str, Any]) -> "Night":
        """Another policy takes over."""
        policy = CompiledPolicy(document)
        self.stage.append(self._record(encode_policy(policy.fingerprint, policy.document)))
        return self

    def _alert(self, labels: dict[str, str], *, firing: bool, **more: int) -> "Night":
        key = self.policy.place(labels, "f").key
        self.stage.append(alert_record(self._now_ms, labels, key, firing=firing, **more))
        return self

    def _record(self, value: bytes) -> StoredRecord:
        return StoredRecord(-1, self._now_ms, b"", value)

    @property
    def _now_ms(self) -> int:
        return START_MS + round(self.minute * MINUTE_MS)

    def bodies(self, stream: Stream) -> list[dict[str, Any]]:
        """The bodies of a topic's effects."""
        effects = [one for one in self.stage.effects if one.stream is stream]
        return [orjson.loads(one.value) for one in effects]

    @property
    def incident(self) -> dict[str, Any]:
        """The newest snapshot."""
        return self.bodies(Stream.INCIDENTS)[-1]

    def told(self, kind: str, channel: str = "chat") -> list[tuple[float, str]]:
        """Minute and receiver of the messages of a kind through a channel."""
        return [
            ((milliseconds(one["at"]) - START_MS) / MINUTE_MS, one["receiver"])
            for one in self.bodies(Stream.NOTIFICATIONS)
            if (one["kind"], one["channel"]) == (kind, channel)
        ]

    def entries(self, kind: str) -> list[str]:
        """The texts of the timeline's entries of a kind."""
        return [one["text"] for one in self.bodies(Stream.TIMELINE) if one["kind"] == kind]
