"""Seeded streams of alerts with a known cause, made for `bench/correlation.py`. Each is a list of events in order of time.

An estate has services that depend on each other at random, each on a host, and hosts in racks:
`svc-7` runs on `host-3.rack-1.example.org`. Truths are names: alerts with the same truth belong
together. In a stream of independent alerts each alert is its own truth, so that every join is false.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from random import Random
from typing import NamedTuple

SECOND_MS, MINUTE_MS, HOUR_MS = 1000, 60_000, 3_600_000
TTL_MS = 5 * MINUTE_MS  # of an alert that nobody resolves
BEGIN_MS = 1_767_225_600_000  # 2026-01-01
KINDS = [
    *("HighLatency", "HighErrorRate", "TargetDown", "QueueGrows", "DiskFull", "MemoryHigh"),
    *("CertificateExpires", "CpuThrottled", "ReplicaLag", "ProbeFailed", "JobFailed", "PodCrashes"),
]
SEVERITIES = ["warning", "critical", "warning", "info"]


class Change(StrEnum):
    """What is heard of an alert."""

    FIRING = "firing"
    RESOLVED = "resolved"
    EXPIRED = "expired"  # nothing was heard of it for its time to live


class Event(NamedTuple):
    """An alert fires (again), or ends."""

    at_ms: int
    change: Change
    labels: dict[str, str]
    truth: str


@dataclass(frozen=True)
class Estate:
    """Services on hosts in racks; `calls[n]` are the services that depend on service n."""

    hosts: int
    services: int
    calls: list[list[int]]
    placed: list[int]

    def host(self, number: int) -> str:
        """The name of a host, with ten hosts in a rack."""
        return f"host-{number}.rack-{number // 10}.example.org"

    def labels(self, service: int, kind: str, severity: str = "warning") -> dict[str, str]:
        """The labels of a service's alert."""
        host = self.host(self.placed[service])
        names = {"alertname": kind, "severity": severity, "service": f"svc-{service}"}
        return names | {"instance": f"{host}:{9000 + service % 50}"}


def estate(random: Random, hosts: int, services: int) -> Estate:
    """Services that each depend on up to two earlier ones."""
    calls: list[list[int]] = [[] for _ in range(services)]
    for service in range(1, services):
        for _ in range(random.choice([0, 1, 1, 2])):
            calls[random.randrange(service)].append(service)
    return Estate(hosts, services, calls, [random.randrange(hosts) for _ in range(services)])


def times(random: Random, per_hour: float, hours: float) -> Iterator[int]:
    """Times of independent happenings."""
    at_ms = BEGIN_MS + random.expovariate(per_hour) * HOUR_MS
    while at_ms < BEGIN_MS + hours * HOUR_MS:
        yield int(at_ms)
        at_ms += random.expovariate(per_hour) * HOUR_MS


def independent(
    random: Random, hosts: int, per_hour: float, hours: float, *, resolves: bool = True
) -> list[Event]:
    """Any kind on any host at any time; resolved after some ten minutes, or never."""
    events = []
    for at_ms in times(random, per_hour, hours):
        host, kind = random.randrange(hosts), random.randrange(len(KINDS))
        name = f"host-{host}.rack-{host // 10}.example.org"
        severity = SEVERITIES[kind % len(SEVERITIES)]
        labels = {"alertname": KINDS[kind], "severity": severity, "instance": f"{name}:9100"}
        truth = f"alone {KINDS[kind]} {host}"
        events.append(Event(at_ms, Change.FIRING, labels, truth))
        if resolves:
            end_ms = at_ms + int(random.expovariate(1 / 600) * SECOND_MS) + SECOND_MS
            events.append(Event(end_ms, Change.RESOLVED, labels, truth))
        else:
            events.append(Event(at_ms + TTL_MS, Change.EXPIRED, labels, truth))
    return sorted(events, key=lambda event: event.at_ms)


