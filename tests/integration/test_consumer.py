"""The example of a consumer reads a real Kafka."""

from tests.integration.servers import with_log
from tests.support.consumer import FIRST, consumed, write_messages


def test_the_example_prints_each_message_once(broker: str) -> None:
    """The same as from an embedded journal."""
    messages = with_log(broker, write_messages)

    printed = consumed(broker.removeprefix("kafka://"))

    assert FIRST in printed
    assert printed.count("[P0] PodRestarts") == messages
