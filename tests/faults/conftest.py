"""The battery's options, its brokers, and its table: `make faults` (docs/RELIABILITY.md)."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.kafka.broker import Broker
from tests.faults.table import Row, Table

TABLE = pytest.StashKey[Table]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--short` is what CI runs."""
    parser.addoption("--short", action="store_true", help="each fault once or twice: what CI runs")
    parser.addoption("--seed", type=int, default=1, help="of what is left to chance")
    parser.addoption(
        "--record", action="store_true", help="write the figures into docs/RELIABILITY.md"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Begin a table."""
    config.stash[TABLE] = Table()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The short form leaves out what takes minutes."""
    if config.getoption("--short"):
        left_out = [item for item in items if item.get_closest_marker("long")]
        items[:] = [item for item in items if item not in left_out]
        config.hook.pytest_deselected(items=left_out)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Say what is done, as it is done: the battery takes long."""
    if report.when == "call" or report.failed:
        print(f"{report.outcome} in {report.duration:.0f} s: {report.nodeid}", flush=True)


def pytest_unconfigure(config: pytest.Config) -> None:
    """The table, and the last line."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if config.stash.get(TABLE, None) is None or reporter is None or config.option.collectonly:
        return
    passed = len(reporter.stats.get("passed", []))
    failed = len(reporter.stats.get("failed", [])) + len(reporter.stats.get("error", []))
    table = config.stash[TABLE]
    if config.getoption("--record"):
        table.record()
    print(f"\n{table.text()}\n{passed} passed, {failed} failed")


@pytest.fixture
def short(request: pytest.FixtureRequest) -> bool:
    """Whether this is the short form."""
    return bool(request.config.getoption("--short"))


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """What chance begins with."""
    return int(request.config.getoption("--seed"))


@pytest.fixture
def told(request: pytest.FixtureRequest) -> Row:
    """The row of this test, to be filled in; it counts when the test passes."""
    row = Row(request.node.name.removeprefix("test_").replace("_", " "), request.node.name)
    request.config.stash[TABLE].rows.append(row)
    return row


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A real Kafka that the tests share; who hurts it has one of its own."""
    kafka = Broker(tmp_path_factory.mktemp("kafka"))
    kafka.start()
    yield kafka
    kafka.stop()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the processes' complaints are kept."""
    return tmp_path
