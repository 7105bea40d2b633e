"""Alerts that fire in the shapes of Alertmanager's API v2, with its filters.

Source: `api/v2/openapi.yaml` of Alertmanager. An incident is a group, for each team that its alerts
belong to. There is no state `unprocessed`: what the topic has, the engine has processed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from app.bridge.board.query import Values, matchers_of
from models.matcher import Test, test_of
from models.reason import BadInput, Reason
from models.text.instant import format_instant, milliseconds
from models.text.pattern import compile_pattern

_TRUE, _FALSE = ("true", "1", "t"), ("false", "0", "f")

Document = dict[str, Any]


class Group(NamedTuple):
    """What one team has of an incident; the incident is empty for what belongs to none."""

    component: str
    incident: str
    receiver: str

    @property
    def labels(self) -> dict[str, str]:
        """The labels that tell it from others."""
        incident = {"incident": self.incident} if self.incident else {}
        return {"component": self.component} | incident


@dataclass(frozen=True, slots=True)
class AlertFilter:
    """Which alerts somebody asks for. Each flag says whether such alerts are shown."""

    active: bool
    silenced: bool
    inhibited: bool
    muted: bool
    labels: Test
    receiver: Callable[[str], bool]

    def fits(self, alert: Document) -> bool:
        """Whether an alert, in Alertmanager's shape, is asked for."""
        status = alert["status"]
        return (
            (self.active or status["state"] != "active")
            and (self.silenced or not status["silencedBy"])
            and (self.inhibited or not status["inhibitedBy"])
            and (self.muted or not status["mutedBy"])
            and self.labels(alert["labels"])
            and any(self.receiver(receiver["name"]) for receiver in alert["receivers"])
        )


def receiver_matches(query: Values) -> bool:
    """Whether `receiver_matchers` match a team, which has no labels. Raises BadInput."""
    matchers = matchers_of(query, "receiver_matchers")
    return test_of([matchers])({}) if matchers else True


def filter_of(query: Values) -> AlertFilter:
    """The filter of a request's parameters; those that are not known are passed over. Raises BadInput."""
    matchers = matchers_of(query, "filter")
    labels = test_of([matchers] if matchers else [])
    names = ("active", "silenced", "inhibited", "muted")
    flags = {name: flag_of(query, name) for name in names}
    flag_of(query, "unprocessed")
    return AlertFilter(**flags, labels=labels, receiver=_receiver_of(query))


def flag_of(query: Values, name: str) -> bool:
    """A parameter that is true or false; true when it is not given. Raises BadInput."""
    values = query.get(name, ())
    text = values[-1].lower() if values else "true"
    if text not in (*_TRUE, *_FALSE):
        raise BadInput(Reason.MALFORMED, f"{name}: is {text!r:.60}, must be true or false")
    return text in _TRUE


def _receiver_of(query: Values) -> Callable[[str], bool]:
    if not receiver_matches(query):
        return lambda _: False
    values = query.get("receiver", ())
    if not values or not values[-1]:
        return lambda _: True
    try:
        return compile_pattern(values[-1])
    except ValueError as error:
        raise BadInput(Reason.MALFORMED, f"receiver: {error}") from None


def alert_of(document: Document, as_of_ms: int, inhibited_by: list[str]) -> Document:
    """A record of `tocsin.alerts` as Alertmanager has it.

    `inhibited_by` are the fingerprints of what explains it.

    `endsAt` is its last word plus its time to live. Repeats leave no record: of one that fires
    beyond that time the last word is no older than its time to live, so that the latest end that
    it can have stands there.
    """
    suppressors, ttl_ms = document["suppressed_by"], document["ttl_ms"]
    ends_ms = milliseconds(document["heard_at"]) + ttl_ms
    if ends_ms <= as_of_ms:
        ends_ms = as_of_ms + ttl_ms
    url = document["generator_url"]
    return {
        "annotations": document["annotations"],
        "endsAt": format_instant(ends_ms),
        "fingerprint": document["alert"],
        "receivers": [{"name": name} for name in document["receivers"]],
        "startsAt": document["starts_at"],
        "status": {
            "inhibitedBy": inhibited_by,
            "mutedBy": [
                suppressor["name"] for suppressor in suppressors if suppressor["kind"] == "mute"
            ],
            "silencedBy": [
                suppressor["name"] for suppressor in suppressors if suppressor["kind"] == "silence"
            ],
            "state": document["state"],
        },
        "updatedAt": document["heard_at"],
        **({"generatorURL": url} if url else {}),
        "labels": document["labels"],
    }


def groups_of(document: Document) -> list[Group]:
    """The groups that a record is in: what a team has of an incident, or of a component."""
    place = document["component"], document["incident"]
    return [Group(*place, receiver) for receiver in document["receivers"]]
