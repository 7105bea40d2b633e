"""The compose file, as far as it can be checked without an engine."""

import re
from pathlib import Path
from typing import Any

import yaml

from app.notifier.channels.registry import REGISTRY
from app.notifier.setup.receivers_file import missing_secrets, read
from app.settings import Settings

ROOT = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES = COMPOSE["services"]


def test_every_service_is_checked_for_health() -> None:
    """A service that is up but does not work is seen."""
    assert {name for name, service in SERVICES.items() if "healthcheck" not in service} == set()


def test_images_are_pinned() -> None:
    """No image moves under our feet."""
    assert {
        name
        for name, service in SERVICES.items()
        if not re.search(r":v?\d+\.\d+\.\d+$", service["image"])
    } == set()


def test_settings_exist() -> None:
    """Each TOCSIN_ variable is one that Tocsin reads."""
    known = set(re.findall(r"TOCSIN_[A-Z_]+", (ROOT / "app" / "settings.py").read_text()))

    used = {
        name
        for service in SERVICES.values()
        for name in service.get("environment", {})
        if name.startswith("TOCSIN_")
    }

    assert used <= known


def test_the_notifier_delivers() -> None:
    """It is Tocsin's own, with a receivers file that is good and reaches each channel of the policy."""
    service = SERVICES["notifier"]
    places = dict(volume.split(":")[1::-1] for volume in service["volumes"])
    file = ROOT / places[service["environment"]["TOCSIN_RECEIVERS"]]
    receivers = read(file, REGISTRY)

    assert (service["command"], service["image"]) == (["notifier"], SERVICES["bridge"]["image"])
    assert {part.channel for part in receivers.part.contacts} == {"pager", "chat", "email"}
    assert missing_secrets(receivers) == []


def test_mounted_files_are_there() -> None:
    """Each file that is mounted from the checkout is in it."""
    sources = [
        volume.split(":")[0]
        for service in SERVICES.values()
        for volume in service.get("volumes", ())
    ]

    assert {
        source for source in sources if source.startswith("./") and not (ROOT / source).exists()
    } == set()


def test_ports_are_open_to_this_machine_only() -> None:
    """Nothing here asks for a password, so nothing is published beyond loopback."""
    ports = [port for service in SERVICES.values() for port in service.get("ports", ())]

    assert [port for port in ports if not port.startswith("127.0.0.1:")] == []


def test_the_journal_outlives_its_container() -> None:
    """Kafka keeps its data on a named volume, which `down` and `up` leave alone."""
    kafka = SERVICES["kafka"]
    volumes = dict(volume.split(":")[:2] for volume in kafka["volumes"])
    folders = {folder: name for name, folder in volumes.items()}

    assert folders[kafka["environment"]["KAFKA_LOG_DIRS"]] in COMPOSE["volumes"]


def test_alerts_pass_through_alertmanager() -> None:
    """Prometheus sends to Alertmanager and to nobody else, and Alertmanager to the bridge's webhook."""
    prometheus = _mounted("prometheus", "/etc/prometheus/prometheus.yml")
    alertmanager = _mounted("alertmanager", "/etc/alertmanager/alertmanager.yml")
    receiver = alertmanager["route"]["receiver"]

    targets = [
        target
        for manager in prometheus["alerting"]["alertmanagers"]
        for config in manager["static_configs"]
        for target in config["targets"]
    ]
    webhooks = [
        webhook["url"]
        for known in alertmanager["receivers"]
        if known["name"] == receiver
        for webhook in known["webhook_configs"]
    ]

    assert targets == ["alertmanager:9093"]
    assert webhooks == [f"http://bridge:{Settings().port}/webhook/alertmanager"]


def _mounted(service: str, place: str) -> Any:
    """The document that a service finds at a place."""
    sources = {
        volume.split(":")[1]: volume.split(":")[0] for volume in SERVICES[service]["volumes"]
    }
    return yaml.safe_load((ROOT / sources[place]).read_text())
