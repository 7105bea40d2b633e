"""From an effect back to what it came of: the timer or the record, what started that, and the alerts at the bottom.

A chain goes through the actors of rules and receivers, in other partitions: their messages carry
the position of their cause.
"""

import orjson

from app.core.response.service_levels import NEAR
from app.core.rules.compiled_policy import CompiledPolicy
from app.core.state.timer_kind import TimerKind
from app.explain import policy_locations
from app.explain.descriptions import (
    OF_KIND,
    OF_RULE,
    alert_documents,
    kind_of,
    parse_document,
    record_node,
    source_of,
    timer_places,
    timer_text,
)
from app.explain.policy_locations import PolicyText
from app.explain.tree import Node
from app.history.archive import Archive
from app.history.effects import Document
from app.history.not_retained import NotRetained
from app.history.policies import first_policy
from app.history.timers import Timer
from app.history.tracer import Trace, Tracer, TraceStep
from app.terminal.effect_text import effect_text
from app.transport.log import StoredRecord
from models.effect import Position, Stream
from models.incident import position_from_id

DEPTH_MAX = 8  # hops from one actor to another
RECORDS_SHOWN = 5  # of what opened an incident, of what waited for a digest


class Causes:
    """What effects came of."""

    def __init__(self, archive: Archive, tracer: Tracer, policy_file: str) -> None:
        """`policy_file` is the one whose lines may be shown."""
        self.archive = archive
        self.tracer = tracer
        self.policy_file = policy_file
        self._texts: dict[str, PolicyText] = {}
        self._shown: set[str] = set()  # records that stand in the tree already

    def text_of(self, trace: Trace) -> PolicyText:
        """The policy by which a record was decided."""
        assert trace.policy is not None
        known = self._texts.get(trace.policy.fingerprint)
        if known is None:
            known = self._texts[trace.policy.fingerprint] = PolicyText(
                trace.policy, self.policy_file
            )
        return known

    async def text_for(self, effect: Document, partition: int, offset: int) -> PolicyText:
        """The policy by which an effect was decided, which names it.

        The partition's first, or as a replay finds it.
        """
        known = self._texts.get(effect["policy"])
        if known is None:
            first = await first_policy(self.archive.log, self.archive.topics.journal, partition)
            if first is None or first.fingerprint != effect["policy"]:
                return self.text_of(await self.tracer.trace(partition, offset))
            known = self._texts[first.fingerprint] = PolicyText(first, self.policy_file)
        return known

    async def of(
        self, partition: int, position: Position, effect: Document, depth: int = 0
    ) -> list[Node]:
        """What the effect, or the message, at a position came of."""
        try:
            trace = await self.tracer.trace(partition, position.offset)
        except NotRetained as why:
            return [Node("unknown", f"The cause is not known: {why}")]
        step = trace.step_of(position.number)
        if step is None or not step.timers:
            incident = str(effect.get("incident") or "")
            if depth == 0 and self.opened_by(incident) == f"{partition}-{position.offset}":
                opening = await self.opening(incident, self.opened_by(incident), depth)
                return [opening] if opening is not None else []
            return [await self.record(partition, trace.record, depth)]
        timers = _matching_timers(self.text_of(trace).rules, step, position.number, effect)
        return [await self._timer_node(partition, trace, step, timer, depth) for timer in timers]

    async def _timer_node(
        self, partition: int, trace: Trace, step: TraceStep, timer: Timer, depth: int
    ) -> Node:
        """A timer that fired, and what set it."""
        text = self.text_of(trace)
        node = Node("timer", timer_text(timer), timer.at_ms)
        node.rules = text.places(
            timer_places(timer, text.rules, _incident_snapshot(step, timer.owner))
        )
        moved = record_node(partition, trace.record)
        if moved.at_ms != timer.at_ms or moved.kind != "tick":
            node.facts["seen by"] = f"{moved.text} ({moved.position}), which advanced the time"
        else:
            node.facts["seen by"] = f"{moved.text} ({moved.position})"
        node.because = await self._timer_cause(partition, timer, trace.record, depth)
        return node

    async def record(self, partition: int, record: StoredRecord, depth: int = 0) -> Node:
        """A journal record, and what sent it if an actor did."""
        node = record_node(partition, record)
        seen = node.position in self._shown
        self._shown.add(node.position)
        if seen:
            node.text, node.facts, node.record = f"{node.text} (as above)", {}, None
        source = source_of(record)
        if source is None or source.topic != "journal":
            return node
        node.facts.clear()  # its words are in the line
        if depth < DEPTH_MAX and not seen:
            document = parse_document(record)
            effect = document.get("body") if kind_of(document) == "page" else {}
            effect = (
                {**effect, "kind": document.get("page", "")} if isinstance(effect, dict) else {}
            )
            node.because = await self.of(
                source.partition, Position(source.offset, source.number), effect, depth + 1
            )
        return node

    async def at(self, position: str, depth: int = 0) -> Node | None:
        """The record at a position such as 3-17, once in a tree.

        None where it stands there already, or is not kept.
        """
        partition, offset = (int(part) for part in position.split("-"))
        if f"{partition}:{offset}" in self._shown:
            return None
        try:
            return await self.record(partition, await self.archive.record(partition, offset), depth)
        except NotRetained as why:
            return Node("unknown", str(why))

    def opened_by(self, incident: str) -> str:
        """The position of the record that opened an incident, which its id tells.

        Empty when it is not kept.
        """
        try:
            partition, offset = position_from_id(incident)
        except ValueError:
            return ""
        return f"{partition}-{offset}"

    async def opening(self, incident: str, opened_by: str, depth: int = 0) -> Node | None:
        """How an incident was opened, and by which records; once in a tree."""
        if incident in self._shown:
            return None
        self._shown.add(incident)
        partition, offset = (int(part) for part in opened_by.split("-"))
        opened: Document = {}
        start = Position(offset, 0)
        async for effect in self.archive.effects(
            Stream.TIMELINE, partition, start, incident.encode()
        ):
            if effect.document["kind"] == "Opened" and effect.document["incident"] == incident:
                opened = effect.document
            break
        text = effect_text(Stream.TIMELINE, opened) if opened else "opened"
        node = Node(
            "incident", f"incident {incident}: {text}", position=str(opened.get("id", opened_by))
        )
        try:
            await self._add_opening(node, partition, offset, opened, depth)
        except NotRetained as why:
            node.because = [Node("unknown", str(why))]
        return node

    async def _add_opening(
        self, node: Node, partition: int, offset: int, opened: Document, depth: int
    ) -> None:
        """What an incident's opening came of, and its grounds. Raises NotRetained."""
        record = await self.archive.record(partition, offset)
        node.at_ms = record.timestamp
        alerts = {alert["alert"]: alert for alert in alert_documents(record)}
        if alert := alerts.get(opened.get("alert")):
            text = await self.text_for(opened, partition, offset)
            grounds = text.rules.decision_places(alert["labels"])
            node.rules = text.places([grounds.severity, grounds.owner])
            node.because = [await self.record(partition, record, depth)]
        elif opened and depth < DEPTH_MAX:
            number = int(str(opened["id"]).split("-")[2])
            node.because = await self._correlation_causes(
                partition, Position(offset, number), opened, depth + 1
            )

    async def _correlation_causes(
        self, partition: int, position: Position, opened: Document, depth: int
    ) -> list[Node]:
        """What a rule's incident, or one of a missing heartbeat, came of.

        The alerts that made the rule true, or a timer.
        """
        trace = await self.tracer.trace(partition, position.offset)
        members = [
            message["record"]
            for effect in trace.own
            if effect.stream is Stream.JOURNAL
            and "suppression" in (message := orjson.loads(effect.value))
            if (message["because"] or {}).get("parent") == opened["incident"]
        ]
        if not members:
            return await self.of(partition, position, opened, depth)
        text = self.text_of(trace)
        rule = policy_locations.locate_rule(
            text.rules, str(parse_document(trace.record).get("signal", ""))
        )
        record = await self.record(partition, trace.record, depth)
        record.rules = text.places([rule] if rule else [])
        causes = [await self.at(member, depth) for member in members[:RECORDS_SHOWN]]
        record.because += [node for node in causes if node is not None]
        if len(members) > RECORDS_SHOWN:
            record.because.append(Node("more", f"and {len(members) - RECORDS_SHOWN} more alerts"))
        return [record]

    async def _timer_cause(
        self, partition: int, timer: Timer, record: StoredRecord, depth: int
    ) -> list[Node]:
        """What set a timer."""
        if timer.kind == TimerKind.DIGEST:
            return await self._digest_messages(partition, timer, record, depth)
        if not timer.cause:
            return []
        if timer.of_incident:
            node = await self.opening(timer.owner, timer.cause, depth)
        else:
            node = await self.at(timer.cause, depth)
        return [node] if node is not None else []

    async def _digest_messages(
        self, partition: int, timer: Timer, record: StoredRecord, depth: int
    ) -> list[Node]:
        """The messages that waited for a digest: to the same receiver, since it began to wait."""
        nodes: list[Node] = []
        more = 0
        key = f"receiver/{timer.detail}/{timer.owner}".encode()
        offset = await self.archive.first_since(partition, timer.since_ms)
        while records := await self.archive.log.read(
            self.archive.topics.journal, partition, offset
        ):
            for item in records:
                if item.offset >= record.offset:
                    break
                if item.key == key and item.timestamp >= timer.since_ms:
                    if len(nodes) < RECORDS_SHOWN:
                        nodes.append(await self.record(partition, item, depth))
                    else:
                        more += 1
            offset = records[-1].offset + 1
            if offset >= record.offset:
                break
        return [*nodes, Node("more", f"and {more} more messages")] if more else nodes


