"""`tocsin explain --record P:OFFSET`: what a journal record did, through which actors, or why it did nothing.

The engine is asked before and after it applies the record again (`app.explain.before_after`); what
it decided is told, not decided a second time.
"""

from collections.abc import AsyncIterator

import orjson

from app.core.engine import Engine
from app.explain import policy_locations
from app.explain.before_after import BeforeAfter
from app.explain.causes import Causes
from app.explain.descriptions import (
    ALERTS_SHOWN,
    alert_documents,
    name_of,
    parse_document,
    record_node,
    timer_text,
)
from app.explain.tree import Node
from app.explain.verdicts import verdict_lines
from app.history.archive import Archive
from app.history.effects import Document
from app.history.tracer import Trace, Tracer
from app.terminal.effect_text import effect_text
from app.transport.log import StoredRecord
from models.effect import Effect, Position, Stream
from models.events_alert import Unnotified
from models.journal import Source
from models.text.instant import milliseconds
from models.text.plural import plural
from models.topics import partition_of

SHOWN = 20  # effects of one record
FOLLOWED_MAX = 12  # messages to other actors
TIMERS_SHOWN = 5


async def explain_record(
    archive: Archive, tracer: Tracer, causes: Causes, partition: int, offset: int
) -> Node:
    """What a record did, or why nothing. Raises NotRetained."""
    alerts = alert_documents(await archive.record(partition, offset))
    looks = [BeforeAfter(partition, number) for number in range(max(len(alerts), 1))]
    noticed = looks[0]

    def before(engine: Engine, record: StoredRecord) -> None:
        for look in looks:
            look.before(engine, record)

    def after(engine: Engine, record: StoredRecord) -> None:
        for look in looks:
            look.after(engine, record)

    trace = await tracer.trace(partition, offset, before, after)
    node = await causes.record(partition, trace.record)
    node.facts["policy"] = causes.text_of(trace).about()
    if trace.note:
        node.facts["not known"] = trace.note
    followed = _EffectTree(archive, tracer, causes)
    node.then = [effect async for effect in followed.effects(partition, trace)]
    outcomes = followed.outcomes
    node.facts["did"] = _verdicts(trace, looks, outcomes)
    node.facts["checked"] = await _verification_text(archive, partition, trace)
    passed = [step for step in trace.steps if step.timers]
    if passed:
        shown = [
            _skipped_text(partition, timer_text(step.timers[0]), step.effects) for step in passed
        ]
        more = [f"and {len(passed) - TIMERS_SHOWN} more"] if len(passed) > TIMERS_SHOWN else []
        node.facts["timers"] = [
            "it advanced the time past these, but is not their cause",
            *shown[:TIMERS_SHOWN],
            *more,
        ]
    if parse_document(trace.record).get("page"):
        node.then += await _digest_nodes(archive, partition, trace)
    elif noticed.incident_id and not _is_notified(trace) and not outcomes.is_notified:
        node.then += await _later_messages(
            archive, partition, offset, noticed.incident_id, trace.record.timestamp
        )
    return node


def _verdicts(trace: Trace, looks: list[BeforeAfter], outcomes: "ActorOutcomes") -> list[str]:
    """What a record did; of several alerts what each did, with its name."""
    refused = any(effect.stream is Stream.DEADLETTER for effect in trace.own)
    if len(looks) == 1 or refused or trace.counted.get("duplicates"):
        return verdict_lines(trace, looks[0], outcomes)
    lines = [
        f"{name_of(look.document)}: {line}"
        for look in looks[:ALERTS_SHOWN]
        for line in verdict_lines(trace, look, outcomes)
    ]
    more = len(looks) - ALERTS_SHOWN
    return [*lines, f"and {more} more alerts"] if more > 0 else lines


def _skipped_text(partition: int, text: str, effects: list[Effect]) -> str:
    first, last = effects[0].position, effects[-1].position
    ids = f"{partition}-{first.offset}-{first.number}"
    return f"{text}: {ids}" if first == last else f"{text}: {ids} to {last.number}"


def _is_notified(trace: Trace) -> bool:
    return any(effect.stream is Stream.NOTIFICATIONS for effect in trace.own)


async def _verification_text(archive: Archive, partition: int, trace: Trace) -> str:
    """Whether the topics have what the engine says again."""
    kept = {
        effect.position: effect.value
        for effect in await archive.effects_of(partition, trace.record.offset)
    }
    again = {
        effect.position: effect.value
        for step in trace.steps
        for effect in step.effects
        if effect.stream is not Stream.JOURNAL and effect.value
    }
    if not kept and not again:
        return "no effect in the topics, and none in replay"
    differ = [position for position, value in kept.items() if again.get(position) != value]
    if differ:
        return f"{plural(len(differ), 'effect')} in the topics differ from replay. Another version of Tocsin emitted them."
    gone = len(again) - len(kept)
    compacted = f". {gone} are no longer kept: newer ones replaced them." if gone else ""
    return f"{plural(len(kept), 'effect')} in the topics, same bytes in replay{compacted}"


