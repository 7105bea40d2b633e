"""Start and stop a real Apache Kafka on loopback: one combined KRaft node, for a developer (`make kafka`) and the tests.

The jars come from Maven Central, once, into .tools/kafka; Java 17 or newer and Maven have to be
there.
"""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from deploy.kafka.secured import Secured, free_ports

ROOT = Path(__file__).parent.parent.parent
TOOLS = ROOT / ".tools" / "kafka"
DEVELOPER = TOOLS / "data"  # what `make kafka` keeps
STATE = TOOLS / "running.json"
START_SECONDS = 60
STOP_SECONDS = 60
USAGE = "usage: python -m deploy.kafka.broker start|stop|clean"

_PORTS = re.compile(r"^listeners=PLAINTEXT://[^:]+:(\d+),CONTROLLER://[^:]+:(\d+)", re.MULTILINE)

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

    Where the folder has a node already, its ports and its data are used again. `secured` gives it
    listeners besides, which want TLS, passwords or both.
    """

    def __init__(self, folder: Path, secured: Secured | None = None) -> None:
        self.folder = folder
        self.secured = secured
        self.port, self.controller = kept_ports(folder) or free_ports(2)
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap(self) -> str:
        """Its address, as TOCSIN_BROKER wants it behind kafka://."""
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        """Format the storage if it is new, start, and return when it answers.

        Raises KafkaFailed.
        """
        classpath = f"{fetch()}/*"
        self._check_ports()
        self.folder.mkdir(parents=True, exist_ok=True)
        properties = self.folder / "server.properties"
        if not (self.folder / "data" / "meta.properties").exists():
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

    def _check_ports(self) -> None:
        for port in (self.port, self.controller):
            if _listens(port):
                raise KafkaFailed(
                    f"port {port} of 127.0.0.1 is taken, and Kafka's data in {self.folder} belongs to it: "
                    "stop what uses the port; `make kafka-clean` deletes the data, and the next start takes another"
                )

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


def kept_ports(folder: Path) -> list[int]:
    """The ports of the broker and of the controller that a folder's node has; empty for a new node."""
    try:
        found = _PORTS.search((folder / "server.properties").read_text())
    except FileNotFoundError:
        return []
    return [int(port) for port in found.groups()] if found else []


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@dataclass(frozen=True, slots=True)
class DeveloperKafka:
    """The Kafka that `make kafka` starts: it outlives the command, and its data outlives it.

    `state` notes the process and the address while it runs (bench/ reads it).
    """

    folder: Path = DEVELOPER
    state: Path = STATE

    def start(self) -> str:
        """Start it unless it runs; its address as host:port. Raises KafkaFailed."""
        if self.process_id() is None:
            broker = Broker(self.folder)
            broker.start()
            assert broker.process is not None
            running = {"process": broker.process.pid, "bootstrap": broker.bootstrap}
            self.state.write_text(json.dumps(running))
        bootstrap: str = json.loads(self.state.read_text())["bootstrap"]
        return bootstrap

    def stop(self) -> bool:
        """End it, and wait until it has ended; False when it did not run. Raises KafkaFailed."""
        process_id = self.process_id()
        if process_id is not None:
            os.kill(process_id, signal.SIGTERM)
            until = time.monotonic() + STOP_SECONDS
            while self.process_id() is not None:
                if time.monotonic() > until:
                    raise KafkaFailed(
                        f"Kafka (process {process_id}) did not stop within {STOP_SECONDS} s"
                    )
                time.sleep(0.1)
        self.state.unlink(missing_ok=True)
        return process_id is not None

    def clean(self) -> None:
        """Stop it and delete its data; the next start takes a new port. Raises KafkaFailed."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def process_id(self) -> int | None:
        """Its process, if it runs.

        A number alone proves nothing: after a restart of the machine somebody else may have it.
        """
        if not self.state.exists():
            return None
        process_id: int = json.loads(self.state.read_text())["process"]
        try:
            command = Path(f"/proc/{process_id}/cmdline").read_bytes()
        except OSError:
            return None
        return process_id if str(self.folder / "server.properties").encode() in command else None


def main(arguments: Sequence[str], kafka: DeveloperKafka | None = None) -> int:
    """`start`, `stop` or `clean` the developer's Kafka; the exit status."""
    kafka = kafka or DeveloperKafka()
    try:
        match list(arguments):
            case ["start"]:
                print(f"Kafka runs; export TOCSIN_BROKER=kafka://{kafka.start()}")
                print(
                    "make kafka-stop ends it and keeps port and data; make kafka-clean deletes them"
                )
            case ["stop"]:
                print("Kafka has stopped" if kafka.stop() else "Kafka does not run")
            case ["clean"]:
                kafka.clean()
                print("Kafka's data is deleted")
            case _:
                print(USAGE, file=sys.stderr)
                return 2
    except KafkaFailed as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
