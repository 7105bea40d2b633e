"""The storm digest: above a rate of messages to one receiver through one channel, the rest is one message with counts.

Each receiver and channel has an actor, to which components send what they want told. What may wait
is policy.
"""

from typing import Any

from app.core.notification import naming
from app.core.state.alerts_shown import NO_ALERTS
from app.core.state.receivers import Receiver
from app.core.state.timer_kind import TimerKind
from app.core.state.turn import Turn
from models.effect import Stream
from models.events import Action, NextStep, NotificationKind, NotificationReason
from models.reason import BadInput, Reason
from models.text.duration import format_ms
from models.text.instant import format_instant
from models.text.plural import plural

RECEIVERS_MAX = 10_000  # and channels, that were sent something of late
NAMED_MAX = 10  # incidents that a digest names
OVER = "over"  # what a digest calls an incident that was over before anybody was notified of it
TASKS_MAX = 20  # tasks that a digest names
# What always waits for the digest: it is no news of this instant.
GATHERED = (NotificationKind.DIGEST, NotificationKind.TASK_REMINDER)
_WHERE = ("channel", "receiver", "address")


def on_page(turn: Turn, kind: str, document: dict[str, Any]) -> None:
    """A message for a receiver: it goes out, or waits for the digest. Raises BadInput."""
    body, ended = _check_page(kind, document)
    key = (body["receiver"], body["channel"])
    known = turn.state.receivers.get(key) or Receiver()
    digest, waits = turn.rules.policy.notify.digest, kind in GATHERED
    if key not in turn.state.receivers and len(turn.state.receivers) >= RECEIVERS_MAX:
        turn.refuse("receivers", "")  # the message goes out all the same, on its own
        digest, waits = None, False
    if digest is not None:
        known.sent_ms = [at_ms for at_ms in known.sent_ms if turn.now_ms - at_ms < digest.within]
        waits = waits or known.digest_ms > 0 or len(known.sent_ms) >= digest.messages
    if waits:
        counted = OVER if kind == NotificationKind.DIGEST else kind
        if kind == NotificationKind.TASK_REMINDER and len(known.tasks) < TASKS_MAX:
            known.tasks.append(f"{body['title']} ({body['dedup_key']}): {body['text']}")
        _add_to_digest(turn, known, f"{document['severity']} {counted}", body, ended)
        turn.state.put_receiver(*key, known)
        return
    if digest is not None:
        known.sent_ms.append(turn.now_ms)
        turn.state.put_receiver(*key, known)
        watch_receiver(turn, *key, known)
    turn.count("notifications")
    turn.emit(Stream.NOTIFICATIONS, body["incident"], kind, body)


def _check_page(kind: str, document: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """A message's body, and the names that a digest of it has to keep. Raises BadInput."""
    body, ended = document.get("body"), document.get("ended", [])
    if kind not in list(NotificationKind):
        raise BadInput(Reason.MALFORMED, f"a page is {kind!r:.60}, must be a kind of notification")
    if not isinstance(body, dict) or not all(
        isinstance(body.get(name), str) for name in (*_WHERE, "incident")
    ):
        raise BadInput(
            Reason.MALFORMED,
            f"a page is {document!r:.200}: its body must have an incident and a receiver",
        )
    task = ("title", "dedup_key", "text") if kind == NotificationKind.TASK_REMINDER else ()
    if not all(isinstance(body.get(name), str) for name in task):
        raise BadInput(Reason.MALFORMED, "a page about a task has to have its title, id and text")
    if not isinstance(ended, list) or not all(isinstance(name, str) for name in ended):
        raise BadInput(
            Reason.MALFORMED, f"a page's ended is {ended!r:.60}, must be a list of names"
        )
    return body, ended


def _add_to_digest(
    turn: Turn, known: Receiver, counted: str, body: dict[str, Any], ended: list[str]
) -> None:
    turn.count("digested")
    known.counts[counted] = known.counts.get(counted, 0) + 1
    if body["incident"] not in known.incidents and len(known.incidents) < NAMED_MAX:
        known.incidents.append(body["incident"])
    for name in ended:
        if name in known.ended:
            continue
        if len(known.ended) < naming.NAMED_MAX:
            known.ended.append(name)
        else:
            known.ended_omitted += 1
    if not known.digest_ms:
        known.digest_ms = turn.now_ms + _within(turn)
        known.body = {name: body[name] for name in _WHERE}
        watch_receiver(turn, body["receiver"], body["channel"], known)


def _within(turn: Turn) -> int:
    """For how long messages are gathered. Without storm digests, as long as other news."""
    notify = turn.rules.policy.notify
    return notify.digest.within if notify.digest else notify.group_interval


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
        body = _digest_of(turn, known, f"digest/{receiver}/{known.digest_ms}")
        turn.count("notifications")
        turn.emit(Stream.NOTIFICATIONS, receiver, "digest", body)
        known = Receiver([turn.now_ms])
        turn.state.put_receiver(receiver, channel, known)
        watch_receiver(turn, receiver, channel, known)
    elif not known.digest_ms and known.sent_ms[-1] + (digest.within if digest else 0) <= at_ms:
        turn.state.put_receiver(receiver, channel, Receiver())


def _digest_of(turn: Turn, known: Receiver, dedup_key: str) -> dict[str, Any]:
    """The one message instead of those that have waited."""
    total, within = sum(known.counts.values()), format_ms(_within(turn))
    title = f"{plural(total, 'more message')} within {within}"
    reason = f"more messages than the digest limit within {within}"
    if all(counted.endswith(f" {OVER}") for counted in known.counts):
        title = f"{plural(total, 'incident')} over before anybody was notified"
        reason = title
    if all(counted.endswith(f" {NotificationKind.TASK_REMINDER}") for counted in known.counts):
        title = f"{plural(total, 'follow-up task')} due"
        reason = f"the team owns {'the task' if total == 1 else 'the tasks'}"
    return {
        "incident": "",
        "action": Action.INFORM,
        "episode": 1,
        "wakes": False,
        "dedup_key": dedup_key,
        "severity": min(counted.split(" ")[0] for counted in known.counts),
        "owner": "",
        "component": "",
        "title": title,
        "text": _text_of(known),
        "next_step": _next_step_of(known),
        **known.body,
        "reason": NotificationReason("", 0, 0, reason),
        "started_at": format_instant(turn.now_ms),
        **NO_ALERTS,
    }


def _next_step_of(known: Receiver) -> NextStep:
    if known.tasks and len(known.tasks) == sum(known.counts.values()):
        return NextStep("Do them, and say so", "tocsin followups")
    return NextStep("List the open incidents", "tocsin incidents list")


def _text_of(known: Receiver) -> str:
    counts = ", ".join(
        f"{number} {counted.replace('_', ' ')}" for counted, number in known.counts.items()
    )
    sentences = [counts, f"Incidents include {', '.join(known.incidents)}"]
    if known.ended:
        more = [f"and {known.ended_omitted} more"] if known.ended_omitted else []
        sentences.append(naming.no_longer_firing([*known.ended, *more]))
    reminders = sum(
        number
        for counted, number in known.counts.items()
        if counted.endswith(f" {NotificationKind.TASK_REMINDER}")
    )
    if known.tasks:
        omitted = reminders - len(known.tasks)
        more = [f"and {omitted} more"] if omitted else []
        sentences.append(f"Tasks: {'; '.join([*known.tasks, *more])}")
    return naming.join_sentences(*sentences)
