"""Two policies compared by meaning.

What one decides and the other does not, whatever the files look like.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from app.core.rules.compiled_policy import CompiledPolicy
from app.policy.readable import readable_policy
from models.alert import Labels, fingerprint

# Lists whose first entry that matches decides, so that their order is part of what they mean.
FIRST_DECIDES = ("severities.rules", "ownership", "classes", "runbooks", "heartbeats")
# Lists that are sets.
UNORDERED = ("severity", "on_call", "hours", "absent", "during", "except_dates")
SELECTORS = ("match", "root", "dependants", "source_matchers", "target_matchers")
QUIET = (("correlation_wait", "0s"), ("grace", "0s"))  # as they are by default
TEXT_CHARACTERS = 200  # of a value, as people are shown it

Kind = Literal["added", "removed", "changed", "moved"]


@dataclass(frozen=True, slots=True)
class Change:
    """One decision that differs.

    `old` and `new` are texts for people, empty where there is none.
    """

    kind: Kind
    key: str
    old: str
    new: str

    def as_json(self) -> dict[str, str]:
        """The same for programs."""
        return asdict(self)

    def __str__(self) -> str:
        match self.kind:
            case "added":
                return f"+ {self.key}: {self.new}"
            case "removed":
                return f"- {self.key}: {self.old}"
            case "changed":
                return f"~ {self.key}: {self.old} -> {self.new}"
            case "moved":
                return f"> {self.key}: {self.old} -> {self.new}"


def policy_changes(old: CompiledPolicy, new: CompiledPolicy) -> list[Change]:
    """What differs, in the order of the policy's keys."""
    return list(_compare_values("", readable_policy(old.policy), readable_policy(new.policy)))


def _compare_values(key: str, old: Any, new: Any) -> Iterator[Change]:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        yield from _compare_mappings(key, old, new)
    elif _is_entries(old) or _is_entries(new):
        yield from _compare_entries(key, old, new)
    elif _is_like(old, new):
        for number, (item, other) in enumerate(zip(old, new, strict=True)):
            yield from _compare_values(f"{key}[{number}]", item, other)
    elif _normalized_value(key, old) != _normalized_value(key, new):
        yield _make_change(key, old, new)


def _compare_mappings(key: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    for name in dict.fromkeys([*old, *new]):
        inner = f"{key}.{name}" if key else name
        if name not in old:
            yield Change("added", inner, "", _value_text(new[name]))
        elif name not in new:
            yield Change("removed", inner, _value_text(old[name]), "")
        else:
            yield from _compare_values(inner, old[name], new[name])


def _is_entries(value: Any) -> bool:
    """Whether it is a list of entries that have a name, or that are known by what they match."""
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(item, dict) and {"name", "match"} & set(item) for item in value)
    )


def _is_like(old: Any, new: Any) -> bool:
    """Whether they are lists of as many mappings, whose places can stand for names."""
    lists = isinstance(old, list) and isinstance(new, list) and len(old) == len(new) > 0
    return lists and all(isinstance(item, dict) for item in [*old, *new])


def _compare_entries(key: str, old: Sequence[Any], new: Sequence[Any]) -> Iterator[Change]:
    olds, news = _by_name(old), _by_name(new)
    yield from _compare_mappings(key, olds, news)
    if key in FIRST_DECIDES:
        before, after = (
            [item for item in olds if item in news],
            [item for item in news if item in olds],
        )
        stay = _longest_common_order(before, after)
        for name in after:
            if name not in stay:
                old_place, new_place = (list(item).index(name) + 1 for item in (olds, news))
                yield Change("moved", f"{key}.{name}", f"place {old_place}", f"place {new_place}")


def _by_name(entries: Sequence[Any]) -> dict[str, Any]:
    by_name: dict[str, Any] = {}
    for entry in entries:
        name = base = (
            entry.get("name") or f"[{_value_text(_normalized_value('match', entry['match']))}]"
        )
        number = 1
        while name in by_name:
            number += 1
            name = f"{base}#{number}"
        by_name[name] = entry
    return by_name


