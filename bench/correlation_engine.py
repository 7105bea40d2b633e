"""The engine over a stream of alerts, with a rule of nearness and without: incidents, and messages."""

from collections.abc import Iterable
from typing import NamedTuple

import orjson

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
    """The first of the incidents that are one, for each alert that begins to fire; and how many messages."""
    engine, messages, offset = Engine(0, policy), 0, 0
    incidents: list[str] = []
    parents: dict[str, str] = {}
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
                elif effect.stream is Stream.INCIDENTS and b'"parents":[]' not in effect.value:
                    snapshot = orjson.loads(effect.value)
                    parents[snapshot["incident"]] = snapshot["parents"][0]
                messages += effect.stream is Stream.NOTIFICATIONS
        if alert.firing:
            incidents.append(engine.state.alerts[identity.encode()].incident)
    return [_first_of(incident, parents) for incident in incidents], messages


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


def _first_of(incident: str, parents: dict[str, str]) -> str:
    seen = {incident}
    while (parent := parents.get(incident, "")) and parent not in seen:
        seen.add(parent)
        incident = parent
    return incident
