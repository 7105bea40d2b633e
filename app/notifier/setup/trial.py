"""`tocsin notify test` and `preview`: one message to one contact, and what a message of an incident looks like."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

from app.history.not_retained import NotRetained
from app.history.source import Source
from app.notifier.ledger.contacts import ContactRoute
from app.notifier.ledger.delivery import Attempt
from app.notifier.ledger.ledger import Failure
from app.notifier.runtime.decoding import decode
from app.notifier.runtime.sending import send
from app.notifier.setup.assembly import Assembly
from models.events import Action, Notification, NotificationKind, NotificationReason
from models.incident import partition_from_id
from models.reason import BadInput
from models.text.instant import format_instant


def trial_notification(route: ContactRoute, now_ms: int) -> Notification:
    """A message that says that it is a trial. It wakes nobody that a quiet one does not."""
    at = format_instant(now_ms)
    return Notification(
        id=f"0-{now_ms}-0",
        kind=NotificationKind.UPDATE,
        at=at,
        policy="",
        incident="",
        action=Action.TRIGGER,
        episode=1,
        wakes=route.channel == "pager",
        dedup_key=f"tocsin-test/{now_ms}",
        severity="P3",
        owner="",
        component="tocsin",
        title="Test message of Tocsin",
        text="Nothing is wrong. Somebody asked for this with tocsin notify test.",
        next_step=None,
        channel=route.channel,
        receiver=route.name or route.address,
        address=route.address,
        reason=NotificationReason("", 0, 0, "a test"),
        started_at=at,
    )


async def try_routes(
    assembly: Assembly, routes: Sequence[ContactRoute], now_ms: int
) -> AsyncIterator[tuple[str, bool, str]]:
    """Send a trial through each receiver: what was tried, whether it was taken, and what it said."""
    reach = assembly.reach
    for route in routes:
        notification = trial_notification(route, now_ms)
        for receiver in route.through:
            attempt = Attempt(receiver, (), notification, "", now_ms)
            address = route.address_at(receiver, route.address)
            answer = await send(reach.channels[receiver], attempt, address, reach.timeout_s)
            label = f"{route.channel} {route.address or route.name} through {receiver}"
            if isinstance(answer, Failure):
                yield label, False, answer.message
                continue
            yield label, True, answer.receiver_id
            closing = replace(notification, action=Action.RESOLVE, wakes=False, id=f"0-{now_ms}-1")
            after = Attempt(receiver, (), closing, answer.memory, now_ms)
            ended = await send(reach.channels[receiver], after, address, reach.timeout_s)
            if isinstance(ended, Failure):
                yield f"{label}: its end", False, ended.message


async def newest_of(source: Source, incident: str, channel: str = "") -> Notification:
    """The newest message of an incident, of one channel of the policy if it is named. Raises NotRetained."""
    try:
        partition = partition_from_id(incident)
    except ValueError as error:
        raise NotRetained(str(error)) from None
    if partition >= source.config.partitions:
        raise NotRetained(
            f"{incident} is of partition {partition}, there are {source.config.partitions}"
        )
    newest: Notification | None = None
    topic = source.topics.notifications
    offset = await source.log.start_offset(topic, partition)
    while records := await source.log.read(topic, partition, offset):
        offset = records[-1].offset + 1
        for record in records:
            if record.key != incident.encode() or not record.value:
                continue
            try:
                notification = decode(record.value)
            except BadInput:
                continue
            if channel in ("", notification.channel):
                newest = notification
    if newest is None:
        raise NotRetained(f"no message about {incident} is kept")
    return newest
