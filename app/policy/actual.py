"""What came of a scenario, as its author speaks of it.

Times since the start, incidents by number, component and title.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from models.effect import Effect, Stream
from models.text.instant import milliseconds

Item = dict[str, Any]
Body = tuple[Stream, Item]  # of an effect


def bodies_of(effects: Iterable[Effect]) -> Iterator[Body]:
    """What effects say that somebody outside can see."""
    for effect in effects:
        if effect.stream is not Stream.JOURNAL and effect.value:
            yield effect.stream, orjson.loads(effect.value)


@dataclass(frozen=True, slots=True)
class Incident:
    """An incident as a reference sees it."""

    number: int  # in the order of opening, from 1
    id: str
    component: str
    title: str
    rule: str

    def fits(self, reference: int | str) -> bool:
        """Whether it is meant."""
        if isinstance(reference, int):
            return reference == self.number
        return reference in (self.component, self.title, self.id) or (
            bool(self.rule) and reference == self.rule
        )

    def __str__(self) -> str:
        return f"{self.number} ({self.title})"


class ScenarioOutcome:
    """Everything that came of a scenario until now, by stream."""

    def __init__(self, bodies: Sequence[Body], start_ms: int) -> None:
        self._start_ms = start_ms
        self._bodies = bodies
        snapshots = {
            body["incident"]: body for stream, body in self._bodies if stream is Stream.INCIDENTS
        }
        self._snapshots = list(snapshots.values())
        self.incidents = [
            Incident(number, item["incident"], item["component"], item["title"], item["rule"])
            for number, item in enumerate(self._snapshots, start=1)
        ]
        self._by_id = {incident.id: incident for incident in self.incidents}

    def items(self, kind: str) -> list[Item]:
        """The items that a key of `expect` is about, in order."""
        stream = _KINDS[kind]
        if stream is Stream.INCIDENTS:
            return [self._incident_item(snapshot) for snapshot in self._snapshots]
        bodies = [body for topic, body in self._bodies if topic is stream]
        if stream is Stream.FOLLOWUPS:
            bodies = list({body["task"]: body for body in bodies}.values())
        return [_ITEMS[stream](self, body) for body in bodies]

    def _virtual_time(self, instant: str | None) -> int | None:
        return None if instant is None else milliseconds(instant) - self._start_ms

    def _time_and_incident(self, body: Item) -> Item:
        return {
            "at": self._virtual_time(body["at"]),
            "incident": self._by_id.get(body.get("incident") or ""),
        }

    def _incident_item(self, body: Item) -> Item:
        incident_fields = {
            name: body[name]
            for name in ("component", "scope", "title", "severity", "owner", "class", "state")
        }
        times = ("opened", "notified", "acknowledged", "mitigated", "resolved", "closed")
        return {
            "number": self._by_id[body["incident"]].number,
            **incident_fields,
            "prefix": body["incident"].partition("-")[0],
            **{name: self._virtual_time(body[f"{name}_at"]) for name in times},
            "by": body["acknowledged_by"],
            "assignee": body["assignee"],
            "step": body["escalation_step"],
            "escalated_by": body["escalated_by"],
            "runbook": body["runbook"],
            "next": body["next"],
            "rule": body["rule"],
            "alerts": body["alerts_total"],
            "firing": body["alerts_firing"],
            "members": [member["component"] for member in body["members"]],
            "suppressed": bool(body["suppressed_by"]),
            "because": "; ".join(body["suppressed_by"]),
            "services": body["services"],
            "reopened": body["reopened"],
            "flapping": body["flapping"],
            "root_cause": body["root_cause"],
        }

    def _escalation_item(self, body: Item) -> Item:
        escalation_fields = {
            name: body[name] for name in ("rule", "step", "severity", "owner", "because")
        }
        return {**self._time_and_incident(body), "to": body["to"]["name"], **escalation_fields}

    def _notification_item(self, body: Item) -> Item:
        notification_fields = {
            name: body[name]
            for name in ("kind", "channel", "address", "severity", "owner", "title", "text")
        }
        return {
            **self._time_and_incident(body),
            "to": body["receiver"],
            **notification_fields,
            "next": _next(body),
        }

    def _timeline_item(self, body: Item) -> Item:
        return {
            **self._time_and_incident(body),
            "kind": body["kind"],
            "text": body["text"],
            "by": body.get("by", ""),
        }

    def _task(self, body: Item) -> Item:
        task_fields = {name: body[name] for name in ("title", "state", "owner")}
        due = self._virtual_time(body["due_at"])
        return {
            "incident": self._by_id.get(body["incident"]),
            "task": body["name"],
            **task_fields,
            "due": due,
        }

    def _deadletter_item(self, body: Item) -> Item:
        return {
            "at": self._virtual_time(body["at"]),
            "reason": body["reason"],
            "message": body["message"],
        }


def _next(body: Item) -> str:
    """The next step of a notification, its command at the end."""
    step = body["next_step"] or {}
    return ": ".join(step[part] for part in ("say", "run") if step.get(part))


_KINDS = {
    "incidents": Stream.INCIDENTS,
    "escalations": Stream.ESCALATIONS,
    "notifications": Stream.NOTIFICATIONS,
    "timeline": Stream.TIMELINE,
    "tasks": Stream.FOLLOWUPS,
    "refused": Stream.DEADLETTER,
}
_ITEMS: dict[Stream, Callable[[ScenarioOutcome, Item], Item]] = {
    Stream.INCIDENTS: ScenarioOutcome._incident_item,  # noqa: SLF001  its own
    Stream.ESCALATIONS: ScenarioOutcome._escalation_item,  # noqa: SLF001
    Stream.NOTIFICATIONS: ScenarioOutcome._notification_item,  # noqa: SLF001
    Stream.TIMELINE: ScenarioOutcome._timeline_item,  # noqa: SLF001
    Stream.FOLLOWUPS: ScenarioOutcome._task,  # noqa: SLF001
    Stream.DEADLETTER: ScenarioOutcome._deadletter_item,  # noqa: SLF001
}
