"""A notification in the shape that Alertmanager posts to its webhooks: version 4."""

from typing import Any

from models.events import Action, Notification, NotifiedAlert

NO_END = "0001-01-01T00:00:00Z"  # what Alertmanager writes for an alert that fires


def alertmanager_messages(
    notification: Notification, receiver: str, episode_keys: list[str], public_url: str
) -> list[dict[str, Any]]:
    """A message for each episode. `groupKey` is the episode's key, so that a new episode is a new group to whoever reads it."""
    resolved = notification.action is Action.RESOLVE
    alerts = [_alert(alert, notification, resolved=resolved) for alert in notification.alerts]
    alerts = alerts or [_stand_in(notification, resolved=resolved)]
    common = {
        "version": "4",
        "truncatedAlerts": notification.alerts_omitted,
        "status": "firing" if any(alert["status"] == "firing" for alert in alerts) else "resolved",
        "receiver": receiver,
        "groupLabels": {"incident": notification.incident},
        "commonLabels": notification.common_labels
        or _shared([alert["labels"] for alert in alerts]),
        "commonAnnotations": _shared([alert["annotations"] for alert in alerts]),
        "externalURL": public_url,
        "alerts": alerts,
    }
    return [{"groupKey": f'{{}}:{{incident="{key}"}}', **common} for key in episode_keys]


def _alert(alert: NotifiedAlert, notification: Notification, *, resolved: bool) -> dict[str, Any]:
    firing = (
        alert.status == "firing" and not resolved
    )  # who resolves an incident resolves its alerts
    return {
        "status": "firing" if firing else "resolved",
        "labels": alert.labels,
        "annotations": alert.annotations,
        "startsAt": alert.starts_at,
        "endsAt": NO_END if firing else alert.ends_at or notification.at,
        "generatorURL": alert.generator_url,
        "fingerprint": alert.fingerprint,
    }


def _stand_in(notification: Notification, *, resolved: bool) -> dict[str, Any]:
    """An alert for a message that has none; what reads Alertmanager's webhooks counts on one."""
    return {
        "status": "resolved" if resolved else "firing",
        "labels": {
            "alertname": notification.title,
            "severity": notification.severity,
            "component": notification.component,
        },
        "annotations": {"summary": notification.title, "description": notification.text},
        "startsAt": notification.started_at,
        "endsAt": notification.at if resolved else NO_END,
        "generatorURL": "",
        "fingerprint": "",
    }


def _shared(texts: list[dict[str, str]]) -> dict[str, str]:
    first, *others = texts
    return {
        name: text
        for name, text in first.items()
        if all(other.get(name) == text for other in others)
    }
