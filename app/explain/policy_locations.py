"""Where in the policy an effect's reason stands: keys, the lines of the file, and what is written there.

The policy that decided stands in the journal. Its lines are known if the policy file at hand is the
same, by its fingerprint.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import orjson

from app.core.notification import mute_times
from app.core.rules.compiled_policy import Rulebook
from app.files import policy_file, yaml_file
from app.history.effects import Document
from models.effect import Stream
from models.policy_types import Where
from models.truncate import cut

TEXT_CHARACTERS_MAX = 160
_NAMED = ("escalations", "correlations", "dependencies", "inhibit_rules", "absences")
_CHANNELS = (
    "acknowledged",
    "updates",
    "reminders",
    "clocks",
    "held",
    "flapping",
    "reopened",
    "tasks",
)


class PolicyText:
    """The text of a policy, and its lines where the file is at hand."""

    def __init__(self, rules: Rulebook, file: str = "") -> None:
        """`file` is the policy file that may be the same.

        Empty is the one that ships with Tocsin.
        """
        self.rules = rules
        self.document = rules.document
        path = Path(file) if file else policy_file.default_path()
        self.file, self._lines = "", None
        try:
            found = policy_file.read(path)
        except policy_file.BadPolicy:
            return
        if found.rules.fingerprint == rules.fingerprint:
            self.file, self._lines = _shown(path), found.document

    def about(self) -> str:
        """Which policy it is, in words."""
        where = (
            f"the same as {self.file}"
            if self.file
            else "no policy file at hand is the same (TOCSIN_POLICY)"
        )
        return f"{self.rules.fingerprint}: {where}"

    def places(self, wheres: Iterable[Where]) -> list[Document]:
        """Each place that the policy has.

        `key`, `file`, `line` (0 where it is not known) and `text`; each once.
        """
        found = []
        for where in dict.fromkeys(wheres):
            there, value = self._at(where)
            if there:
                text = value if isinstance(value, str) else _written(value)
                key = yaml_file.key(where)
                place = {"key": key, "file": self.file, "line": self._line(where)}
                found.append(place | {"text": cut(text, TEXT_CHARACTERS_MAX)})
        return found

    def _at(self, where: Where) -> tuple[bool, Any]:
        found: Any = self.document
        for key in where:
            try:
                found = found[key]
            except (KeyError, IndexError, TypeError):
                return False, None
        return True, found

    def _line(self, where: Where) -> int:
        return self._lines.place(where).line if self._lines else 0


def _shown(path: Path) -> str:
    """The path as short as the folder of now allows."""
    inside = path.absolute().is_relative_to(Path.cwd())
    return str(path.absolute().relative_to(Path.cwd()) if inside else path)


def _written(value: Any) -> str:
    """A value as it may be written in YAML on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}: {_written(one)}" for name, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_written(one) for one in value) + "]"
    if isinstance(value, str):
        return f"'{value}'" if any(sign in value for sign in '"{}[],:#&*!|>%@`') else value
    return orjson.dumps(value).decode()


def rule(rules: Rulebook, name: str) -> Where | None:
    """Where the rule of that name stands, whatever its kind."""
    for section in _NAMED:
        for number, one in enumerate(getattr(rules.policy, section)):
            if one.name == name:
                return (section, number)
    for number, mute in enumerate(rules.policy.notify.mute):
        if mute.name == name:
            return ("notify", "mute", number)
    return None


def keeping(rules: Rulebook, owner: str, name: str) -> list[Where]:
    """Where it stands that nobody is told at some times.

    A mute rule, or (`quiet.HOURS`) the hours of a team.
    """
    if name != mute_times.HOURS:
        found = rule(rules, name)
        return [found] if found else []
    team = rules.owner_known(owner)
    hours = rules.policy.teams[team].hours or ""
    return [("notify", "hours"), ("teams", team, "hours"), ("time_intervals", hours)]


def named(rules: Rulebook, section: str, name: str) -> list[Where]:
    """Where the entry of that name stands in a section, if it does."""
    return [
        (section, number)
        for number, one in enumerate(getattr(rules.policy, section))
        if one.name == name
    ]


