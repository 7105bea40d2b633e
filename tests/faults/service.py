"""A Tocsin on Kafka for one test: a bridge, workers, a load, and the proof at the end."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from app.factory import make_log
from app.settings import Settings
from app.transport.log import Log, LogUnavailable
from deploy.kafka.secured import free_ports
from models.topics import Topics
from tests.faults.load import Load
from tests.faults.processes import Supervised
from tests.faults.proof import Proof, prove, quick_policy, unsettled
from tests.support.engines import wait_until
from tests.support.settings_of import using

PARTITIONS = 4
T = TypeVar("T")


class Service:
    """Processes of one prefix on one Kafka. Made by `serving`."""

    def __init__(self, broker: str, folder: Path, prefix: str, replication: int = 1) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.config = Settings(
            broker=broker,
            prefix=prefix,
            partitions=PARTITIONS,
            replication=replication,
            policy_file=str(quick_policy(folder)),
        )
        self.processes: list[Supervised] = []
        self.workers: list[Supervised] = []
        (self._port,) = free_ports(1)
        self.load: Load | None = None

    @property
    def url(self) -> str:
        """The bridge's; the same over all its lives."""
        return f"http://127.0.0.1:{self._port}"

    def bridge(self, broker: str = "") -> Supervised:
        """Start the bridge."""
        bridge = Supervised(self.folder, "bridge", ["-m", "app", "bridge"], self._settings(broker))
        self.processes.append(bridge)
        return bridge

    def worker(
        self, name: str, *, instance: str = "", die_at: str = "", broker: str = ""
    ) -> Supervised:
        """Start a worker.

        `die_at` is a point of `tests.faults.worker`; `instance` makes it a static member.
        """
        arguments = ["-m", "app", "worker"]
        if die_at:
            arguments = ["-m", "tests.faults.worker", "--die-at", die_at]
        worker = Supervised(
            self.folder, name, arguments, self._settings(broker) | {"TOCSIN_INSTANCE": instance}
        )
        self.processes.append(worker)
        self.workers.append(worker)
        return worker

    def start_load(self, seed: int, rate: int) -> Load:
        """Start a load on the bridge."""
        self.load = Load(lambda: self.url, seed, rate)
        return self.load.start()

    def wait_load(self, alerts: int) -> None:
        """Return when so many alerts more are acknowledged."""
        load = self.load
        assert load is not None
        wanted = len(load.alerts) + alerts
        wait_until(
            lambda: len(load.alerts) >= wanted,
            f"{wanted} alerts are acknowledged; {load.trouble}",
            120,
        )

    def wait_takeovers(self, worker: Supervised, times: int) -> None:
        """Return when the worker has taken over partitions so many times, over all its lives."""
        wait_until(
            lambda: len(worker.taken_over()) >= times,
            f"{worker.name} owns more; see {worker.complaints}",
        )

    def send_raw(self, alerts: int, seed: int) -> None:
        """Write alerts to the raw topic, as other people's producers do, and return when they are acknowledged."""
        load = self.load
        assert load is not None
        values = load.raw(alerts, seed)

        async def send(log: Log) -> None:
            for number, (start, records) in enumerate(values):
                await log.append(Topics(self.config.prefix).raw, number % PARTITIONS, records)
                load.alerts.update(range(start, start + len(records)))

        self.with_log(send)

    def finish(self) -> Proof:
        """Stop the load, wait until everything is applied, stop the processes, and prove."""
        if self.load is not None:
            self.load.stop()
        self.wait_settled()
        for process in self.processes:
            process.stop()
        return self.with_log(lambda log: prove(log, self.config, self.load))

    def wait_settled(self) -> None:
        """Return when a checkpoint covers every journal record."""
        quiet = (
            0  # a partition may be told something while the next one is looked at, so look twice
        )

        def settled() -> bool:
            nonlocal quiet
            try:
                number = self.with_log(lambda log: unsettled(log, self.config))
            except LogUnavailable:
                return False
            quiet = quiet + 1 if number == 0 else 0
            return quiet == 2

        wait_until(settled, f"everything is applied; see {self.folder}", 120)

    def ends(self) -> list[int]:
        """The journal's ends."""

        async def find(log: Log) -> list[int]:
            journal = Topics(self.config.prefix).journal
            return [await log.end_offset(journal, partition) for partition in range(PARTITIONS)]

        return self.with_log(find)

    def with_log(self, use: Callable[[Log], Awaitable[T]]) -> T:
        """Use a connection of our own to the log."""
        return using(make_log(self.config), use)

    def _settings(self, broker: str) -> dict[str, str]:
        config = self.config if not broker else replace(self.config, broker=broker)
        return {
            "TOCSIN_BROKER": config.broker,
            "TOCSIN_PREFIX": config.prefix,
            "TOCSIN_PARTITIONS": str(config.partitions),
            "TOCSIN_REPLICATION": str(config.replication),
            "TOCSIN_POLICY": config.policy_file,
            "TOCSIN_PORT": str(self._port),
        }


@contextmanager
def serving(broker: str, folder: Path, prefix: str, replication: int = 1) -> Iterator[Service]:
    """A service whose processes are stopped at the end, whatever happens."""
    service = Service(broker, folder, prefix, replication)
    try:
        yield service
    finally:
        for process in service.processes:
            process.stop()


def takeovers(kills: list[float], moments: dict[int, list[int]]) -> list[float]:
    """For each kill, the seconds until effects of every partition went on."""
    found = []
    for kill in kills:
        firsts = [next((at for at in ats if at > kill * 1000), None) for ats in moments.values()]
        found.append(max(first for first in firsts if first is not None) / 1000 - kill)
    return found
