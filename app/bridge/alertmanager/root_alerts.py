"""The alerts that stand behind what suppresses an alert, by fingerprint, as `inhibitedBy` has them.

An inhibition and a dependency name the alert that explains another. Nearness and a correlation name
an incident: the alerts of that incident are meant, those that fire first of all.
"""

from collections.abc import Collection
from typing import Any

import orjson

from app.history.incident_view import IncidentView
from models.incident import partition_from_id

INHIBITED_BY_MAX = 10  # fingerprints of an alert
_EXPLAINS = ("dependency", "correlation", "inhibition")


class RootAlerts:
    """What suppresses the alerts of one answer; each incident is looked up once."""

    def __init__(self, incidents: IncidentView, firing: Collection[str]) -> None:
        """`firing` are the fingerprints of all that fires."""
        self._incidents, self._firing = incidents, firing
        self._known: dict[str, list[str]] = {}

    async def inhibited_by(self, document: dict[str, Any]) -> list[str]:
        """The fingerprints of what explains an alert, a record of `tocsin.alerts`; bounded.

        The members of an incident that a rule opened explain each other. Where nothing else is
        known the alert stands for itself, so that it does not look as if it were not suppressed.
        """
        suppressors = [
            suppressor
            for suppressor in document["suppressed_by"]
            if suppressor["kind"] in _EXPLAINS
        ]
        names: dict[str, None] = {}
        for suppressor in suppressors:
            names |= dict.fromkeys(await self._alerts_of(suppressor["source"]))
        own = document["alert"]
        others = [name for name in names if name != own][:INHIBITED_BY_MAX]
        return others or ([own] if suppressors else [])

    async def _alerts_of(self, source: str) -> list[str]:
        """The fingerprints of a source, which is a fingerprint or an incident's id."""
        if not _is_incident(source):
            return [source] if source else []
        known = self._known.get(source)
        if known is None:
            value = await self._incidents.retained_snapshot(source)
            names = [] if value is None else _alerts_in(orjson.loads(value))
            firing = [name for name in names if name in self._firing]
            # One more than are shown: the alert itself may be among them.
            known = self._known[source] = (firing or names)[: INHIBITED_BY_MAX + 1]
        return known


def _is_incident(source: str) -> bool:
    """Whether it is an incident's id, of whatever class, and no fingerprint."""
    try:
        partition_from_id(source)
    except ValueError:
        return False
    return True


def _alerts_in(snapshot: dict[str, Any]) -> list[str]:
    """The fingerprints that an incident's snapshot names: its own alerts, then what depends on it."""
    own = [alert["fingerprint"] for alert in snapshot["alerts"]]
    members = [member["alert"] for member in snapshot["members"]] if snapshot["rule"] else []
    return list(dict.fromkeys([*own, *members]))
