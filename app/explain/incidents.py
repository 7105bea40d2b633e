"""`tocsin explain INC-...`.

What opened it, why it is so severe and whose it is, whom it told, and what it waits for.
"""

from itertools import groupby

from app.core.notification import mute_times
from app.explain import policy_locations
from app.explain.causes import Causes
from app.explain.descriptions import alert_documents, timer_places, timer_text
from app.explain.policy_locations import PolicyText
from app.explain.tree import Node
from app.history.archive import Archive
from app.history.effects import Document
from app.history.not_retained import NotRetained
from app.history.timers import waits
from app.history.tracer import Tracer
from app.terminal.effect_text import effect_text
from models.effect import Position, Stream
from models.incident import position_from_id
from models.policy.time_interval import NEVER_MS
from models.policy.types import Where
from models.text.instant import format_instant, milliseconds

SHOWN = 8  # of messages, of alerts that joined
_JOINED = ("AlertFired", "MemberFired")
_SUPPRESSION_KINDS = ("Suppressed", "Released", "NotSuppressed", "Flapping", "Stable")
_CORRECTION_KINDS = ("Merged", "Split")  # of correlation, by people


async def explain_incident(archive: Archive, tracer: Tracer, causes: Causes, name: str) -> Node:
    """Everything about an incident. Raises NotRetained."""
    partition, offset = position_from_id(name)
    told = await read_incident_topics(archive, name, partition, offset)
    if not told[Stream.INCIDENTS]:
        newest = await archive.newest(Stream.INCIDENTS, lambda _: True, 50)
        known = (
            ", ".join(list(dict.fromkeys(str(item["incident"]) for item in newest))[-3:])
            or "none yet"
        )
        raise NotRetained(f"there is no incident {name!r}. Newest: {known}")
    snapshot, timeline = told[Stream.INCIDENTS][-1], told[Stream.TIMELINE]
    node = Node("incident", f"{name}: {snapshot['title']}", milliseconds(snapshot["opened_at"]))
    node.position = snapshot["opened_by"].replace("-", ":")
    node.facts = {"is": f"{snapshot['severity']} {snapshot['state']}, owner {snapshot['owner']}"}
    if snapshot["suppressed_by"]:
        node.facts["suppressed"] = [f"now: {item}" for item in snapshot["suppressed_by"]]
    opening = await causes.opening(name, snapshot["opened_by"])
    text = await _policy_at_opening(
        causes, timeline[0] if timeline else snapshot, partition, offset
    )
    if text is not None:
        node.facts["policy"] = text.about()
    node.because = [
        item
        for item in (opening, *await _severity_nodes(causes, partition, timeline))
        if item is not None
    ]
    node.then = [
        *_of_kinds(timeline, _JOINED, "joined", text),
        *_notification_nodes(told[Stream.NOTIFICATIONS], text),
        *_effect_nodes(told[Stream.ESCALATIONS], Stream.ESCALATIONS, text),
        *_of_kinds(timeline, _SUPPRESSION_KINDS, "suppressed", text),
        *_of_kinds(timeline, _CORRECTION_KINDS, "corrected", text),
        *_of_kinds(timeline, ("Assigned",), "owner", text),
    ]
    node.then.sort(
        key=lambda item: (item.at_ms, [int(part) for part in item.position.split("-") if part])
    )
    node.then.append(await _next_node(tracer, causes, partition, snapshot))
    return node


async def read_incident_topics(
    archive: Archive, name: str, partition: int, offset: int
) -> dict[Stream, list[Document]]:
    """What the topics say of an incident, oldest first; of its snapshots the newest only.

    Its messages may be in any partition, for digests go through them.
    """
    by_stream: dict[Stream, list[Document]] = {}
    snapshot = await archive.newest_snapshot(partition, Position(offset, 0), name)
    by_stream[Stream.INCIDENTS] = [snapshot] if snapshot else []
    for stream in (Stream.TIMELINE, Stream.ESCALATIONS, Stream.NOTIFICATIONS):
        start = Position(offset, 0)
        effects = archive.effects(stream, partition, start, name.encode())
        by_stream[stream] = [
            effect.document async for effect in effects if effect.document["incident"] == name
        ]
    if by_stream[Stream.TIMELINE]:
        opened_ms = milliseconds(by_stream[Stream.TIMELINE][0]["at"])
        for other in range(archive.partitions):
            if other != partition:
                start = Position(await archive.first_since(other, opened_ms), 0)
                effects = archive.effects(Stream.NOTIFICATIONS, other, start, name.encode())
                by_stream[Stream.NOTIFICATIONS] += [
                    effect.document
                    async for effect in effects
                    if effect.document["incident"] == name
                ]
    by_stream[Stream.NOTIFICATIONS].sort(key=lambda item: str(item["at"]))
    return by_stream


async def _policy_at_opening(
    causes: Causes, effect: Document, partition: int, offset: int
) -> PolicyText | None:
    """The policy by which the incident was opened."""
    try:
        return await causes.text_for(effect, partition, offset)
    except NotRetained:
        return None


