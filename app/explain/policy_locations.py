"""Where in the policy an effect's reason stands: keys, the lines of the file, and what is written there.

The policy that decided stands in the journal. Its lines are known if the policy file at hand is the
same, by its fingerprint.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import orjson

from app.core.notification import mute_times
from app.core.rules.compiled_policy import CompiledPolicy
from app.files import policy_file, yaml_file
from app.history.effects import Document
from models.effect import Stream
from models.policy.types import Where
from models.text.truncate import truncate

TEXT_CHARACTERS_MAX = 160
_NAMED = ("escalations", "correlations", "nearness", "dependencies", "inhibit_rules", "heartbeats")
_CHANNELS = (
    "acknowledged",
    "updates",
    "reminders",
    "clocks",
    "suppressed",
    "flapping",
    "reopened",
    "tasks",
)


class PolicyText:
    """The text of a policy, and its lines where the file is at hand."""

    def __init__(self, rules: CompiledPolicy, file: str = "") -> None:
        """`file` is the policy file that may be the same.

        Empty is the one that ships with Tocsin.
        """
        self.rules = rules
        self.document = rules.document
        path = Path(file) if file else policy_file.default_path()
        self.file, self._lines = "", None
        try:
            policy = policy_file.read_policy_file(path)
        except policy_file.BadPolicy:
            return
        if policy.rules.fingerprint == rules.fingerprint:
            self.file, self._lines = _relative_path(path), policy.document

    def about(self) -> str:
        """Which policy it is, in words."""
        where = (
            f"the same as {self.file}"
            if self.file
            else "no local policy file is the same (TOCSIN_POLICY)"
        )
        return f"{self.rules.fingerprint}: {where}"

    def places(self, wheres: Iterable[Where]) -> list[Document]:
        """Each place that the policy has.

        `key`, `file`, `line` (0 where it is not known) and `text`; each once.
        """
        places = []
        for where in dict.fromkeys(wheres):
            there, value = self._location_of(where)
            if there:
                text = value if isinstance(value, str) else _yaml_value(value)
                key = yaml_file.key_path(where)
                place = {"key": key, "file": self.file, "line": self._line_number(where)}
                places.append(place | {"text": truncate(text, TEXT_CHARACTERS_MAX)})
        return places

    def _location_of(self, where: Where) -> tuple[bool, Any]:
        part: Any = self.document
        for key in where:
            try:
                part = part[key]
            except (KeyError, IndexError, TypeError):
                return False, None
        return True, part

    def _line_number(self, where: Where) -> int:
        return self._lines.place(where).line if self._lines else 0


def _relative_path(path: Path) -> str:
    """The path as short as the folder of now allows."""
    inside = path.absolute().is_relative_to(Path.cwd())
    return str(path.absolute().relative_to(Path.cwd()) if inside else path)


def _yaml_value(value: Any) -> str:
    """A value as it may be written in YAML on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}: {_yaml_value(item)}" for name, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_yaml_value(item) for item in value) + "]"
    if isinstance(value, str):
        return f"'{value}'" if any(sign in value for sign in '"{}[],:#&*!|>%@`') else value
    return orjson.dumps(value).decode()


def locate_rule(rules: CompiledPolicy, name: str) -> Where | None:
    """Where the rule of that name stands, whatever its kind."""
    for section in _NAMED:
        for number, item in enumerate(getattr(rules.policy, section)):
            if item.name == name:
                return (section, number)
    for number, mute in enumerate(rules.policy.notify.mute):
        if mute.name == name:
            return ("notify", "mute", number)
    return None


def locate_suppression(rules: CompiledPolicy, owner: str, name: str) -> list[Where]:
    """Where the policy states that nobody is notified at some times.

    A mute rule, or (`mute_times.HOURS`) the hours of a team.
    """
    if name != mute_times.HOURS:
        rule = locate_rule(rules, name)
        return [rule] if rule else []
    team = rules.owner_known(owner)
    hours = rules.policy.teams[team].hours or ""
    return [("notify", "hours"), ("teams", team, "hours"), ("time_intervals", hours)]


def locate_entry(rules: CompiledPolicy, section: str, name: str) -> list[Where]:
    """Where the entry of that name stands in a section, if it does."""
    return [
        (section, number)
        for number, item in enumerate(getattr(rules.policy, section))
        if item.name == name
    ]


def locate_wait(rules: CompiledPolicy, incident_class: str, severity: str, name: str) -> Where:
    """Where it stands how long messages of an incident wait: in its class, else in `notify`."""
    by_severity: Where = () if name == "group_interval" else (severity,)
    for number, claimed in enumerate(rules.policy.classes):
        own = getattr(claimed, name)
        if claimed.name == incident_class and own and (not by_severity or severity in own):
            return ("classes", number, name, *by_severity)
    return ("notify", name, *by_severity)