def cascades(random: Random, place: Estate, per_hour: float, hours: float) -> list[Event]:
    """A service fails, and what depends on it follows, with some 40 s for each step; half of the calls are struck."""
    events = []
    for number, at_ms in enumerate(times(random, per_hour, hours)):
        struck: dict[int, int] = {}
        later = [(random.randrange(place.services), at_ms)]
        while later and len(struck) < 25:
            service, when_ms = later.pop(0)
            if service in struck:
                continue
            struck[service] = when_ms
            later += [
                (other, when_ms + int(random.expovariate(1 / 40) * SECOND_MS))
                for other in place.calls[service]
                if random.random() < 0.6
            ]
        kind = random.choice(KINDS[:4])
        for service, when_ms in struck.items():
            for name in {"TargetDown" if service == next(iter(struck)) else kind: None}:
                events += _lasting(
                    random, place.labels(service, name), when_ms, f"cascade {number}"
                )
    return events


def deploys(random: Random, place: Estate, per_hour: float, hours: float) -> list[Event]:
    """A bad version of a service: some of its pods fail with three kinds of alerts, within five minutes."""
    events = []
    for number, at_ms in enumerate(times(random, per_hour, hours)):
        service = random.randrange(place.services)
        for pod in range(random.randrange(3, 9)):
            for kind in random.sample(["PodCrashes", "HighErrorRate", "HighLatency"], 2):
                labels = {"alertname": kind, "severity": "warning", "service": f"svc-{service}"}
                labels |= {"pod": f"svc-{service}-{number % 97}-{pod}", "version": f"v{number}"}
                when_ms = at_ms + random.randrange(300) * SECOND_MS
                events += _lasting(random, labels, when_ms, f"deploy {number}")
    return events


