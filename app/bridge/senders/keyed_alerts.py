"""Alerts whose senders end them by a key alone: which labels belong to the key.

What this bridge took is remembered. What another took, or was before a restart, is in the view of the
alerts that fire.
"""

from typing import Any

from app.history.alert_keys import KEY, SENDER
from app.history.alert_view import AlertView

KEYS_MAX = 50_000  # that are remembered

Document = dict[str, Any]


class KeyedAlerts:
    """The labels of alerts by sender and key."""

    def __init__(self, alerts: AlertView) -> None:
        self._alerts = alerts
        self._labels: dict[tuple[str, str], dict[str, str]] = {}

    async def entries(self, entry: Document) -> list[Document]:
        """What a keyed entry becomes: the alert itself, and the end of what had its key before.

        The end of what nobody knows is nothing.
        """
        labels = entry["labels"]
        place = labels[SENDER], labels[KEY]
        known = self._labels.pop(place, None) or (await self._shown(*place) or {}).get("labels")
        if entry["status"] == "resolved":
            return [] if known is None else [{**entry, "labels": known}]
        labels = {name: text for name, text in labels.items() if text}
        if len(self._labels) >= KEYS_MAX:
            del self._labels[next(iter(self._labels))]
        self._labels[place] = labels
        ended = [{"status": "resolved", "labels": known}] if known not in (None, labels) else []
        return [*ended, {**entry, "labels": labels}]

    async def incident(self, sender: str, key: str) -> str:
        """The incident that the alert belongs to; empty while none is known."""
        shown = await self._shown(sender, key)
        return str(shown["incident"]) if shown is not None else ""

    def is_known(self, sender: str, key: str) -> bool:
        """Whether this bridge took an alert of that key."""
        return (sender, key) in self._labels

    async def _shown(self, sender: str, key: str) -> Document | None:
        """The newest record of the alert that fires with this key."""
        return await self._alerts.with_key(sender, key)
