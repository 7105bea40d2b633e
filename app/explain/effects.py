"""`tocsin explain ID`: an effect, such as a notification, and the chain back to what caused it."""

import orjson

from app.core.rules.compiled_policy import CompiledPolicy
from app.explain import policy_locations
from app.explain.causes import Causes
from app.explain.descriptions import kind_of, parse_document, record_node
from app.explain.tree import Node
from app.history.archive import Archive, StoredEffect
from app.history.effects import Document
from app.history.not_retained import NotRetained
from app.history.tracer import Trace, Tracer
from app.terminal.effect_text import effect_text
from models.effect import EFFECTS, Effect, Position, Stream
from models.incident import partition_from_id
from models.journal import Source
from models.policy.types import Where
from models.text.instant import milliseconds
from models.topics import partition_of

SAME = "replay gives the same bytes"


async def explain_effect(archive: Archive, tracer: Tracer, causes: Causes, name: str) -> Node:
    """The chain of an effect by its id. Raises NotRetained."""
    partition, *place = (int(part) for part in name.split("-"))
    position = Position(*place)
    trace, why = await _trace_record(tracer, partition, position.offset)
    again = trace.effect(position.number) if trace else None
    if again is not None and again.stream is Stream.JOURNAL:
        assert trace is not None
        return await _message_node(archive, causes, partition, again, trace)
    streams = EFFECTS if again is None else (again.stream,)
    emitted = await archive.effect(partition, position, streams)
    if emitted is None and again is None:
        raise NotRetained(await _substitute_text(archive, name, partition, position, trace, why))
    stream, effect = (emitted.stream, emitted.document) if emitted else _message_key(again)
    node = Node(str(stream), effect_text(stream, effect), milliseconds(effect["at"]), name)
    if effect.get("incident"):
        node.facts["incident"] = effect["incident"]
    node.facts["policy"] = effect["policy"]
    if trace is not None:
        text = causes.text_of(trace)
        node.facts["policy"] = text.about()
        node.rules = text.places(
            [
                *_escalation_locations(text.rules, trace, effect),
                *policy_locations.of_effect(text.rules, stream, effect),
            ]
        )
        node.facts["checked"] = _comparison_text(emitted, again) + (
            f"; {trace.note}" if trace.note else ""
        )
    elif why:
        node.facts["not known"] = why
    if stream is Stream.NOTIFICATIONS and effect.get("incident"):
        node.facts["delivery"] = await _delivery_text(archive, effect)
    node.because = await causes.of(partition, position, effect)
    await _add_beneath(node, causes, effect)
    return node


def _escalation_locations(rules: CompiledPolicy, trace: Trace, effect: Document) -> list[Where]:
    """Of the message of an escalation: the rule by which the incident escalated."""
    if effect["kind"] != "escalated":
        return []
    for step in trace.steps:
        for item in step.effects:
            if item.stream is Stream.ESCALATIONS and item.key == effect["incident"].encode():
                climbed = orjson.loads(item.value)
                if climbed["because"] == effect["text"]:
                    owner, severity = climbed["owner"], climbed["severity"]
                    return policy_locations.locate_escalation(
                        rules, climbed["rule"], owner, severity, climbed["step"]
                    )
    return []


def _message_key(effect: Effect | None) -> tuple[Stream, Document]:
    assert effect is not None
    if not effect.value:
        raise NotRetained("this says that an alert is forgotten: it ended long ago")
    document: Document = orjson.loads(effect.value)
    return effect.stream, document


async def _add_beneath(node: Node, causes: Causes, effect: Document) -> None:
    """The records that an escalation names, and the incident's opening, where the chain has not led there already."""
    for record in effect.get("records", ())[:5]:
        cause = await causes.at(record)
        if cause is not None:
            node.because.append(cause)
    incident, opened_by = effect.get("incident"), effect.get("opened_by")
    if incident and not opened_by:
        opened_by = causes.opened_by(incident)
    if incident and opened_by:
        opening = await causes.opening(incident, opened_by)
        if opening is not None:
            node.because.append(opening)


async def _delivery_text(archive: Archive, effect: Document) -> str:
    """What a notifier reported of a message last. Receipts stand in the timeline of its incident."""
    delivery = "no receipt from a notifier"
    partition = partition_from_id(effect["incident"])
    start = Position(await archive.first_since(partition, milliseconds(effect["at"])), 0)
    async for item in archive.effects(Stream.TIMELINE, partition, start, effect["id"].encode()):
        if item.document.get("notification") == effect["id"]:
            delivery = f"{item.document['text']}, at {item.document['at']}"
    return delivery


async def _trace_record(tracer: Tracer, partition: int, offset: int) -> tuple[Trace | None, str]:
    try:
        return await tracer.trace(partition, offset), ""
    except NotRetained as why:
        return None, str(why)


def _comparison_text(emitted: StoredEffect | None, again: Effect | None) -> str:
    if again is None:
        return "replay does not give this. Another version of Tocsin emitted it."
    if emitted is None:
        return "no longer in its topic, replaced by a newer record. This is what replay gives."
    if emitted.value == again.value:
        return SAME
    return "replay gives different bytes. Another version of Tocsin emitted it."


async def _message_node(
    archive: Archive, causes: Causes, partition: int, effect: Effect, trace: Trace
) -> Node:
    """A message from one actor to another, and what it did there."""
    target = partition_of(effect.key or b"", archive.partitions)
    source = Source("journal", partition, effect.position.offset, effect.position.number)
    record = await archive.message(source, target, trace.record.timestamp)
    name = f"{partition}-{effect.position.offset}-{effect.position.number}"
    if record is None:
        return Node(
            "message",
            f"a message to {(effect.key or b'').decode()}, which is not in the journal",
            position=name,
        )
    node = record_node(target, record)
    node.kind, node.position = "message", name
    node.facts["arrived as"] = (
        f"{target}:{record.offset}. What it did: tocsin explain --record {target}:{record.offset}"
    )
    document = parse_document(record)
    about = document.get("body") if kind_of(document) == "page" else {}
    node.because = await causes.of(
        partition, effect.position, about if isinstance(about, dict) else {}
    )
    return node


async def _substitute_text(
    archive: Archive, name: str, partition: int, position: Position, trace: Trace | None, why: str
) -> str:
    """What there is instead of an effect that is not there."""
    if trace is None:
        return f"there is no effect {name}: {why}"
    numbers = [effect.position.number for step in trace.steps for effect in step.effects]
    if numbers:
        shown = f"{partition}-{position.offset}-{numbers[0]} to {partition}-{position.offset}-{numbers[-1]}"
        return f"there is no effect {name}: record {partition}:{position.offset} emitted {shown}"
    newest = await archive.newest(Stream.NOTIFICATIONS, lambda _: True)
    known = ", ".join(str(item["id"]) for item in newest) or "none yet"
    return (
        f"there is no effect {name}: record {partition}:{position.offset} emitted none (why: tocsin explain --record "
        f"{partition}:{position.offset}). Newest notifications: {known}"
    )
