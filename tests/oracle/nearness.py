"""Nearness, restated: each answer is found anew from all that ever happened, with no count kept.

It forgets nothing, so it is compared on histories that stay below every bound. The logarithm is
that of `decimal`, to 40 digits.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, localcontext
from math import floor

SECOND, MINUTE, QUARTER, HOUR = 1000, 60_000, 900_000, 3_600_000
MILLION = 1_000_000
CHANCE, FALSE_SHARE = 200_000, 100_000
PLACE_LABELS = ("instance", "host", "hostname", "node", "pod")


@dataclass(frozen=True)
class Fired:
    """An alert began to fire, and was put into a group."""

    at_ms: int
    key: str
    component: str
    severity: str
    labels: Mapping[str, str]
    group: int
    shown: bool


@dataclass(frozen=True)
class Answer:
    """The group and the numbers behind it, as far as they matter to anyone."""

    group: int
    reason: str
    token: str = ""
    apart_ms: int = 0
    accident_ppm: int = 0
    limit_ppm: int = 0


def hazard(share_ppm: int) -> int:
    """-ln(1 - share) in parts in a million, rounded down."""
    with localcontext() as context:
        context.prec = 40
        return floor(-(1 - Decimal(share_ppm) / MILLION).ln() * MILLION)


def places(component: str, labels: Mapping[str, str]) -> list[str]:
    """The hosts without ports, each followed by its parent domains."""
    result: list[str] = []
    for value in (component, *(labels.get(name, "") for name in PLACE_LABELS)):
        host = value.lower().split(":")[0]
        parts = host.split(".")
        domains = [host] if parts[-1].isdecimal() else [host, *_domains(parts)]
        result += [domain for domain in domains if domain and domain not in result]
    return result


def _domains(parts: list[str]) -> list[str]:
    return [".".join(parts[first:]) for first in range(1, len(parts) - 1)]


class History:
    """All that happened, and the questions that are asked of it."""

    def __init__(self) -> None:
        self.fired: list[Fired] = []
        self.status: dict[str, str] = {}
        self.tested: dict[str, list[int]] = {"place": [], "kind": []}
        self.background: list[tuple[int, int]] = []

    def fire(
        self,
        at_ms: int,
        key: str,
        component: str,
        severity: str,
        labels: Mapping[str, str],
        *,
        chronic: bool,
    ) -> Answer:
        """What has to be answered when this alert begins to fire."""
        self.now = Fired(at_ms, key, component, severity, labels, 0, shown=True)
        answer = self._again() or self._otherwise(chronic=chronic)
        if not answer.group:
            group = max((fired.group for fired in self.fired), default=0) + 1
            answer = Answer(group, answer.reason)
        if chronic and answer.reason in ("background", "new"):
            self.background.append((answer.group, at_ms))
        self.fired.append(
            Fired(at_ms, key, component, severity, labels, answer.group, shown=not chronic)
        )
        self.status[key] = "yes"
        return answer

    def end(self, key: str, *, resolved: bool) -> None:
        """The alert ended."""
        if self.status.get(key, "over") == "over" or (
            self.status[key] == "expired" and not resolved
        ):
            return
        self.status[key] = "over" if resolved else "expired"

    def group_of(self, key: str) -> int:
        """The group in which an alert fired last; 0 for none."""
        return next((fired.group for fired in reversed(self.fired) if fired.key == key), 0)

    def _otherwise(self, *, chronic: bool) -> Answer:
        if chronic:
            group, at_ms = self.background[-1] if self.background else (0, 0)
            if group and self.now.at_ms - at_ms <= QUARTER:
                return Answer(group, "background")
            return Answer(0, "new")
        return self._place() or self._kind() or Answer(0, "new")

    def _again(self) -> Answer | None:
        before = [fired for fired in self.fired if fired.key == self.now.key]
        if not before:
            return None
        apart_ms = self.now.at_ms - before[-1].at_ms
        return Answer(before[-1].group, "again", "", apart_ms) if apart_ms <= QUARTER else None

    def _place(self) -> Answer | None:
        mine = places(self.now.component, self.now.labels)
        limit, tests, found = self._limit("place"), [], []
        for name in mine:
            share, slot = self._place_share(f"place {name}")
            for group, last_ms in self._groups(f"place {name}") if share <= 500_000 else ():
                apart_ms = self.now.at_ms - last_ms
                accident = hazard(share) * len(mine) * apart_ms // slot
                tests += [accident] if group != self._own() else []
                if apart_ms <= QUARTER and accident <= limit:
                    found.append(Answer(group, "place", f"place {name}", apart_ms, accident, limit))
        self.tested["place"] += [min(tests)] if tests else []
        return self._best(found)

    def _kind(self) -> Answer | None:
        name = f"kind {self.now.labels['alertname']}"
        since_ms = self.fired[0].at_ms if self.fired else self.now.at_ms
        elapsed = self.now.at_ms - since_ms
        slots = len({fired.at_ms // HOUR for fired in self.fired if name in self._names(fired)})
        share = min(slots * HOUR * MILLION // max(elapsed, 10 * HOUR), MILLION)
        if elapsed < 2 * HOUR or share > 100_000:
            return None
        limit, tests, found = self._limit("kind"), [], []
        for group, last_ms in self._groups(name):
            apart_ms = self.now.at_ms - last_ms
            accident = hazard(share) * apart_ms // HOUR
            tests += [accident] if group != self._own() else []
            if accident <= limit and apart_ms <= self._reach(group):
                found.append(Answer(group, "kind", name, apart_ms, accident, limit))
        self.tested["kind"] += [min(tests)] if tests else []
        return self._best(found)

    def _reach(self, group: int) -> int:
        members = {fired.key: fired.group for fired in self.fired}
        states = [self.status[key] for key, last in members.items() if last == group]
        severities = [fired.severity for fired in self.fired if fired.group == group]
        reach = 2 * HOUR if self.now.severity in severities else 5 * MINUTE
        if "yes" in states:
            return reach
        return min(HOUR, reach) if "expired" in states else -1

    def _place_share(self, token: str) -> tuple[int, int]:
        since_ms = self.fired[0].at_ms if self.fired else self.now.at_ms
        elapsed = self.now.at_ms - since_ms
        slot, least = (MINUTE, QUARTER) if elapsed < 2 * HOUR else (QUARTER, 2 * HOUR)
        slots = {
            fired.at_ms // slot
            for fired in self.fired
            if token[6:] in places(fired.component, fired.labels)
        }
        return min(len(slots) * slot * MILLION // max(elapsed, least), MILLION), slot

    def _limit(self, reason: str) -> int:
        tests = self.tested[reason]
        far = sum(test > CHANCE for test in tests)
        independent = (far + 1) * MILLION // (MILLION - CHANCE)
        allowed = [0]
        for bits in range(CHANCE.bit_length() + 1):
            edge = min(2**bits, CHANCE)
            near = sum(test < 2**bits and test <= CHANCE for test in tests) + 1
            if independent * edge <= near * FALSE_SHARE:
                allowed.append(edge)
        return max(allowed)

    def _groups(self, token: str) -> Iterator[tuple[int, int]]:
        """The eight newest groups in which something with the token fired, with the last time."""
        last: dict[int, int] = {}
        for fired in self.fired:
            names = {f"place {name}" for name in places(fired.component, fired.labels)}
            if fired.shown and token in names | set(self._names(fired)):
                last.pop(fired.group, None)
                last[fired.group] = fired.at_ms
        yield from list(last.items())[-8:]

    def _names(self, fired: Fired) -> list[str]:
        component = fired.component.lower().split(":")[0]
        return [f"place {component}", f"kind {fired.labels['alertname']}"]

    def _own(self) -> int:
        return self.group_of(self.now.key)

    def _best(self, found: list[Answer]) -> Answer | None:
        def rank(answer: Answer) -> tuple[int, int, int]:
            theirs = {
                label
                for fired in self.fired
                if fired.group == answer.group
                for label in fired.labels.items()
            }
            return (
                len(theirs & set(self.now.labels.items())),
                -answer.apart_ms,
                -answer.group,
            )

        return max(found, key=rank, default=None)