def _longest_common_order(before: Sequence[str], after: Sequence[str]) -> set[str]:
    """The names of a longest common order.

    The others were moved. Both have the same names, each once.
    """
    places = {name: place for place, name in enumerate(before)}
    ends: list[int] = []  # the least last place of an order of each length
    rows: list[list[str]] = []  # for each length, the names that ended such an order, in turn
    above: dict[str, str | None] = {}
    for name in after:
        length = bisect_left(ends, places[name])
        above[name] = rows[length - 1][-1] if length else None
        if length == len(ends):
            ends.append(places[name])
            rows.append([name])
        else:
            ends[length] = places[name]
            rows[length].append(name)
    stay: set[str] = set()
    name_now = rows[-1][-1] if rows else None
    while name_now is not None:
        stay.add(name_now)
        name_now = above[name_now]
    return stay


def _make_change(key: str, old: Any, new: Any) -> Change:
    if old in (None, "", []) and new not in (None, "", []):
        return Change("added", key, "", _value_text(new))
    if new in (None, "", []) and old not in (None, "", []):
        return Change("removed", key, _value_text(old), "")
    return Change("changed", key, _value_text(old), _value_text(new))


def _normalized_value(key: str, value: Any) -> Any:
    """The value without the order that means nothing."""
    name = key.rpartition(".")[2]
    if not isinstance(value, list):
        return value
    if name in SELECTORS:
        return _normalized_selector(value)
    if name == "sequence":
        return [_normalized_selector(item) for item in value]
    return sorted(value) if name in UNORDERED else value


def _normalized_selector(value: list[list[str]]) -> list[list[str]]:
    return sorted(sorted(matchers) for matchers in value)


def _value_text(value: Any) -> str:
    text = _full_text(value)
    return text if len(text) <= TEXT_CHARACTERS else f"{text[: TEXT_CHARACTERS - 3]}..."


def _full_text(value: Any) -> str:
    if isinstance(value, Mapping):
        return (
            ", ".join(
                f"{name} {_full_text(item)}"
                for name, item in value.items()
                if _is_significant(name, item)
            )
            or "nothing more"
        )
    if isinstance(value, list):
        if value and all(isinstance(item, list) for item in value):
            return " or ".join(_full_text(item) for item in value)
        return ", ".join(_full_text(item) for item in value) or "nothing"
    if value is None or value == "":
        return "nothing"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _is_significant(name: str, value: Any) -> bool:
    """Whether a key of an entry says something that its name does not, and that is not so anyway."""
    return name != "name" and value not in (None, "", [], {}, False) and (name, value) not in QUIET


@dataclass(frozen=True, slots=True)
class ChangedDecision:
    """An alert that the two judge otherwise.

    For each thing that differs, what it was and what it is.
    """

    labels: Labels
    differs: dict[str, tuple[str, str]]

    def as_json(self) -> dict[str, Any]:
        """The same for programs."""
        return {
            "labels": dict(self.labels),
            "changed": {name: {"old": a, "new": b} for name, (a, b) in self.differs.items()},
        }

    def __str__(self) -> str:
        labels = ", ".join(f"{name}={value}" for name, value in self.labels.items())
        return f"{labels}: " + "; ".join(
            f"{name} {old} -> {new}" for name, (old, new) in self.differs.items()
        )


def changed_decisions(
    old: CompiledPolicy, new: CompiledPolicy, alerts: Iterable[Labels]
) -> tuple[int, list[ChangedDecision]]:
    """How many different alerts there are, and those that the policies judge otherwise."""
    different = {fingerprint(labels): labels for labels in alerts}
    changes = []
    for labels in different.values():
        before, after = _decide_alert(old, labels), _decide_alert(new, labels)
        differs = {
            name: (before[name], after[name]) for name in before if before[name] != after[name]
        }
        if differs:
            changes.append(ChangedDecision(labels, differs))
    return len(different), changes


def _decide_alert(rules: CompiledPolicy, labels: Labels) -> dict[str, str]:
    verdict = rules.evaluate(labels)
    return {
        "severity": str(verdict.severity),
        "owner": verdict.owner,
        "component": rules.place(labels, fingerprint(labels)).title,
        "class": verdict.incident_class,
        "runbook": verdict.runbook or "none",
        "heartbeat of": verdict.heartbeat or "none",
    }
