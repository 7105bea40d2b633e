"""`tocsin explain` of a follow-up task and of a silence, by their ids."""

from app.explain.causes import Causes
from app.explain.effects import explain_effect
from app.explain.tree import Node
from app.history.archive import Archive
from app.history.effects import Document
from app.history.not_retained import NotRetained
from app.history.tracer import Tracer
from app.terminal.effect_text import effect_text
from models.effect import Position, Stream
from models.incident import position_from_id
from models.text.instant import milliseconds

SHOWN = 20  # of what a silence suppressed
_KINDS = "an effect such as 3-1207-4, an incident such as INC-20260412T031502Z-00K3F, a task or a silence"


async def explain_task(archive: Archive, tracer: Tracer, causes: Causes, name: str) -> Node:
    """What left a task, and what became of it. Raises NotRetained."""
    partition, offset = position_from_id(name.partition(".")[0])
    effects = archive.effects(Stream.FOLLOWUPS, partition, Position(offset, 0), name.encode())
    documents = [effect.document async for effect in effects if effect.document["task"] == name]
    if not documents:
        newest = await archive.newest(Stream.FOLLOWUPS, lambda _: True, 50)
        known = (
            ", ".join(list(dict.fromkeys(str(item["task"]) for item in newest))[-3:]) or "none yet"
        )
        raise NotRetained(f"there is no task {name!r}. Newest: {known}")
    node = await explain_effect(archive, tracer, causes, documents[0]["id"])
    node.then = [
        Node("task", effect_text(Stream.FOLLOWUPS, item), milliseconds(item["at"]), item["id"])
        for item in documents[1:]
    ]
    return node


async def explain_silence(archive: Archive, tracer: Tracer, causes: Causes, name: str) -> Node:
    """Who made a silence, and what it suppressed. Raises NotRetained."""
    effects = archive.effects(Stream.SILENCES, 0, Position(0, 0), name.encode())
    documents = [effect.document async for effect in effects if effect.document["silence"] == name]
    if not documents:
        newest = await archive.newest(Stream.INCIDENTS, lambda _: True, 50)
        known = (
            ", ".join(list(dict.fromkeys(str(item["incident"]) for item in newest))[-3:])
            or "none yet"
        )
        raise NotRetained(
            f"{name!r:.200} is no known id, must be {_KINDS}. Newest incidents: {known}"
        )
    node = await explain_effect(archive, tracer, causes, documents[0]["id"])
    suppressed = await _suppressed_by_silence(archive, name, milliseconds(documents[0]["at"]))
    node.then = [
        Node(
            "suppressed",
            f"{item['incident']}: {effect_text(Stream.TIMELINE, item)}",
            milliseconds(item["at"]),
            item["id"],
        )
        for item in suppressed[:SHOWN]
    ]
    if len(suppressed) > SHOWN:
        node.then.append(Node("more", f"and {len(suppressed) - SHOWN} more"))
    if not suppressed:
        node.then = [Node("suppressed", "it suppressed no whole incident")]
    return node


async def _suppressed_by_silence(archive: Archive, name: str, since_ms: int) -> list[Document]:
    key = f"silence/{name}"
    nodes = []
    for partition in range(archive.partitions):
        start = Position(await archive.first_since(partition, since_ms), 0)
        effects = archive.effects(Stream.TIMELINE, partition, start, key.encode())
        nodes += [effect.document async for effect in effects if effect.document.get("rule") == key]
    return sorted(nodes, key=lambda item: str(item["at"]))
