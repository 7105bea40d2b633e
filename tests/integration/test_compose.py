"""The compose file's Kafka, as the image sets it up: the image runs this class of Kafka's own jar at each start."""

import os
import subprocess
from pathlib import Path

import yaml

from deploy.kafka.broker import fetch
from tests.support.engines import ROOT

SETUP = "kafka.docker.KafkaDockerWrapper"
CLUSTER = "5L6g3nShT-eMCtK--X86sw"  # the image's own, where compose names none
DEFAULTS = {
    "server.properties": "log.dirs=/tmp/kraft-combined-logs\n",
    "log4j2.yaml": "Configuration: {Loggers: {Root: {level: INFO}}}\n",
    "tools-log4j2.yaml": "Configuration: {Loggers: {Root: {level: INFO}}}\n",
}


def test_kafka_formats_the_folder_that_compose_names(tmp_path: Path) -> None:
    """Kafka's storage is where KAFKA_LOG_DIRS says, and every other setting is one that it accepts."""
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    settings = compose["services"]["kafka"]["environment"]
    data = tmp_path / "data"
    folders = {name: tmp_path / name for name in ("default", "mounted", "final")}
    for folder in folders.values():
        folder.mkdir()
    for name, text in DEFAULTS.items():
        (folders["default"] / name).write_text(text)
    arguments = [part for name, path in folders.items() for part in (f"--{name}-configs-dir", path)]
    environment = {"PATH": os.environ["PATH"], "CLUSTER_ID": CLUSTER}
    environment |= settings | {"KAFKA_LOG_DIRS": str(data)}

    subprocess.run(
        ["java", "-cp", f"{fetch()}/*", SETUP, "setup", *arguments],
        env=environment,
        check=True,
        capture_output=True,
    )

    assert f"log.dirs={data}" in (folders["final"] / "server.properties").read_text().splitlines()
    assert (data / "meta.properties").exists()