def _matching_timers(
    rules: CompiledPolicy, step: TraceStep, number: int, effect: Document
) -> list[Timer]:
    """Of the timers that were due at one time, the one that an effect is of.

    All of them if it may be any's.
    """
    rule, clock = _escalation_rule(step, number, effect), effect.get("clock")
    escalation = rules.escalation(rule)
    wanted: tuple[str, ...]
    if rule:
        wanted = OF_RULE.get(
            rule, (NEAR,) if escalation is not None and escalation.policy.target else ()
        )
        clock = escalation.policy.target if escalation is not None else None
    else:
        wanted = OF_KIND.get(str(effect.get("kind", "")), ())
    for timer in step.timers:
        named = rule in (timer.detail, f"silence/{timer.owner}")
        if (timer.kind in wanted and clock in (None, timer.detail)) or (rule and named):
            return [timer]
    return step.timers[:RECORDS_SHOWN]


def _escalation_rule(step: TraceStep, number: int, effect: Document) -> str:
    """The rule by which an incident escalated, of an effect about it.

    The message follows the escalation.
    """
    if effect.get("kind") != "escalated":
        return str(effect.get("rule") or "")
    before = [
        item
        for item in step.effects
        if item.stream is Stream.ESCALATIONS and item.position.number < number
    ]
    return str(orjson.loads(before[-1].value)["rule"]) if before else ""


def _incident_snapshot(step: TraceStep, incident: str) -> Document | None:
    """The incident's snapshot at the end of a step."""
    for effect in step.effects:
        if effect.stream is Stream.INCIDENTS and effect.key == incident.encode():
            snapshot: Document = orjson.loads(effect.value)
            return snapshot
    return None
