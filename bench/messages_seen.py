"""Which messages a person sees as new, counted alike for Tocsin and for Alertmanager.

- **pager**: a message that rings. A pager does not ring again for a key that is open, so neither an
  Alertmanager's repeat of a group that fires still, nor a second message of one episode is new. Its
  end rings nowhere.
- **chat**: a message that is posted. Tocsin's `update`, `acknowledge` and `resolve` change the message
  that an incident has at that address, and are not new there. An Alertmanager posts each one.
- **e-mail**: each message.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from app.policy.importer.receivers import SERVICES
from bench.alertmanager_model import Sent
from models.events import Action

_EDITS = (Action.UPDATE, Action.ACKNOWLEDGE, Action.RESOLVE)


class SeenMessages:
    """Tells which of Tocsin's messages are new, in their order."""

    def __init__(self) -> None:
        self._keys: set[tuple[str, str]] = set()
        self._posted: set[tuple[str, str]] = set()

    def is_new(self, body: dict[str, Any]) -> bool:
        """Whether a person sees this notification as new."""
        address = body["address"]
        match body["channel"]:
            case "pager":
                key = (address, body["dedup_key"])
                is_new = body["wakes"] and key not in self._keys
                self._keys.add(key)
                return is_new
            case "chat":
                thread = (address, body["incident"])
                is_new = body["action"] not in _EDITS or thread not in self._posted
                self._posted.add(thread)
                return is_new
            case _:
                return True


def alertmanager_new(sent: Iterable[Sent]) -> Counter[str]:
    """How many of an Alertmanager's messages are new, by integration."""
    return Counter(one.kind for one in sent if _is_new(one))


def _is_new(sent: Sent) -> bool:
    if SERVICES[sent.kind].way != "pager":
        return True
    return sent.firing > 0 and sent.first
