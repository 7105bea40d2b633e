"""The notifier as a part of a process: started, watched and stopped."""

import asyncio
import logging
import random
import socket
from collections.abc import Coroutine
from typing import Any

from app.files.yaml_file import BadFile
from app.notifier.channels.registry import REGISTRY
from app.notifier.listeners.assembly import listeners_of
from app.notifier.listeners.listener import keep_listening
from app.notifier.listeners.sent_messages import SentMessages
from app.notifier.replies.act_outcome import ActHandler
from app.notifier.replies.link_key import one_tap_of
from app.notifier.runtime.deliverer import Deliverer
from app.notifier.runtime.embedded_feed import follow_embedded
from app.notifier.runtime.kafka_feed import KafkaFeed
from app.notifier.runtime.receiver_alerts import ReceiverAlerts
from app.notifier.setup.assembly import Assembly, assemble
from app.notifier.setup.receivers_file import Receivers
from app.notifier.setup.receivers_file import read as read_receivers
from app.notifier.setup.terminal_printer import print_messages
from app.settings import Settings
from app.transport.log import FollowedLog
from app.transport.security import client_settings
from app.transport.sqlite import SqliteLog
from app.worker.worker import crash_process
from models.topics import Topics

logger = logging.getLogger("tocsin.notifier")


class Notifier:
    """Delivers what the receivers file says; without one it prints each message in the terminal.

    Raises BadSettings when the key of links cannot be read.
    """

    def __init__(
        self, config: Settings, log: FollowedLog, receivers: Receivers | None, handler: ActHandler
    ) -> None:
        """`handler` carries out what comes back."""
        self._config = config
        self._log = log
        self._handler = handler
        self._receivers = receivers
        self._one_tap = one_tap_of(config.link_key_file)
        self._topics = Topics(config.prefix)
        self._assembly: Assembly | None = None
        self._deliverer: Deliverer | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._listening: list[asyncio.Task[None]] = []
        self._reloading = asyncio.Lock()

    async def start(self) -> None:
        """Begin, once the topics are there."""
        if self._receivers is None:
            self._spawn(
                print_messages(self._log, self._topics.notifications, self._config.partitions)
            )
            return
        self._begin(self._receivers, assemble(self._receivers, REGISTRY, self._one_tap))

    async def reload(self) -> bool:
        """Read the receivers file again and deliver by it: whether there is one.

        What is being sent gets a little time, and what was not sent is sent by the new file. Raises
        BadFile; then the receivers of before stay in force.
        """
        if self._receivers is None or self._assembly is None:
            return False
        async with self._reloading:
            try:
                receivers = await asyncio.to_thread(receivers_of, self._config)
                assert receivers is not None
                assembly = assemble(receivers, REGISTRY, self._one_tap)
            except BadFile as error:
                problems = "; ".join(error.problems)
                logger.error(  # noqa: TRY400  its text says it all
                    "the receivers are NOT renewed, those of before stay in force: %s", problems
                )
                raise
            await self.stop()
            self._tasks, self._listening = [], []
            self._receivers = receivers
            self._begin(receivers, assembly)
            logger.info("the receivers are renewed")
        return True

    def _begin(self, receivers: Receivers, assembly: Assembly) -> None:
        self._assembly, reach = assembly, assembly.reach
        # Its randomness spreads tries over time, and decides nothing else.
        alerts = ReceiverAlerts(reach.rules.kinds, socket.gethostname())
        self._deliverer = Deliverer(
            self._log, self._topics, self._config.partitions, reach, random.random, alerts
        )
        self._spawn(self._deliverer.run())
        self._spawn(self._feed(self._deliverer))
        self._listen(receivers, assembly, self._deliverer)
        logger.info("delivers through %s", ", ".join(reach.channels))
        if self._one_tap is not None and not receivers.part.public_url:
            logger.warning(
                "TOCSIN_LINK_KEY is set, but %s has no public_url: messages have no links",
                receivers.path,
            )

    async def stop(self) -> None:
        """Wait a little for what is being sent, and write what is known."""
        for task in self._listening:
            await _end(task)
        for task in self._tasks[-1:]:
            await _end(task)  # the feed: nothing more comes in
        if self._deliverer is not None:
            await self._deliverer.stop()
        for task in self._tasks[:-1]:
            await _end(task)
        if self._assembly is not None:
            await self._assembly.close()

    def _listen(self, receivers: Receivers, assembly: Assembly, deliverer: Deliverer) -> None:
        """Begin to listen to what comes back. What goes wrong there holds up no delivery."""
        partitions = self._config.partitions
        messages = SentMessages(self._log, self._topics.deliveries, partitions, deliverer)
        for listener in listeners_of(
            receivers.receivers, assembly.http, assembly.polling, self._handler, messages
        ):
            task = asyncio.create_task(keep_listening(listener, random.random))
            self._listening.append(task)

    async def _feed(self, deliverer: Deliverer) -> None:
        if isinstance(self._log, SqliteLog):
            await follow_embedded(self._log, self._topics, self._config.partitions, deliverer)
        else:
            security = client_settings(self._config.kafka)
            await KafkaFeed(self._config.bootstrap, security, self._topics, deliverer).follow()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        task.add_done_callback(_ended)
        self._tasks.append(task)


def receivers_of(config: Settings) -> Receivers | None:
    """The receivers file that the settings name, if they name one. Raises BadFile."""
    return read_receivers(config.receivers_file, REGISTRY) if config.receivers_file else None


def _ended(task: "asyncio.Task[None]") -> None:
    """A fault ends the process: a notifier that delivers nothing must not look alive."""
    if not task.cancelled():
        crash_process(
            "the notifier has ended", task.exception() or RuntimeError("it does not say why")
        )


async def _end(task: "asyncio.Task[None]") -> None:
    task.cancel()
    await asyncio.wait({task})