class ActorOutcomes:
    """What was learned from the actors that a record went to."""

    def __init__(self) -> None:
        self.words: list[str] = []  # of rules: how many of how many
        self.suppressions: dict[
            str, list[str]
        ] = {}  # alert -> what suppresses it from then on, and the record that states it
        self.reasons: dict[str, Unnotified] = {}  # alert -> why nobody was notified of it
        self.is_notified = False  # a message went out


class _EffectTree:
    """What a record left, and what that did with other actors."""

    def __init__(self, archive: Archive, tracer: Tracer, causes: Causes) -> None:
        self._archive, self._tracer, self._causes = archive, tracer, causes
        self._left = FOLLOWED_MAX
        self.outcomes = ActorOutcomes()

    async def effects(self, partition: int, trace: Trace) -> AsyncIterator[Node]:
        """A node for each effect of the record itself."""
        text = self._causes.text_of(trace)
        own = [item for item in trace.own if item.stream is not Stream.INCIDENTS]
        for effect in own[:SHOWN]:
            name = f"{partition}-{effect.position.offset}-{effect.position.number}"
            document: Document = orjson.loads(effect.value)
            if effect.stream is Stream.JOURNAL:
                yield await self._message_node(partition, effect, name, trace)
                continue
            self.outcomes.is_notified = (
                self.outcomes.is_notified or effect.stream is Stream.NOTIFICATIONS
            )
            at_ms = milliseconds(document["at"])
            node = Node(str(effect.stream), effect_text(effect.stream, document), at_ms, name)
            node.rules = text.places(
                policy_locations.of_effect(text.rules, effect.stream, document)
            )
            yield node
        if len(own) > SHOWN:
            yield Node("more", f"and {len(own) - SHOWN} more effects")

    async def _message_node(self, partition: int, effect: Effect, name: str, trace: Trace) -> Node:
        target = partition_of(effect.key or b"", self._archive.partitions)
        source = Source("journal", partition, effect.position.offset, effect.position.number)
        record = await self._archive.message(source, target, trace.record.timestamp)
        if record is None:
            return Node(
                "message",
                f"a message to {(effect.key or b'').decode(errors='replace')} not yet in the journal",
                0,
                name,
            )
        node = record_node(target, record)
        node.kind, node.facts = "message", {}
        if self._left <= 0:
            return node
        self._left -= 1
        noticed = BeforeAfter(target)
        message_trace = await self._tracer.trace(
            target, record.offset, noticed.before, noticed.after
        )
        self.outcomes.words += noticed.words
        suppression = (noticed.now.suppressions if noticed.now else {}).get(
            str(noticed.document.get("suppression"))
        )
        if suppression is not None:
            known = self.outcomes.suppressions.setdefault(str(noticed.document["alert"]), [])
            known.append(f"{suppression.because} (record {target}:{record.offset})")
            if noticed.now is not None and noticed.now.reason is not None:
                self.outcomes.reasons[str(noticed.document["alert"])] = noticed.now.reason
        if noticed.words:
            node.facts["result"] = noticed.words
        node.then = [item async for item in self.effects(target, message_trace)]
        return node


async def _digest_nodes(archive: Archive, partition: int, trace: Trace) -> list[Node]:
    """The digest in which a message went out that had to wait."""
    body = parse_document(trace.record).get("body")
    if trace.own or not isinstance(body, dict):
        return []
    start = Position(trace.record.offset + 1, 0)
    async for effect in archive.effects(Stream.NOTIFICATIONS, partition, start, b'"digest"'):
        document = effect.document
        same = all(document[name] == body.get(name) for name in ("receiver", "channel"))
        if document["kind"] == "digest" and same:
            text = f"sent in a digest: {effect_text(Stream.NOTIFICATIONS, document)}"
            return [Node("later", text, milliseconds(document["at"]), document["id"])]
    return []


async def _later_messages(
    archive: Archive, partition: int, offset: int, incident: str, at_ms: int
) -> list[Node]:
    """The first message about the incident after the record, wherever it came from."""
    messages: list[Document] = []
    for other in range(archive.partitions):
        since = offset + 1 if other == partition else await archive.first_since(other, at_ms)
        async for effect in archive.effects(
            Stream.NOTIFICATIONS, other, Position(since, 0), incident.encode()
        ):
            if effect.document["incident"] == incident:
                messages.append(effect.document)
                break
    if not messages:
        return []
    first = min(messages, key=lambda item: str(item["at"]))
    text = f"next message about {incident}: {effect_text(Stream.NOTIFICATIONS, first)}"
    return [Node("later", text, milliseconds(first["at"]), first["id"])]
