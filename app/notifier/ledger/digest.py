"""One message instead of many that a limit held back. Pure."""

from collections.abc import Sequence
from dataclasses import replace

from models.events import Action, Notification, NotificationKind

LINES_MAX = 20


def digest_of(notifications: Sequence[Notification]) -> Notification:
    """The digest, with a line for each notification; its id is the newest one's."""
    newest = notifications[-1]
    incidents = {notification.incident for notification in notifications}
    lines = [
        f"[{notification.severity}] {notification.title}: {notification.kind}"
        for notification in notifications[-LINES_MAX:]
    ]
    omitted = len(notifications) - len(lines)
    more = [f"and {omitted} more"] if omitted else []
    worst = min(notification.severity for notification in notifications)
    return replace(
        newest,
        kind=NotificationKind.DIGEST,
        incident=newest.incident if len(incidents) == 1 else "",
        action=Action.INFORM,
        wakes=False,
        dedup_key=f"digest/{newest.id}",
        severity=worst,
        component="",
        title=f"{len(notifications)} messages that a limit held back",
        text="\n".join([*lines, *more]),
        next_step=None,
        alerts=(),
        alerts_omitted=0,
        alerts_firing=0,
        alerts_total=0,
        common_labels={},
        links={},
    )
