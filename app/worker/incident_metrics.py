"""The open incidents of a worker by severity, state and owner, counted when somebody scrapes."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from app.core.engine import Engine

_HELP = "Incidents that are not closed, by severity, state and owner"
OWNERS_MAX = 200  # the policy's teams; more are counted together
OTHER = "other"


class IncidentMetrics(Collector):
    """The gauge `tocsin_incidents_by_owner`. `engines` gives those of the partitions owned now."""

    def __init__(self, engines: Callable[[], Iterable[Engine]]) -> None:
        self._engines = engines

    def collect(self) -> Iterator[Metric]:
        """Count. It looks at each open incident once, and so costs what a scrape may cost."""
        numbers: Counter[tuple[str, str, str]] = Counter()
        owners: set[str] = set()
        for engine in self._engines():
            for incident in engine.state.incidents.values():
                owner = incident.owner
                if owner not in owners and len(owners) >= OWNERS_MAX:
                    owner = OTHER
                owners.add(owner)
                numbers[incident.severity, incident.state, owner] += 1
        family = GaugeMetricFamily(
            "tocsin_incidents_by_owner", _HELP, labels=["severity", "state", "owner"]
        )
        for labels, number in sorted(numbers.items()):
            family.add_metric(list(labels), number)
        yield family

    def describe(self) -> Iterator[Metric]:
        """Its name, before anybody counts."""
        yield GaugeMetricFamily("tocsin_incidents_by_owner", _HELP)
