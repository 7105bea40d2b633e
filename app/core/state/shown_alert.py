"""An alert as messages and snapshots show it: its JSON, and by what it is sorted and bounded."""

from typing import NamedTuple

import orjson

from models.events import AlertStatus


class ShownAlert(NamedTuple):
    """An alert of an incident as JSON. The next snapshot uses it again if nothing of it has changed."""

    fingerprint: str
    status: AlertStatus
    severity: str
    json: orjson.Fragment
    size: int  # about how many bytes it has
    links: dict[str, str]  # by what they lead to
    made_of: tuple[object, ...]  # the alert's values that stand in it, to be compared
