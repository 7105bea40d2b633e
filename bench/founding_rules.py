"""What a day of the founding organisation's rules costs: `python -m bench.founding_rules FOLDER [--json]`.

FOLDER has its Prometheus rules, agents and Alertmanager configurations (`sutazai` of the real
data). The days are those of `bench/founding_day.py`; the engine is the real one under the policy
that ships, with eight partitions on virtual time that feed each other, and a tick every 20 seconds.
Nobody answers (`alone`), or somebody does (`answered`): a minute after an incident is told it is
acknowledged, then an update is posted every ten minutes, and after twenty the cause is named and
the incident said to be mitigated. A page is a message by pager that something is wrong; that it is
over is none. Pages are about incidents, or about an Alertmanager's groups from their first alert to
their end, which is how PagerDuty counts them. Beside it: what an Alertmanager with
the organisation's own configurations would send, by the model of `bench/alertmanager_model.py`.

`bench/matters.py` draws up the list of what should wake somebody, and whom, before either plays the
day; both are scored by it. `new` are the messages that a person sees as new
(`bench/messages_seen.py`).
"""

import argparse
import heapq
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import orjson

from app.core.engine import Engine
from app.core.notification import naming
from app.core.rules.compiled_policy import CompiledPolicy
from app.core.state.titles import member_title
from app.files.policy_file import load_policy
from app.policy.importer import reader
from app.transport.log import StoredRecord
from bench import alertmanager_model, founding_day, matters
from bench.founding_day import DAY_MS, MINUTE_MS, START_MS, Firing
from bench.matters import Matter, Naming
from bench.messages_seen import SeenMessages, alertmanager_new
from models.alert import Alert, fingerprint
from models.command import Command
from models.effect import Effect, Stream
from models.journal import TICK, Source, encode_alert, encode_command
from models.severity import Severity
from models.topics import partition_of

PARTITIONS = 8
TICK_MS = 20_000
SAID = b"said"  # the key of commands, which none is needed for
RESEND_MS = MINUTE_MS
HOLD_MS = 4 * MINUTE_MS  # Prometheus says that an alert ends after four times its resend delay
AFTER_MS = (
    12 * 60 * MINUTE_MS
)  # that the day is followed for, so that all of it has ended and been told
SEEDS = (1, 2, 3)


@dataclass(slots=True)
class Outcome:
    """What a day came to."""

    alerts: int = 0
    repeats: int = 0
    incidents: dict[str, dict[str, Any]] = field(default_factory=dict)
    told: set[str] = field(default_factory=set)
    messages: Counter[tuple[str, str, str, str]] = field(
        default_factory=Counter
    )  # severity, owner, channel, kind
    new: Counter[tuple[str, str]] = field(default_factory=Counter)  # channel, kind
    namings: set[Naming] = field(default_factory=set)
    paged: set[str] = field(default_factory=set)
    escalations: int = 0

    def pages(self) -> int:
        """Messages by pager that something is wrong."""
        return sum(
            number
            for (*_, channel, kind), number in self.messages.items()
            if _is_page(channel, kind)
        )


def _teams_of(policy: CompiledPolicy) -> dict[str, str]:
    """The team of each receiver that is a team, or a step of its chain."""
    teams: dict[str, str] = {}
    for team in policy.policy.teams:
        for contact in (policy.team_contact(team), *policy.chain(team)):
            teams.setdefault(contact.name, team)
    return teams


def _is_page(channel: str, kind: str) -> bool:
    return channel == "pager" and kind != "resolved"


