"""The servers that the integration tests share, and where the real data are."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from deploy.kafka.broker import Broker
from deploy.kafka.secured import USER, Secured

SHARED = Path(__file__).parent.parent.parent.parent / "shared" / "data"


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """TOCSIN_BROKER of a real Kafka, started for this run."""
    kafka = Broker(tmp_path_factory.mktemp("kafka"))
    kafka.start()
    yield f"kafka://{kafka.bootstrap}"
    kafka.stop()


@dataclass
class Kafka:
    """A secured broker, and the settings with which it lets us in."""

    broker: Broker
    secured: Secured

    def settings(self, protocol: str, **more: object) -> dict[str, str]:
        """TOCSIN_* for a listener; `more` is instead of what it wants, where None is nothing."""
        wanted: dict[str, object] = {"SECURITY": protocol}
        if protocol != "SASL_PLAINTEXT":
            wanted["CA_FILE"] = self.secured.ca_file
        if protocol == "SSL":
            wanted["CERT_FILE"], wanted["KEY_FILE"] = self.secured.client_certificate
        else:
            wanted |= {"USER": USER, "PASSWORD_FILE": self.secured.password_file}
        if protocol == "SASL_PLAINTEXT":
            wanted["UNENCRYPTED"] = "yes"
        kafka = {
            f"TOCSIN_KAFKA_{name}": str(value)
            for name, value in (wanted | more).items()
            if value is not None
        }
        return {"TOCSIN_BROKER": f"kafka://{self.secured.bootstrap(protocol)}"} | kafka


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    """A real Kafka with listeners for all protocols."""
    folder = tmp_path_factory.mktemp("secured")
    secured = Secured(folder / "security")
    broker = Broker(folder / "kafka", secured)
    broker.start()
    yield Kafka(broker, secured)
    broker.stop()


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real alerts and rules; in CI it has to be there."""
    if not SHARED.exists():
        assert "CI" not in os.environ, f"{SHARED} is missing"
        pytest.skip(f"{SHARED} is missing: the real alerts and rules are not part of the project")
    return SHARED