def _policy_documents(
    text: PolicyText | None, effect: Document, wheres: list[Where]
) -> list[Document]:
    """The places of the policy, if the effect was decided by that one."""
    return (
        text.places(wheres)
        if text is not None and text.rules.fingerprint == effect["policy"]
        else []
    )


async def _severity_nodes(causes: Causes, partition: int, timeline: list[Document]) -> list[Node]:
    """The alerts that made it more severe, or another team's, each with the rule that says so."""
    nodes = []
    for entry in timeline:
        if entry["kind"] not in ("SeverityRaised", "OwnerChanged"):
            continue
        offset = int(entry["id"].split("-")[1])
        node = Node(
            "severity" if entry["kind"] == "SeverityRaised" else "owner",
            effect_text(Stream.TIMELINE, entry),
            milliseconds(entry["at"]),
            entry["id"],
        )
        nodes.append(node)
        try:
            alerts = alert_documents(await causes.archive.record(partition, offset))
            text = await causes.text_for(entry, partition, offset)
        except NotRetained as why:
            node.because = [Node("unknown", str(why))]
            continue
        raised = entry["kind"] == "SeverityRaised"
        alert = _deciding_alert(text, alerts, entry, "severity" if raised else "owner")
        if alert is not None:
            grounds = text.rules.decision_places(alert["labels"])
            node.rules = text.places([grounds.severity if raised else grounds.owner])
            record = await causes.at(f"{partition}-{offset}")
            node.because = [record] if record else []
    return nodes


def _deciding_alert(
    text: PolicyText, alerts: list[Document], entry: Document, field: str
) -> Document | None:
    """The alert of a record that made its incident more severe, or another team's."""
    for alert in alerts:
        if getattr(text.rules.evaluate(alert["labels"]), field) == entry.get(field):
            return alert
    return alerts[0] if alerts else None


def _of_kinds(
    timeline: list[Document], kinds: tuple[str, ...], name: str, text: PolicyText | None
) -> list[Node]:
    entries = [item for item in timeline if item["kind"] in kinds]
    nodes = _effect_nodes(entries[:SHOWN], Stream.TIMELINE, text)
    for node in nodes:
        node.kind = name
    if len(entries) > SHOWN:
        hidden = entries[SHOWN]
        more = f"and {len(entries) - SHOWN} more like these in its timeline, the first"
        nodes.append(Node("more", more, milliseconds(hidden["at"]), hidden["id"]))
    return nodes


def _effect_nodes(effects: list[Document], stream: Stream, text: PolicyText | None) -> list[Node]:
    nodes = []
    for effect in effects:
        node = Node(
            str(stream), effect_text(stream, effect), milliseconds(effect["at"]), effect["id"]
        )
        if text is not None:
            node.rules = _policy_documents(
                text, effect, policy_locations.of_effect(text.rules, stream, effect)
            )
        nodes.append(node)
    return nodes


def _notification_nodes(notifications: list[Document], text: PolicyText | None) -> list[Node]:
    """The messages, those of one occasion together.

    Whom, through what, and by which words of the policy.
    """
    nodes = []
    for (at, kind), group in groupby(notifications, key=lambda item: (item["at"], item["kind"])):
        messages = list(group)
        whom = ", ".join(
            f"{message['receiver']} by {message['channel']} ({message['id']})"
            for message in messages
        )
        node = Node(
            "notified",
            f"notified, {kind}: {messages[0]['text']}",
            milliseconds(at),
            messages[0]["id"],
        )
        node.facts["to"] = whom
        if text is not None:
            wheres = [
                where
                for message in messages
                for where in policy_locations.locate_notification(text.rules, message)
            ]
            node.rules = _policy_documents(text, messages[0], wheres)
        nodes.append(node)
    return nodes


async def _next_node(tracer: Tracer, causes: Causes, partition: int, snapshot: Document) -> Node:
    """What it waits for, and what will happen then."""
    if snapshot["state"] == "closed":
        return Node("next", "Closed. Follow-up tasks: tocsin followups")
    engine = await tracer.newest(partition)
    incident = engine.state.incidents.get(snapshot["incident"])
    if incident is None:
        return Node("next", "no longer in the state")
    due = waits(engine, incident, NEVER_MS - 1)
    if not due:
        return Node("next", "waits for alerts and commands only")
    text = PolicyText(engine.policy, causes.policy_file)
    node = Node(
        "next", f"next, at {format_instant(due[0].at_ms)}: {timer_text(due[0], pending=True)}"
    )
    node.rules = text.places(timer_places(due[0], engine.policy, incident))
    later = [
        f"{format_instant(timer.at_ms)} {timer_text(timer, pending=True)}" for timer in due[1:4]
    ]
    if later:
        node.facts["then"] = later
    kept = mute_times.reasons_to_wait(engine.turn, incident, engine.state.now_ms)
    if kept:
        node.facts["waits"] = f"no notification now: {', '.join(kept)}"
    return node
