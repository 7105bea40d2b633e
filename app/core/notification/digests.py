"""The storm digest: above a rate of messages to one receiver through one channel, the rest is one message with counts.

Each receiver and channel has an actor, to which components send what they want told. What may wait
is policy.
"""

from typing import Any

from app.core.state.alerts_shown import NO_ALERTS
from app.core.state.receivers import Receiver
from app.core.state.timer_kind import TimerKind
from app.core.state.turn import Turn
from models.duration import format_ms
from models.effect import Stream
from models.events import Action, NextStep, NotificationKind, NotificationReason
from models.instant import format_instant
from models.reason import BadInput, Reason

RECEIVERS_MAX = 10_000  # and channels, that were sent something of late
NAMED_MAX = 10  # incidents that a digest names
_WHERE = ("channel", "receiver", "address")


def on_page(turn: Turn, kind: str, document: dict[str, Any]) -> None:
    """A message for a receiver: it goes out, or waits for the digest. Raises BadInput."""
    severity, body = document.get("severity"), document.get("body")
    if kind not in list(NotificationKind):
        raise BadInput(Reason.MALFORMED, f"a page is {kind!r:.60}, must be a kind of notification")
    if not isinstance(body, dict) or not all(
        isinstance(body.get(name), str) for name in (*_WHERE, "incident")
    ):
        raise BadInput(
            Reason.MALFORMED,
            f"a page is {document!r:.200}: its body must have an incident and a receiver",
        )
    key = (body["receiver"], body["channel"])
    known = turn.state.receivers.get(key) or Receiver()
    digest = turn.rules.policy.notify.digest
    if key not in turn.state.receivers and len(turn.state.receivers) >= RECEIVERS_MAX:
        turn.refuse("receivers", "")  # the message goes out all the same, on its own
        digest = None
    if digest is not None:
        known.sent_ms = [at_ms for at_ms in known.sent_ms if turn.now_ms - at_ms < digest.within]
        if known.digest_ms or len(known.sent_ms) >= digest.messages:
            _add_to_digest(turn, known, f"{severity} {kind}", body)
            turn.state.put_receiver(*key, known)
            return
        known.sent_ms.append(turn.now_ms)
        turn.state.put_receiver(*key, known)
        watch_receiver(turn, *key, known)
    turn.count("notifications")
    turn.emit(Stream.NOTIFICATIONS, body["incident"], kind, body)


def _add_to_digest(turn: Turn, known: Receiver, what: str, body: dict[str, Any]) -> None:
    digest = turn.rules.policy.notify.digest
    assert digest is not None
    turn.count("digested")
    known.counts[what] = known.counts.get(what, 0) + 1
    if body["incident"] not in known.incidents and len(known.incidents) < NAMED_MAX:
        known.incidents.append(body["incident"])
    if not known.digest_ms:
        known.digest_ms = turn.now_ms + digest.within
        known.body = {name: body[name] for name in _WHERE}
        watch_receiver(turn, body["receiver"], body["channel"], known)


def watch_receiver(turn: Turn, receiver: str, channel: str, known: Receiver) -> None:
    """Set the timer at which the digest goes out, or the receiver is forgotten."""
    digest = turn.rules.policy.notify.digest
    at_ms = known.digest_ms or (known.sent_ms[-1] + (digest.within if digest else 0))
    turn.state.schedule(at_ms, TimerKind.DIGEST, f"{receiver}\n{channel}")


def on_timer(turn: Turn, at_ms: int, subject: str) -> None:
    """Send the digest, or forget a receiver that was sent nothing for a while."""
    receiver, channel = subject.split("\n", 1)
    known, digest = turn.state.receivers.get((receiver, channel)), turn.rules.policy.notify.digest
    if known is None:
        return
    if known.digest_ms == at_ms:
        total = sum(known.counts.values())
        counts = ", ".join(f"{number} {what}" for what, number in known.counts.items())
        within = format_ms(digest.within if digest else 0)
        incidents = f"Incidents include {', '.join(known.incidents)}."
        body = {
            "incident": "",
            "action": Action.INFORM,
            "episode": 1,
            "wakes": False,
            "dedup_key": f"digest/{receiver}/{known.digest_ms}",
            "severity": min(what.split(" ")[0] for what in known.counts),
            "owner": "",
            "component": "",
            "title": f"{total} more messages within {within}",
            "text": f"{counts}. {incidents}",
            "next_step": NextStep("List the open incidents", "tocsin incidents list"),
            **known.body,
            "reason": NotificationReason(
                "", 0, 0, f"more messages than the digest limit within {within}"
            ),
            "started_at": format_instant(turn.now_ms),
            **NO_ALERTS,
        }
        turn.count("notifications")
        turn.emit(Stream.NOTIFICATIONS, receiver, "digest", body)
        known = Receiver([turn.now_ms])
        turn.state.put_receiver(receiver, channel, known)
        watch_receiver(turn, receiver, channel, known)
    elif not known.digest_ms and known.sent_ms[-1] + (digest.within if digest else 0) <= at_ms:
        turn.state.put_receiver(receiver, channel, Receiver())