@dataclass(slots=True)
class Day:
    """The partitions, and what is still to happen, in order of time."""

    policy: CompiledPolicy
    answered: bool
    outcome: Outcome = field(default_factory=Outcome)
    engines: list[Engine] = field(init=False)
    offsets: list[int] = field(default_factory=lambda: [0] * PARTITIONS)
    waiting: list[tuple[int, int, int, StoredRecord]] = field(default_factory=list)
    order: Iterator[int] = field(default_factory=count)
    seen: SeenMessages = field(default_factory=SeenMessages)
    firings: dict[str, list[int]] = field(default_factory=dict)  # fingerprint: numbers
    teams: dict[str, str] = field(init=False)  # receiver: team

    def __post_init__(self) -> None:
        self.teams = _teams_of(self.policy)
        self.engines = [Engine(number, self.policy) for number in range(PARTITIONS)]

    def put(
        self,
        at_ms: int,
        partition: int,
        key: bytes | None,
        value: bytes,
        *headers: tuple[str, bytes],
    ) -> None:
        """Something happens at a time."""
        record = StoredRecord(-1, at_ms, key, value, headers)
        heapq.heappush(self.waiting, (at_ms, next(self.order), partition, record))

    def play(self, firings: Sequence[Firing]) -> Outcome:
        """Let the day happen."""
        self.outcome.alerts = len(firings)
        for number, firing in enumerate(firings):
            self.firings.setdefault(fingerprint(firing.labels), []).append(number)
            self._put_alert(firing)
        for at_ms in range(START_MS, START_MS + DAY_MS + AFTER_MS, TICK_MS):
            for partition in range(PARTITIONS):
                self.put(at_ms, partition, None, TICK)
        while self.waiting:
            at_ms, _, partition, record = heapq.heappop(self.waiting)
            if record.key == SAID and self._over(record, partition):
                continue
            record.offset, self.offsets[partition] = (
                self.offsets[partition],
                self.offsets[partition] + 1,
            )
            for effect in self.engines[partition].apply([record]):
                self._on_effect(effect, partition, at_ms)
        return self.outcome

    def _put_alert(self, firing: Firing) -> None:
        identity = fingerprint(firing.labels)
        key = self.policy.place(firing.labels, identity).key.encode()
        partition = partition_of(key, PARTITIONS)
        sent = [*range(firing.starts_ms, firing.ends_ms, RESEND_MS)]
        self.outcome.repeats += len(sent) - 1
        alert = encode_alert(Alert(identity, firing.labels, {}, True, firing.starts_ms, 0, HOLD_MS))  # noqa: FBT003
        for at_ms in sent:
            self.put(at_ms, partition, key, alert)
        over = Alert(identity, firing.labels, {}, False, firing.starts_ms, firing.ends_ms, 0)  # noqa: FBT003
        self.put(firing.ends_ms, partition, key, encode_alert(over))

    def _on_effect(self, effect: Effect, partition: int, at_ms: int) -> None:
        if effect.stream is Stream.JOURNAL:
            source = Source("journal", partition, effect.position.offset, effect.position.number)
            target = partition_of(effect.key or b"", PARTITIONS)
            self.put(at_ms, target, effect.key, effect.value, source.header())
            return
        if effect.stream is Stream.ALERTS:
            return
        body = orjson.loads(effect.value)
        if effect.stream is Stream.INCIDENTS:
            self.outcome.incidents[body["incident"]] = body
        elif effect.stream is Stream.ESCALATIONS:
            self.outcome.escalations += 1
        elif effect.stream is Stream.DEADLETTER:
            raise AssertionError(body)
        elif effect.stream is Stream.NOTIFICATIONS:
            self._on_message(body, partition, at_ms)

    def _on_message(self, body: dict[str, Any], partition: int, at_ms: int) -> None:
        outcome, name = self.outcome, body["incident"]
        channel, kind = body["channel"], body["kind"]
        outcome.messages[body["severity"], body["owner"], channel, kind] += 1
        if self.seen.is_new(body):
            outcome.new[channel, kind] += 1
        outcome.namings.update(self._namings(body, partition, at_ms))
        if self.answered and name and name not in outcome.told and kind == "opened":
            self._answer(name, at_ms)
        outcome.told.add(name)
        if _is_page(channel, kind):
            outcome.paged.add(name)

    def _namings(self, body: dict[str, Any], partition: int, at_ms: int) -> Iterator[Naming]:
        """The firings that a message names, also those that are over.

        It shows its worst alerts, and its text names what is urgent and new: each by its name and
        place, or, past fifty, by its component with a number.
        """
        named = {one["fingerprint"] for one in body["alerts"]}
        incident, text = self.engines[partition].state.incidents.get(body["incident"]), body["text"]
        counts = "alerts on " in text
        for alert in incident.alerts.values() if incident is not None else ():
            if alert.fingerprint in named:
                continue
            is_counted = counts and f"alerts on {alert.component}" in text
            if is_counted or (alert.name in text and naming.name_of(alert) in text):
                named.add(alert.fingerprint)
        for identity, member in incident.members.items() if incident is not None else ():
            if member.name in text and member_title(member) in text:
                named.add(identity)
        team = self.teams.get(body["receiver"], "")
        for one in named:
            for number in self.firings.get(one, ()):
                yield Naming(at_ms, number, team)

    def _over(self, record: StoredRecord, partition: int) -> bool:
        """Whether the incident that somebody would speak of is over: then nobody does."""
        incident = self.engines[partition].state.incidents.get(
            orjson.loads(record.value or b"{}")["incident"]
        )
        return incident is None or incident.ended

    def _answer(self, incident: str, at_ms: int) -> None:
        """Somebody takes the incident and works on it."""
        partition = next(
            number
            for number, engine in enumerate(self.engines)
            if incident in engine.state.incidents
        )
        said = [
            (1, Command.ACKNOWLEDGE, "looking into it"),
            (20, Command.ROOT_CAUSE, "found"),
            (20, Command.MITIGATE, ""),
        ]
        said += [(minutes, Command.UPDATE, "at work") for minutes in range(10, 240, 10)]
        for minutes, command, text in said:
            value = encode_command(command, incident, "on-call", text=text)
            self.put(at_ms + minutes * MINUTE_MS, partition, SAID, value)


