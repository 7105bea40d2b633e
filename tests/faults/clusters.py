"""Kafka for the battery.

A broker that can also be reached through a proxy, and a cluster of three.
"""

import asyncio
import subprocess
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from aiokafka.admin import AIOKafkaAdminClient

from deploy.kafka.broker import Broker, fetch
from deploy.kafka.secured import free_ports
from tests.faults.proxy import Proxy
from tests.support.engines import wait_until

_NODE = """
process.roles=broker,controller
node.id={node}
controller.quorum.voters={voters}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
log.dirs={data}
offsets.topic.replication.factor={brokers}
offsets.topic.num.partitions=4
transaction.state.log.replication.factor={brokers}
transaction.state.log.min.isr={least}
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor={brokers}
share.coordinator.state.topic.min.isr={least}
min.insync.replicas={least}
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
broker.session.timeout.ms=6000
message.max.bytes=16842752
replica.fetch.max.bytes=16842752
"""
_PROXIED = """
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,PROXIED:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
"""
_TOOL = "org.apache.kafka.tools.MetadataQuorumCommand"


def _format(folder: Path, cluster: str) -> None:
    tool = ["java", "-cp", f"{fetch()}/*", "kafka.tools.StorageTool", "format"]
    subprocess.run(
        [*tool, "-t", cluster, "-c", str(folder / "server.properties")],
        check=True,
        capture_output=True,
    )


class Proxied:
    """One broker, and a proxy whose address it tells those who come through the proxy."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self.broker = Broker(folder)
        inner, outer = free_ports(2)
        text = _NODE.format(
            node=1,
            voters=f"1@127.0.0.1:{self.broker.controller}",
            port=self.broker.port,
            controller=self.broker.controller,
            data=folder / "data",
            brokers=1,
            least=1,
        )
        text = text.replace("\nlisteners=", f"\nlisteners=PROXIED://127.0.0.1:{inner},")
        text = text.replace(
            "\nadvertised.listeners=", f"\nadvertised.listeners=PROXIED://127.0.0.1:{outer},"
        )
        (folder / "server.properties").write_text(text + _PROXIED)
        _format(folder, str(uuid.uuid4()))
        self.broker.start()
        self.proxy = Proxy(outer, inner)
        self.through_proxy = f"kafka://127.0.0.1:{outer}"

    def stop(self) -> None:
        """End both."""
        self.proxy.close()
        self.broker.stop()


class Cluster:
    """Three nodes, each broker and controller.

    Topics have three replicas, of which two have to agree.
    """

    def __init__(self, folder: Path) -> None:
        self.nodes: dict[int, Broker] = {}
        cluster = str(uuid.uuid4())
        folders = {node: folder / f"node-{node}" for node in (1, 2, 3)}
        self.nodes = {node: Broker(place) for node, place in folders.items()}
        voters = ",".join(f"{node}@127.0.0.1:{one.controller}" for node, one in self.nodes.items())
        for node, one in self.nodes.items():
            one.folder.mkdir(parents=True)
            text = _NODE.format(
                node=node,
                voters=voters,
                port=one.port,
                controller=one.controller,
                data=one.folder / "data",
                brokers=3,
                least=2,
            )
            (one.folder / "server.properties").write_text(text)
            _format(one.folder, cluster)
        with ThreadPoolExecutor() as threads:  # none answers before two are there
            list(threads.map(Broker.start, self.nodes.values()))

    @property
    def bootstrap(self) -> str:
        """All addresses, as TOCSIN_BROKER wants them behind kafka://."""
        return ";".join(one.bootstrap for one in self.nodes.values())

    def leader(self) -> int:
        """The node that leads the controllers."""
        for line in self._ask("--status").splitlines():
            if line.startswith("LeaderId:"):
                return int(line.split()[-1])
        raise AssertionError("the quorum has no leader")

    def wait_whole(self, topics: str) -> None:
        """Return when each replica of these topics is in sync."""
        wait_until(lambda: not self._behind(topics), "all replicas are in sync", 120)

    def stop(self) -> None:
        """End all."""
        for one in self.nodes.values():
            one.stop()

    def _behind(self, topics: str) -> bool:
        async def ask() -> bool:
            admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap.split(";"))
            await admin.start()
            try:
                names = [
                    name for name in await admin.list_topics() if name.startswith((topics, "__"))
                ]
                described = await admin.describe_topics(names)
            finally:
                await admin.close()
            return any(len(one["isr"]) < 3 for topic in described for one in topic["partitions"])

        return asyncio.run(ask())

    def _ask(self, what: str) -> str:
        command = [
            "java",
            "-cp",
            f"{fetch()}/*",
            _TOOL,
            "--bootstrap-server",
            self.bootstrap.replace(";", ","),
        ]
        return subprocess.run(
            [*command, "describe", what], check=True, capture_output=True, text=True
        ).stdout
