"""An address of a topic names its brokers and itself."""

import pytest

from app.history.not_retained import NotRetained
from app.replay.events_topic import EventsTopic, is_topic, topic_of


@pytest.mark.parametrize(
    ("address", "servers"),
    [
        ("kafka://a/events", ("a:9092",)),
        ("kafka://a:1/events", ("a:1",)),
        ("kafka://a:1,b;c:3/events", ("a:1", "b:9092", "c:3")),
    ],
)
def test_an_address_names_brokers_and_topic(address: str, servers: tuple[str, ...]) -> None:
    """Kafka's port is 9092 where none is given."""
    assert is_topic(address)
    assert topic_of(address) == EventsTopic(servers, "events")


@pytest.mark.parametrize("address", ["kafka://a", "kafka://a/", "kafka:///x", "kafka://,/x", "kafka://a/b/c"])  # fmt: skip
def test_refused(address: str) -> None:
    """With what was found."""
    with pytest.raises(NotRetained) as refused:
        topic_of(address)

    assert address in str(refused.value)
