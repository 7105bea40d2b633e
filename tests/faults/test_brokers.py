"""Kafka that goes away: one broker, each of three, and the network between."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.kafka.broker import Broker
from tests.faults.clusters import Cluster, Proxied
from tests.faults.load import http_status
from tests.faults.proxy import ANSWERS, REQUESTS
from tests.faults.service import PARTITIONS, Service, serving
from tests.faults.table import Row, counted
from tests.support.engines import wait_until


@pytest.fixture
def own_broker(tmp_path: Path) -> Iterator[Broker]:
    """A broker to be killed."""
    kafka = Broker(tmp_path / "kafka")
    kafka.start()
    yield kafka
    kafka.stop()


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """Three brokers."""
    three = Cluster(tmp_path / "kafka")
    yield three
    three.stop()


@pytest.fixture
def proxied(tmp_path: Path) -> Iterator[Proxied]:
    """A broker behind a proxy."""
    one = Proxied(tmp_path / "kafka")
    yield one
    one.stop()


def _readyz(service: Service) -> int:
    return http_status(f"{service.url}/readyz")


def test_the_only_broker_is_killed(
    own_broker: Broker, folder: Path, told: Row, seed: int, *, short: bool
) -> None:
    """kill -9 of Kafka under load.

    The bridge says 503 until it is back, senders send again, nothing is lost.
    """
    times = 1 if short else 4
    with serving(f"kafka://{own_broker.bootstrap}", folder, "broker") as service:
        service.bridge().wait_ready()
        worker = service.worker("w1", instance="w1")
        worker.wait_ready()
        load = service.start_load(seed, 300)
        for number in range(times):
            service.wait_load(1500)
            own_broker.kill()
            if number % 2 == 0:
                wait_until(lambda: _readyz(service) == 503, "the bridge is not ready")
            else:  # long enough for requests to be given up
                refused = load.trouble["503"]
                wait_until(lambda refused=refused: load.trouble["503"] > refused, "503", 90)  # type: ignore[misc]
            own_broker.start()
            wait_until(lambda: _readyz(service) == 200, "the bridge is ready again")
            service.wait_load(500)
            worker.wait_ready()
        proof = service.finish()

    told.fill(
        "kill -9 of Kafka (one broker), a new start once the bridge has said 503",
        times,
        proof,
        f"answers meanwhile: {counted(load.trouble)}; the worker ended {len(worker.deaths) - 1} times and was started again; "
        f"slowest acknowledgement {load.slowest_seconds:.0f} s",
    )


@pytest.mark.long
def test_one_broker_of_three_is_killed(
    cluster: Cluster, folder: Path, told: Row, seed: int
) -> None:
    """kill -9 of each of three brokers in turn, the controllers' leader among them.

    The other two go on.
    """
    with serving(f"kafka://{cluster.bootstrap}", folder, "three", replication=3) as service:
        service.bridge().wait_ready()
        workers = [service.worker("w1", instance="w1"), service.worker("w2", instance="w2")]
        for worker in workers:
            worker.wait_ready()
        load = service.start_load(seed, 300)
        leaders = []
        for node, one in cluster.nodes.items():
            service.wait_load(1500)
            leaders.append(cluster.leader() == node)
            one.kill()
            service.wait_load(3000)
            one.start()
            cluster.wait_whole("three")
        node = cluster.leader()
        leaders.append(True)
        cluster.nodes[node].kill()
        service.wait_load(2000)
        cluster.nodes[node].start()
        cluster.wait_whole("three")
        for worker in workers:
            worker.wait_ready()
        proof = service.finish()

    told.fill(
        "kill -9 of each of three brokers (replication 3, min.insync.replicas 2), and of the controllers' leader once more",
        len(leaders),
        proof,
        f"{sum(leaders)} of them led the controllers; the bridge answered {counted(load.trouble)}; "
        f"slowest acknowledgement {load.slowest_seconds:.1f} s; "
        f"workers ended {sum(len(worker.deaths) - 1 for worker in workers)} times",
    )


@pytest.mark.long
def test_the_network_is_cruel(proxied: Proxied, folder: Path, told: Row, seed: int) -> None:
    """Connections of the bridge and of one of two workers are cut, slowed, and fall silent without an end."""
    times = 4
    with serving(f"kafka://{proxied.broker.bootstrap}", folder, "network") as service:
        bridge = service.bridge(proxied.through_proxy)
        bridge.wait_ready()
        near, far = service.worker("near"), service.worker("far", broker=proxied.through_proxy)
        near.wait_ready()
        far.wait_ready()
        load = service.start_load(seed, 300)
        cut = 0
        for _ in range(times):
            for _ in range(3):
                service.wait_load(200)
                cut += proxied.proxy.cut()
            proxied.proxy.slow(0.1)
            service.wait_load(200)
            proxied.proxy.slow(0)
            # Requests arrive, and their answers are lost: what was written is not known to be.
            proxied.proxy.hold(ANSWERS)
            known = len(near.taken_over())
            service.wait_takeovers(near, known + PARTITIONS)
            cut += proxied.proxy.cut()
            proxied.proxy.release()
            service.wait_load(200)
            proxied.proxy.hold(REQUESTS, ANSWERS)
            wait_until(lambda: _readyz(service) == 503, "the bridge is not ready")
            proxied.proxy.release()
            service.wait_load(200)
            far.wait_ready()
        proof = service.finish()

    told.fill(
        "all connections of the bridge and of one of two workers: cut three times, each piece 0.1 s late, answers held until "
        "the other worker has taken over and then cut, both directions held until the bridge says 503 and then released",
        times,
        proof,
        f"{cut} connections cut; answers meanwhile: {counted(load.trouble)}; "
        f"the far worker ended {len(far.deaths) - 1} times; slowest acknowledgement {load.slowest_seconds:.0f} s",
    )