def splits(random: Random, place: Estate, per_hour: float, hours: float) -> list[Event]:
    """A rack is cut off: all its hosts, and what runs there, within two minutes."""
    events = []
    for number, at_ms in enumerate(times(random, per_hour, hours)):
        rack = random.randrange(max(place.hosts // 10, 1))
        for service, host in enumerate(place.placed):
            if host // 10 == rack:
                when_ms = at_ms + random.randrange(120) * SECOND_MS
                events += _lasting(
                    random, place.labels(service, "TargetDown"), when_ms, f"split {number}"
                )
        for host in range(rack * 10, min(rack * 10 + 10, place.hosts)):
            labels = {"alertname": "HostUnreachable", "severity": "critical"}
            labels["host"] = place.host(host)
            when_ms = at_ms + random.randrange(60) * SECOND_MS
            events += _lasting(random, labels, when_ms, f"split {number}")
    return events


def flapping(random: Random, place: Estate, number: int, hours: float) -> list[Event]:
    """Alerts that fire and resolve every few minutes, for one to four hours."""
    events = []
    for flapper in range(number):
        service = random.randrange(place.services)
        labels = place.labels(service, random.choice(KINDS))
        at_ms = BEGIN_MS + int(random.random() * hours * HOUR_MS)
        end_ms = at_ms + random.randrange(1, 5) * HOUR_MS
        while at_ms < end_ms:
            lasts_ms = random.randrange(30, 240) * SECOND_MS
            events.append(Event(at_ms, Change.FIRING, labels, f"flapper {flapper}"))
            events.append(Event(at_ms + lasts_ms, Change.RESOLVED, labels, f"flapper {flapper}"))
            at_ms += lasts_ms + random.randrange(60, 800) * SECOND_MS
    return events


def noise(random: Random, place: Estate, number: int, hours: float) -> list[Event]:
    """Events that come back in each hour and that nobody ever resolves. All are one truth."""
    events = []
    for source in range(number):
        labels = place.labels(random.randrange(place.services), f"Noise{source % 7}", "info")
        for hour in range(int(hours)):
            at_ms = BEGIN_MS + hour * HOUR_MS + random.randrange(3600) * SECOND_MS
            events.append(Event(at_ms, Change.FIRING, labels, "noise"))
            events.append(Event(at_ms + TTL_MS, Change.EXPIRED, labels, "noise"))
    return events


def attacks(random: Random, place: Estate, number: int, hours: float) -> list[Event]:
    """Detectors that never resolve: much noise (one truth), and attacks on hosts of one rack.

    A phase of an attack lasts ten minutes to two hours, strikes one to three hosts with four to
    twelve kinds of events, and each event comes again and again while it lasts. The first day is
    noise only.
    """
    events = []
    for source in range(60):
        labels = _event(f"Rule{source % 23}", place.host(random.randrange(place.hosts)), "notice")
        for at_ms in times(random, random.choice([0.3, 1, 2, 4]), hours):
            events.append(Event(at_ms, Change.FIRING, labels, "noise"))  # noqa: PERF401
    for phase in range(number):
        rack = random.randrange(max(place.hosts // 10, 1)) * 10
        hosts = random.sample(range(rack, min(rack + 10, place.hosts)), random.randrange(1, 4))
        kinds = random.sample(range(100), random.randrange(4, 13))
        begin_ms = BEGIN_MS + int(random.uniform(24, hours - 2) * HOUR_MS)
        end_ms = begin_ms + int(random.uniform(1 / 6, 2) * HOUR_MS)
        for host in hosts:
            for kind in kinds:
                labels = _event(f"Attack{kind}", place.host(host), "warning")
                at_ms = begin_ms + int(random.expovariate(1 / 400) * SECOND_MS)
                while at_ms < end_ms:
                    events.append(Event(at_ms, Change.FIRING, labels, f"phase {phase}"))
                    at_ms += int(random.expovariate(1 / 300) * SECOND_MS) + SECOND_MS
    return _expired(events)


def platform(random: Random, incidents: int, hours: float) -> list[Event]:
    """A large platform: each incident is one alertname at one to forty places, and lasts for hours.

    Some alertnames come often, most of them seldom.
    """
    kinds = [f"Platform{KINDS[number % len(KINDS)]}{number}" for number in range(250)]
    weights = [1 / (number + 10) for number in range(len(kinds))]
    events = []
    for number in range(incidents):
        begin_ms = BEGIN_MS + int(random.random() * hours * HOUR_MS)
        kind = random.choices(kinds, weights)[0]
        severity = SEVERITIES[int(kind[-1]) % len(SEVERITIES)]
        spread_s = random.choice([60, 300, 1800])
        for node in random.sample(range(400), min(int(random.paretovariate(0.8)), 40)):
            labels = {"alertname": kind, "severity": severity, "service": f"unit-{node % 90}"}
            labels["instance"] = f"node-{node}.site-{node % 8}.example.org:9100"
            at_ms = begin_ms + int(random.expovariate(1 / spread_s) * SECOND_MS)
            end_ms = at_ms + random.randrange(600, 10_800) * SECOND_MS
            events.append(Event(at_ms, Change.FIRING, labels, f"incident {number}"))
            events.append(Event(end_ms, Change.RESOLVED, labels, f"incident {number}"))
    return _ordered(events)


def shared_hosts(random: Random, services: int, outages: int, hours: float) -> list[Event]:
    """Small services that share hosts: a host takes all its services down, or one fails alone.

    All alerts have the same alertname. A probe finds each service down within five minutes.
    """
    hosts = services // 4
    placed = [random.randrange(hosts) for _ in range(services)]
    events = []
    for number in range(outages):
        begin_ms = BEGIN_MS + int(random.random() * hours * HOUR_MS)
        lasts_ms = int(random.expovariate(1 / 2400) * SECOND_MS) + 5 * MINUTE_MS
        host = random.randrange(hosts) if random.random() < 0.4 else None
        down = [service for service in range(services) if placed[service] == host]
        for service in down or [random.randrange(services)]:
            labels = {"alertname": "ServiceUnreachable", "severity": "warning"}
            labels |= {"service": f"small-{service}"}
            labels["instance"] = f"small-{service}.host-{placed[service]}.example.org:443"
            at_ms = begin_ms + random.randrange(300) * SECOND_MS
            end_ms = begin_ms + lasts_ms + random.randrange(300) * SECOND_MS
            events.append(Event(at_ms, Change.FIRING, labels, f"outage {number}"))
            events.append(Event(end_ms, Change.RESOLVED, labels, f"outage {number}"))
    return _ordered(events)


def _event(kind: str, host: str, severity: str) -> dict[str, str]:
    return {"alertname": kind, "host": host, "instance": host, "severity": severity}


def _expired(events: list[Event]) -> list[Event]:
    """The events, with an end for each alert that is not heard of for its time to live."""
    result: list[Event] = []
    last: dict[str, Event] = {}
    for event in _ordered(events):
        key = str(event.labels)
        if key in last and event.at_ms - last[key].at_ms > TTL_MS:
            result.append(last[key]._replace(at_ms=last[key].at_ms + TTL_MS, change=Change.EXPIRED))
        last[key] = event
        result.append(event)
    return _ordered(result)


def _lasting(random: Random, labels: dict[str, str], at_ms: int, truth: str) -> list[Event]:
    """An alert that is resolved after ten to forty minutes."""
    end_ms = at_ms + random.randrange(600, 2400) * SECOND_MS
    return [
        Event(at_ms, Change.FIRING, labels, truth),
        Event(end_ms, Change.RESOLVED, labels, truth),
    ]


def made(seed: int = 18) -> dict[str, Callable[[], list[Event]]]:
    """All streams by name."""
    streams: dict[str, Callable[[], list[Event]]] = {}
    for hosts in (20, 100, 1000, 5000):
        for per_hour in (2, 20, 100, 600):
            for resolves in (True, False):
                name = f"independent {hosts} hosts {per_hour}/h{'' if resolves else ' events'}"
                hours = 24 * 7 if per_hour < 100 else 48 if per_hour < 600 else 24

                def stream(
                    hosts: int = hosts,
                    per_hour: int = per_hour,
                    hours: int = hours,
                    resolves: bool = resolves,
                ) -> list[Event]:
                    return independent(Random(seed), hosts, per_hour, hours, resolves=resolves)

                streams[name] = stream
    streams |= {
        name: lambda part=part: _ordered(part(Random(seed), *_field(seed)))  # type: ignore[misc]
        for name, part in _parts().items()
    }
    for number in range(5):
        streams[f"attacks {number + 1}"] = lambda number=number: attacks(  # type: ignore[misc]
            Random(seed + number), estate(Random(seed + number), 30, 30), 4 + 3 * number, 72
        )
    for name, rate in (("low", 0.1), ("middle", 0.5), ("high", 2.0)):
        streams[f"mixed, {name} rate"] = lambda rate=rate: _mixed(seed, rate)  # type: ignore[misc]
    return streams


def _field(seed: int) -> tuple[Estate, int]:
    return estate(Random(seed), 60, 200), 72


def _parts() -> dict[str, Callable[[Random, Estate, int], list[Event]]]:
    return {
        "cascades 1/h": lambda random, place, hours: cascades(random, place, 1, hours),
        "cascades 10/h": lambda random, place, hours: cascades(random, place, 10, hours),
        "deploys": lambda random, place, hours: deploys(random, place, 0.5, hours),
        "network splits": lambda random, place, hours: splits(random, place, 0.2, hours),
        "flapping": lambda random, place, hours: flapping(random, place, 40, hours),
        "platform": lambda random, _place, _hours: platform(random, 801, 24 * 60),
        "shared hosts": lambda random, _place, _hours: shared_hosts(random, 78, 673, 24 * 180),
        "hourly noise": lambda random, place, hours: noise(random, place, 30, hours),
    }


def _mixed(seed: int, rate: float) -> list[Event]:
    """A bit of everything; the rate is in cascades an hour, and the others grow with it."""
    random, (place, hours) = Random(seed), _field(seed)
    return _ordered(
        [
            *independent(random, 60, 10 * rate, hours),
            *cascades(random, place, rate, hours),
            *deploys(random, place, rate / 2, hours),
            *splits(random, place, rate / 10, hours),
            *flapping(random, place, int(20 * rate), hours),
            *noise(random, place, 15, hours),
        ]
    )


def _ordered(events: list[Event]) -> list[Event]:
    return sorted(events, key=lambda event: event.at_ms)
