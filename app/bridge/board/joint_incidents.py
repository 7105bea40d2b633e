"""Incidents that are one: members and what follows belong to the first incident of their group."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping

import orjson

FINGERPRINTS_MAX = 2000  # of an incident, in an answer
_NO_PARENTS = b'"parents":[]'


class JointIncidents:
    """Of which incident each one is part, and the alerts of all that are one."""

    def __init__(
        self, snapshots: Iterable[tuple[str, bytes]], alerts: Mapping[str, Collection[str]]
    ) -> None:
        """`snapshots` are incidents and their JSON; `alerts` the fingerprints of each."""
        self._alerts = alerts
        self._parent: dict[str, str] = {}
        for incident, value in snapshots:
            if _NO_PARENTS not in value and (parents := orjson.loads(value)["parents"]):
                self._parent[incident] = parents[0]
        self._parts: dict[str, list[str]] = defaultdict(list)
        for incident in self._parent:
            self._parts[self.part_of(incident)].append(incident)

    def part_of(self, incident: str) -> str:
        """The first incident of those that are one with it; empty if it is that itself."""
        seen, first = {incident}, incident
        while (parent := self._parent.get(first, "")) and parent not in seen:
            seen.add(parent)
            first = parent
        return first if first != incident else ""

    def fingerprints(self, incident: str) -> list[str]:
        """The alerts of the incident and of all that are part of it, each once; bounded."""
        parts = [incident, *self._parts.get(incident, ())]
        names = dict.fromkeys(name for part in parts for name in self._alerts.get(part, ()))
        return list(names)[:FINGERPRINTS_MAX]

    def with_parts(self, incident: str, value: bytes) -> bytes:
        """The snapshot's JSON with `part_of` and `fingerprints`."""
        more = {"part_of": self.part_of(incident), "fingerprints": self.fingerprints(incident)}
        return value.rstrip()[:-1] + b"," + orjson.dumps(more)[1:]
