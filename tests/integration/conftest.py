"""The servers that the integration tests share, and where the real data are."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.kafka.broker import Broker

SHARED = Path(__file__).parent.parent.parent.parent / "shared" / "data"


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """TOCSIN_BROKER of a real Kafka, started for this run."""
    kafka = Broker(tmp_path_factory.mktemp("kafka"))
    kafka.start()
    yield f"kafka://{kafka.bootstrap}"
    kafka.stop()


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real alerts and rules; in CI it has to be there."""
    if not SHARED.exists():
        assert "CI" not in os.environ, f"{SHARED} is missing"
        pytest.skip(f"{SHARED} is missing: the real alerts and rules are not part of the project")
    return SHARED