def main(folder: Path, *, as_json: bool) -> None:
    """Print the tables, or with `as_json` one object."""
    rules, plant, policy = (
        founding_day.rules_of(folder),
        founding_day.plant_of(folder),
        load_policy(),
    )
    seed = SEEDS[0]
    days = {
        "each rule once": founding_day.each_once(rules, plant, seed, everywhere=False),
        "ollama, postgres down 20 min": founding_day.storm(rules, plant, seed),
        "each rule on each instance": founding_day.each_once(rules, plant, seed, everywhere=True),
    }
    files = sorted((folder / "monitoring" / "alertmanager").glob("*.yml"))
    configurations = {path.name: reader.read_configuration(path) for path in files}
    found = [_figures(name, firings, policy, configurations) for name, firings in days.items()]
    spread = [
        Day(policy, answered=False)
        .play(founding_day.each_once(rules, plant, one, everywhere=False))
        .pages()
        for one in SEEDS
    ]
    if as_json:
        print(json.dumps({"rules": len(rules), "days": found, "pages_alone_by_seed": spread}))
        return
    print(
        f"{len(rules)} alerting rules, {len(plant.agents)} agents, {len(plant.services)} services; seed {seed}"
    )
    for day in found:
        _show(day)
    print(
        f"\nPages of `each rule once`, alone, with the seeds {', '.join(map(str, SEEDS))}: {spread}"
    )


def _figures(
    name: str,
    firings: list[Firing],
    policy: CompiledPolicy,
    configurations: dict[str, reader.Configuration],
) -> dict[str, Any]:
    listed = matters.matters_of(firings)  # before anything plays the day
    ways: dict[str, dict[str, Any]] = {}
    for way in ("alone", "answered"):
        outcome = Day(policy, answered=way == "answered").play(firings)
        ways[way] = _summary(outcome) | {"score": matters.score(listed, firings, outcome.namings)}
    others = {
        file: _alertmanager_figures(configuration, listed, firings)
        for file, configuration in configurations.items()
    }
    return {"day": name, "alerts": len(firings), "tocsin": ways, "alertmanager": others}


def _alertmanager_figures(
    configuration: reader.Configuration, listed: Sequence[Matter], firings: Sequence[Firing]
) -> dict[str, Any]:
    sent = alertmanager_model.messages(configuration, firings)
    counted, new = alertmanager_model.count(sent), alertmanager_new(sent)
    namings = (
        Naming(one.at_ms, number, matters.team_of_receiver(one.receiver))
        for one in sent
        for number in one.named
    )
    return {
        "messages": len(sent),
        "new": new.total(),
        "new_by_integration": dict(new),
        "pages": counted.pop("pages"),
        "matters": counted.pop("matters"),
        "by_integration": dict(counted),
        "score": matters.score(listed, firings, namings),
    }


