"""The engine over a stream of alerts, with a rule of nearness and without: incidents, and messages."""

from collections.abc import Iterable
from typing import NamedTuple

from app.core.engine import Engine
from app.core.rules.compiled_policy import CompiledPolicy
from app.files.policy_file import load_policy
from app.policy.simulator import signal_record
from app.transport.log import StoredRecord
from models.alert import Alert, fingerprint
from models.effect import Stream
from models.journal import encode_alert
from models.place import Place

WEEK_MS = 604_800_000  # what is resolved does not expire before


class Told(NamedTuple):
    """An alert begins to fire, or somebody resolves it."""

    at_ms: int
    labels: dict[str, str]
    firing: bool
    ttl_ms: int


def policy_with(nearness: list[dict[str, str]]) -> CompiledPolicy:
    """The policy that ships, with these rules of nearness."""
    document = load_policy().document
    return CompiledPolicy(document | {"nearness": nearness})


def by_engine(told: Iterable[Told], policy: CompiledPolicy) -> tuple[list[str], int]:
    """The incident of each alert that begins to fire, or its root; and how many messages there are."""
    engine, groups, messages, offset = Engine(0, policy), [], 0, 0
    for alert in told:
        identity = fingerprint(alert.labels)
        place = policy.place(alert.labels, identity)
        records = [_record_of(alert, identity, place)]
        while records:
            record = records.pop(0)
            record.offset, offset = offset, offset + 1
            for effect in engine.apply([record]):
                if effect.stream is Stream.JOURNAL:
                    records.append(signal_record(effect, alert.at_ms))
                messages += effect.stream is Stream.NOTIFICATIONS
        if alert.firing:
            groups.append(_root_of(engine, identity))
    return groups, messages


def _record_of(alert: Told, identity: str, place: Place) -> StoredRecord:
    value = encode_alert(
        Alert(
            identity,
            alert.labels,
            {},
            firing=alert.firing,
            starts_ms=alert.at_ms,
            ends_ms=0 if alert.firing else alert.at_ms,
            ttl_ms=alert.ttl_ms,
        )
    )
    return StoredRecord(-1, alert.at_ms, place.key.encode(), value)


def _root_of(engine: Engine, identity: str) -> str:
    alert = engine.state.alerts[identity.encode()]
    near = engine.state.incidents[alert.incident].near
    return (near.root if near else "") or alert.incident
