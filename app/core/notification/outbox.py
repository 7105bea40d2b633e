"""One message to a receiver: what happens to an incident in one step is told to an address once.

A step is what one record causes, or the timers of one instant. The messages of a step that call somebody are one, as
are those that tell its end, and those of one kind. The stronger kind stays, and the text has both. Contacts
with the same address are the same receiver.
"""

from typing import Any

from app.core.notification import digests, naming
from app.core.state.turn import Turn
from models.effect import Stream
from models.events import NotificationKind
from models.journal import encode_page

# The strongest first.
_CALLS = (
    NotificationKind.OPENED,
    NotificationKind.SEVERITY_RAISED,
    NotificationKind.ESCALATED,
    NotificationKind.REPEATED,
    NotificationKind.CLOCK_BREACHED,
    NotificationKind.CLOCK_WARNED,
    NotificationKind.REMINDER,
)
_END = (NotificationKind.RESOLVED, NotificationKind.LOST, NotificationKind.CAUSE_WANTED)

# The fields of `models.events.Notification`, and `ended`: the names of what was over before a message
# named it, which a digest has to keep.
Body = dict[str, Any]


def post(turn: Turn, kind: NotificationKind, body: Body, *, is_news: bool = True) -> None:
    """Emit a message, or send it to the receiver's actor where it may end in a digest.

    What is no news to the address is only added to a message of this step.
    """
    digest = turn.rules.policy.notify.digest
    is_digested = kind in digests.GATHERED or (
        digest is not None and body["severity"] in digest.severity
    )
    address = (body["incident"], body["channel"], body["address"], str(is_digested))
    earlier = turn.messages.get(address)
    if earlier is None or not _are_one(earlier[1], kind):
        if not is_news:
            return
        turn.messages[address] = turn.next_place(), kind, body
        if is_digested:
            turn.send(*_page(kind, body))
        else:
            turn.count("notifications")
            turn.emit(Stream.NOTIFICATIONS, body["incident"], kind, _event_of(body))
        return
    place, earlier_kind, earlier_body = earlier
    kind, body = _merged(earlier_kind, earlier_body, kind, body)
    turn.messages[address] = place, kind, body
    if is_digested:
        turn.amend_sent(place, *_page(kind, body))
    else:
        turn.amend(place, kind, _event_of(body))


def _event_of(body: Body) -> Body:
    """What the notification itself tells."""
    return {name: value for name, value in body.items() if name != "ended"}


def _page(kind: NotificationKind, body: Body) -> tuple[str, bytes]:
    """Key and value of a message to the receiver's actor."""
    receiver = f"receiver/{body['channel']}/{body['receiver']}"
    return receiver, encode_page(body["severity"], kind, _event_of(body), body.get("ended", ()))


def _are_one(first: NotificationKind, second: NotificationKind) -> bool:
    return first is second or any(first in group and second in group for group in (_CALLS, _END))


def _merged(
    first: NotificationKind, before: Body, second: NotificationKind, after: Body
) -> tuple[NotificationKind, Body]:
    """The stronger of two messages, with the text of both."""
    group = _CALLS if first in _CALLS else _END
    is_stronger = first is not second and group.index(second) < group.index(first)
    kind, body = (second, after) if is_stronger else (first, before)
    texts = [before["text"], after["text"]]
    is_within = texts[1] in texts[0] or texts[0] in texts[1]
    text = max(texts, key=len) if is_within else naming.join_sentences(*texts)
    wanted = {"next_step": after["next_step"]} if second is NotificationKind.CAUSE_WANTED else {}
    ended = list(dict.fromkeys([*before.get("ended", ()), *after.get("ended", ())]))
    return kind, body | {"text": text, "ended": ended} | wanted