def climb(rules: Rulebook, owner: str, severity: str, step: int) -> Where:
    """Where it stands for how long an incident stays at a step."""
    team = rules.owner_known(owner)
    start: Where = (
        ("climb",) if rules.policy.teams[team].climb is None else ("teams", team, "climb")
    )
    return (*start, severity, step - 1)


def reminded(rules: Rulebook, guide: str, severity: str) -> list[Where]:
    """Where it stands how often something has to be said."""
    found = rules.guide(guide)
    if found is not None and found.update_every:
        return [(*where, "update_every") for where in named(rules, "guides", guide)]
    return [("updates", "every", severity)]


def told(rules: Rulebook, effect: Document) -> list[Where]:
    """Why a notification goes through its channel, and to its receiver."""
    severity, kind = effect["severity"], effect["kind"]
    channel = {
        "update": "updates",
        "reminder": "reminders",
        "clock_warned": "clocks",
        "clock_breached": "clocks",
    }
    channel |= {
        "suppressed": "held",
        "released": "held",
        "task_reminder": "tasks",
        "cause_wanted": "tasks",
    }
    name = channel.get(kind, kind)
    if kind == "digest":
        return [("notify", "digest")]
    found: list[Where] = (
        [("notify", name)] if name in _CHANNELS else [("notify", "channels", severity)]
    )
    return [*found, *_receiver(rules, effect)]


def _receiver(rules: Rulebook, effect: Document) -> list[Where]:
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
        for number, role in enumerate(rules.policy.notify.also_tell.get(severity, ())):
            if contacts[role].name == name:
                return [("notify", "also_tell", severity, number)]
        for index, one in enumerate(rules.policy.classes):
            for number, role in enumerate(one.also_tell):
                if contacts[role].name == name:
                    return [("classes", index, "also_tell", number)]
    step = next(
        (number for number, role in enumerate(team.chain) if contacts[role].name == name), None
    )
    return [] if step is None else [("teams", owner, "chain", step)]


def of_effect(rules: Rulebook, stream: Stream, effect: Document) -> list[Where]:
    """The places of the policy that an effect's own words rest on."""
    kind, severity = effect["kind"], effect.get("severity", "")
    if stream is Stream.NOTIFICATIONS:
        return told(rules, effect)
    if stream is Stream.ESCALATIONS:
        return escalated(rules, effect["rule"], effect["owner"], severity, effect["step"])
    if stream is Stream.FOLLOWUPS:
        return named(rules, "followups", effect["name"])
    if kind in ("ClockWarned", "ClockBreached", "ClockMet"):
        clock: list[Where] = [("targets", effect["clock"])]
        return [*clock, ("targets", "warn_at")] if kind == "ClockWarned" else clock
    if kind in ("TaskMade", "TaskReminded", "TaskLapsed"):
        return named(rules, "followups", effect["task"])
    if kind in ("Escalated", "Held", "Released", "NotHeld", "MemberFired"):
        found = rule(rules, str(effect.get("rule", "")).split("/")[0])
        return [found] if found else []
    if kind == "ServiceDown":
        services = [one.name for one in rules.policy.targets.availability]
        name = effect["service"]
        return [("targets", "availability", services.index(name))] if name in services else []
    places: dict[str, list[Where]] = {
        "Guide": named(rules, "guides", str(effect.get("guide", ""))),
        "Flapping": [("flapping",)],
        "Calm": [("flapping",)],
        "Closed": [("incidents", "settle")],
        "Forgotten": [("updates", "reminders")],
    }
    return places.get(kind, [])


def escalated(rules: Rulebook, name: str, owner: str, severity: str, step: int) -> list[Where]:
    """Why an incident climbed to a step."""
    team = rules.owner_known(owner)
    found = rule(rules, name)
    whom: Where = ("teams", team, "chain", step - 1)
    if name == "unacknowledged":
        return [climb(rules, owner, severity, step - 1), whom]
    if name == "forgotten":
        return [("updates", "reminders"), whom]
    return [found, whom] if found else [whom]
