"""Start and stop a real Apache Kafka on loopback: one combined KRaft node, for a developer (`make kafka`) and the tests.

The jars come from Maven Central, once, into .tools/kafka; Java 17 or newer and Maven have to be
there.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import uuid
from pathlib import Path

from deploy.kafka.secured import Secured, free_ports

ROOT = Path(__file__).parent.parent.parent
TOOLS = ROOT / ".tools" / "kafka"
STATE = TOOLS / "running.json"
START_SECONDS = 60

_PROPERTIES = """
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
log.dirs={data}
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
"""


class KafkaFailed(Exception):
    """Kafka cannot be had here; the message says what to do."""


def fetch() -> Path:
    """The folder with Kafka's jars, fetched if it is not there."""
    libs = TOOLS / "libs"
    if (libs / ".complete").exists():
        return libs
    for tool, package in (("java", "a Java 17 or newer"), ("mvn", "Maven")):
        if shutil.which(tool) is None:
            raise KafkaFailed(f"{tool} is not there: install {package}")
    shutil.rmtree(libs, ignore_errors=True)
    print("fetching Apache Kafka 4.3.1 ...", file=sys.stderr)
    pom = Path(__file__).parent / "pom.xml"
    command = [
        "mvn",
        "-q",
        "-B",
        "-f",
        str(pom),
        "dependency:copy-dependencies",
        f"-DoutputDirectory={libs}",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise KafkaFailed(
            f"Maven could not fetch Kafka:\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
        )
    (libs / ".complete").touch()
    return libs


class Broker:
    """One Kafka node with its data in `folder`.

    `secured` gives it listeners besides, which want TLS, passwords or both.
    """

    def __init__(self, folder: Path, secured: Secured | None = None) -> None:
        self.folder = folder
        self.secured = secured
        self.port, self.controller = free_ports(2)
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap(self) -> str:
        """Its address, as TOCSIN_BROKER wants it behind kafka://."""
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        """Format the storage if it is new, start, and return when it answers."""
        classpath = f"{fetch()}/*"
        self.folder.mkdir(parents=True, exist_ok=True)
        properties = self.folder / "server.properties"
        if not properties.exists():
            text = _PROPERTIES.format(
                port=self.port, controller=self.controller, data=self.folder / "data"
            )
            properties.write_text(text if self.secured is None else self.secured.properties(text))
            cluster = str(uuid.uuid4())
            tool = [
                "java",
                "-cp",
                classpath,
                "kafka.tools.StorageTool",
                "format",
                "-t",
                cluster,
                "-c",
                str(properties),
            ]
            tool += [] if self.secured is None else self.secured.format_arguments()
            subprocess.run(tool, check=True, capture_output=True)
        command = ["java", "-Xmx1g", "-cp", classpath, "kafka.Kafka", str(properties)]
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        self._wait()

    def _wait(self) -> None:
        until = time.monotonic() + START_SECONDS
        ports = [self.port, *(self.secured.ports.values() if self.secured else ())]
        while time.monotonic() < until:
            assert self.process is not None
            if self.process.poll() is not None:
                tail = (self.folder / "server.log").read_text(errors="replace")[-2000:]
                raise KafkaFailed(f"Kafka ended with status {self.process.returncode}:\n{tail}")
            if all(_listens(port) for port in ports):
                return
            time.sleep(0.1)
        raise KafkaFailed(
            f"Kafka did not listen within {START_SECONDS} s; see {self.folder / 'server.log'}"
        )

    def kill(self) -> None:
        """End it as a crash would."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """End it."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.kill()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def main() -> int:
    """`start` or `stop` the developer's Kafka."""
    running = json.loads(STATE.read_text()) if STATE.exists() else {}
    alive = bool(running) and Path(f"/proc/{running['process']}").exists()
    if sys.argv[1:] == ["stop"]:
        if alive:
            os.kill(running["process"], signal.SIGTERM)
            print("Kafka is stopping")
        STATE.unlink(missing_ok=True)
        return 0
    if not alive:
        folder = TOOLS / "data"
        shutil.rmtree(folder, ignore_errors=True)
        broker = Broker(folder)
        try:
            broker.start()
        except KafkaFailed as error:
            print(error, file=sys.stderr)
            return 1
        assert broker.process is not None
        running = {"process": broker.process.pid, "bootstrap": broker.bootstrap}
        STATE.write_text(json.dumps(running))
    print(f"Kafka runs; export TOCSIN_BROKER=kafka://{running['bootstrap']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