def locate_escalation_delay(rules: CompiledPolicy, owner: str, severity: str, step: int) -> Where:
    """Where it stands for how long an incident stays at a step."""
    team = rules.owner_known(owner)
    start: Where = (
        ("escalate_after",)
        if rules.policy.teams[team].escalate_after is None
        else ("teams", team, "escalate_after")
    )
    return (*start, severity, step - 1)


def locate_reminder(rules: CompiledPolicy, runbook: str, severity: str) -> list[Where]:
    """Where it stands how often something has to be said."""
    guide = rules.runbook(runbook)
    if guide is not None and guide.update_every:
        return [(*where, "update_every") for where in locate_entry(rules, "runbooks", runbook)]
    return [("updates", "every", severity)]


def locate_notification(rules: CompiledPolicy, effect: Document) -> list[Where]:
    """Why a notification goes through its channel, and to its receiver."""
    severity, kind = effect["severity"], effect["kind"]
    channel = {
        "update": "updates",
        "reminder": "reminders",
        "clock_warned": "clocks",
        "clock_breached": "clocks",
    }
    channel |= {
        "suppressed": "suppressed",
        "released": "suppressed",
        "task_reminder": "tasks",
        "root_cause_wanted": "tasks",
    }
    name = channel.get(kind, kind)
    if kind == "digest":
        return [("notify", "digest")]
    places: list[Where] = (
        [("notify", name)] if name in _CHANNELS else [("notify", "channels", severity)]
    )
    return [*places, *_locate_receiver(rules, effect)]


def _locate_receiver(rules: CompiledPolicy, effect: Document) -> list[Where]:
    owner, severity, name = (
        rules.owner_known(effect["owner"]),
        effect["severity"],
        effect["receiver"],
    )
    contacts, team = rules.policy.contacts, rules.policy.teams[owner]
    if effect["kind"] != "escalated":
        if name == team.contact.name:
            return [("teams", owner, "contact")]
        if contacts[team.chain[0]].name == name:
            return [
                ("teams", owner, "chain", 0),
                *([] if effect["channel"] == "pager" else [("notify", "on_call")]),
            ]
        for number, role in enumerate(rules.policy.notify.also_notify.get(severity, ())):
            if contacts[role].name == name:
                return [("notify", "also_notify", severity, number)]
        for index, item in enumerate(rules.policy.classes):
            for number, role in enumerate(item.also_notify):
                if contacts[role].name == name:
                    return [("classes", index, "also_notify", number)]
    step = next(
        (number for number, role in enumerate(team.chain) if contacts[role].name == name), None
    )
    return [] if step is None else [("teams", owner, "chain", step)]


def of_effect(rules: CompiledPolicy, stream: Stream, effect: Document) -> list[Where]:
    """The places of the policy that an effect's own words rest on."""
    kind, severity = effect["kind"], effect.get("severity", "")
    if stream is Stream.NOTIFICATIONS:
        return locate_notification(rules, effect)
    if stream is Stream.ESCALATIONS:
        return locate_escalation(rules, effect["rule"], effect["owner"], severity, effect["step"])
    if stream is Stream.FOLLOWUPS:
        return locate_entry(rules, "followups", effect["name"])
    if kind in ("ClockWarned", "ClockBreached", "ClockMet"):
        clock: list[Where] = [("targets", effect["clock"])]
        return [*clock, ("targets", "warn_at")] if kind == "ClockWarned" else clock
    if kind in ("TaskMade", "TaskReminded", "TaskLapsed"):
        return locate_entry(rules, "followups", effect["task"])
    if kind in ("Escalated", "Suppressed", "Released", "NotSuppressed", "MemberFired"):
        rule = locate_rule(rules, str(effect.get("rule", "")).split("/")[0])
        return [rule] if rule else []
    if kind == "ServiceDown":
        services = [availability.name for availability in rules.policy.targets.availability]
        name = effect["service"]
        return [("targets", "availability", services.index(name))] if name in services else []
    places: dict[str, list[Where]] = {
        "Runbook": locate_entry(rules, "runbooks", str(effect.get("runbook", ""))),
        "Flapping": [("flapping",)],
        "Stable": [("flapping",)],
        "Closed": [("incidents", "close_after")],
        "Forgotten": [("updates", "reminders")],
    }
    return places.get(kind, [])


def locate_escalation(
    rules: CompiledPolicy, name: str, owner: str, severity: str, step: int
) -> list[Where]:
    """Why an incident climbed to a step."""
    team = rules.owner_known(owner)
    rule = locate_rule(rules, name)
    whom: Where = ("teams", team, "chain", step - 1)
    if name == "unacknowledged":
        return [locate_escalation_delay(rules, owner, severity, step - 1), whom]
    if name == "forgotten":
        return [("updates", "reminders"), whom]
    return [rule, whom] if rule else [whom]
