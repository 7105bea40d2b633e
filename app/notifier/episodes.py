"""The episodes of an incident that a receiver with keys of its own still has open.

A receiver such as PagerDuty knows a ring by its key, which is the incident and the episode. What acknowledges or resolves
the incident has to reach each key that was opened, so the keys stand in the channel's memory.
"""

from app.notifier.memory import recall
from models.events import Notification

EPISODES_MAX = 20  # kept for one incident; a flapping incident does not grow its memory without end
_KEY_MAX = 255  # characters that PagerDuty takes


def episode_key(notification: Notification) -> str:
    """The key of the notification's own episode."""
    return notification.dedup_key[:_KEY_MAX]


def known_episodes(memory: str) -> list[str] | None:
    """The keys in a channel's memory, or None when it has none."""
    keys = recall(memory).get("open")
    return [str(key) for key in keys] if isinstance(keys, list) else None


def open_episodes(notification: Notification, memory: str) -> list[str]:
    """The keys that were opened, with this one as the last. Without a memory all up to this one; at most EPISODES_MAX."""
    own = episode_key(notification)
    keys = known_episodes(memory)
    if keys is None:
        first = max(notification.episode - EPISODES_MAX, 0) + 1
        keys = [
            f"{notification.incident}/{episode}" for episode in range(first, notification.episode)
        ]
    return [*(key for key in keys if key != own), own][-EPISODES_MAX:]