def _summary(outcome: Outcome) -> dict[str, Any]:
    table: dict[str, Counter[str]] = {}
    order = [*Severity]
    for incident in outcome.incidents.values():
        for row in (incident["severity"], incident["owner"]):
            table.setdefault(row, Counter())["incidents"] += 1
    for (severity, owner, channel, kind), number in outcome.messages.items():
        for row in (severity, owner):
            counts = table.setdefault(row or "digests", Counter())
            counts["messages"] += number
            counts["pages"] += number if _is_page(channel, kind) else 0
    return {
        "repeats": outcome.repeats,
        "incidents": len(outcome.incidents),
        "told": len({name for name in outcome.told if name}),
        "escalations": outcome.escalations,
        "messages": outcome.messages.total(),
        "new": outcome.new.total(),
        "by_kind": _by_kind(outcome),
        "pages": outcome.pages(),
        "matters": len(outcome.paged),
        "by": {
            row: dict(counts)
            for row, counts in sorted(table.items(), key=lambda one: (one[0] not in order, one[0]))
        },
    }


def _by_kind(outcome: Outcome) -> dict[str, dict[str, dict[str, int]]]:
    """Messages by kind and channel: all, and those that a person sees as new."""
    table: dict[str, dict[str, dict[str, int]]] = {}
    for (_, _, channel, kind), number in outcome.messages.items():
        cell = table.setdefault(kind, {}).setdefault(
            channel, {"messages": 0, "new": outcome.new[channel, kind]}
        )
        cell["messages"] += number
    return table


def _show(day: dict[str, Any]) -> None:
    print(
        f"\n{day['day']}: {day['alerts']} alerts, sent {day['tocsin']['alone']['repeats']} times again"
    )
    for way, figures in day["tocsin"].items():
        incidents = f"{figures['incidents']:>5} incidents ({figures['told']} told), {figures['escalations']:>4} escalations"
        print(f"  Tocsin, {way:<9}{incidents}, {_sent(figures)}")
        print(f"    {_scored(figures)}")
    for file, figures in day["alertmanager"].items():
        print(f"  Alertmanager, {file:<45}{_sent(figures)}")
        print(f"    {_scored(figures)}")
    for way, figures in day["tocsin"].items():
        _show_kinds(way, figures["by_kind"])
    print(
        f"    {'':<15}{'incidents':>10}{'messages':>10}{'pages':>7}   {'messages':>8}{'pages':>7}  answered"
    )
    alone, answered = day["tocsin"]["alone"]["by"], day["tocsin"]["answered"]["by"]
    for row, counts in alone.items():
        other = answered.get(row, {})
        left = f"{counts.get('incidents', 0):>10}{counts.get('messages', 0):>10}{counts.get('pages', 0):>7}"
        print(f"    {row:<15}{left}   {other.get('messages', 0):>8}{other.get('pages', 0):>7}")


def _show_kinds(way: str, table: dict[str, dict[str, dict[str, int]]]) -> None:
    channels = ("pager", "email", "chat")
    print(f"    {f'{way}, messages (new)':<26}" + "".join(f"{one:>14}" for one in channels))
    rows = sorted(table.items(), key=lambda row: -sum(cell["messages"] for cell in row[1].values()))
    for kind, cells in rows:
        texts = (
            f"{cells[one]['messages']} ({cells[one]['new']})" if one in cells else ""
            for one in channels
        )
        print(f"    {kind:<26}" + "".join(f"{text:>14}" for text in texts))


def _sent(figures: dict[str, Any]) -> str:
    sent = f"{figures['messages']:>5} messages, {figures['new']:>5} of them new"
    return f"{sent}, {figures['pages']:>4} pages for {figures['matters']:>3} incidents or groups"


def _scored(figures: dict[str, Any]) -> str:
    score = figures["score"]
    missed = ", ".join(score["missed_by_name"])
    told = f"{score['told']} of {score['matters']} matters told, {score['told_to_their_team']} to their team"
    return f"{told}, {score['missed']} missed{f': {missed}' if missed else ''}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--json", action="store_true", help="one JSON object")
    given = parser.parse_args()
    main(given.folder, as_json=given.json)
