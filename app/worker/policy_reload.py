"""The policy file is the source of truth: it is read again when it changes, on SIGHUP, and when somebody asks.

A policy that is valid is handed on to whoever decides by it. One that is not is refused with
everything that is wrong with it, and the one of before stays in force.
"""

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from app import metrics
from app.core.rules.compiled_policy import CompiledPolicy
from app.files import policy_file
from app.files.file_watcher import SECONDS, content_of
from app.files.policy_file import BadPolicy
from app.files.yaml_file import BadFile
from app.transport.log import LogUnavailable

Use = Callable[[CompiledPolicy], Awaitable[None]]
Reload = Callable[[], Awaitable[bool]]

logger = logging.getLogger("tocsin.policy")


class PolicyReloader:
    """Keeps `policy` as the file says."""

    def __init__(self, file: str) -> None:
        """Read the file; an empty name is the policy that ships with Tocsin. Raises BadPolicy."""
        self._path = Path(file) if file else policy_file.default_path()
        self._seen = self._last = content_of(str(self._path))
        self.policy = policy_file.load_policy(self._path)
        self._users: list[Use] = []
        self._others: dict[str, Reload] = {}
        self._reading = asyncio.Lock()
        metrics.POLICY_INFO.labels(self.policy.fingerprint).set(1)

    def hand_to(self, use: Use) -> None:
        """From now on, tell this one of each new policy. It may raise LogUnavailable."""
        self._users.append(use)

    def reload_also(self, name: str, reload: Reload) -> None:
        """Have another file read again whenever somebody asks, such as the receivers."""
        self._others[name] = reload

    async def reload_others(self) -> dict[str, bool]:
        """Read the other files again: whether each is in use. Raises BadFile."""
        return {name: await reload() for name, reload in self._others.items()}

    async def reload(self) -> bool:
        """Read the file, and hand on what is new: whether something is.

        Raises BadPolicy, and LogUnavailable when it is in force but not yet in every journal.
        """
        async with self._reading:
            self._seen = await asyncio.to_thread(content_of, str(self._path))
            before = self.policy
            try:
                policy = await asyncio.to_thread(policy_file.load_policy, self._path)
            except BadPolicy as error:
                metrics.POLICY_RELOADS.labels("refused").inc()
                problems = "; ".join(error.problems)
                logger.error(  # noqa: TRY400  its text says it all
                    "the policy is NOT renewed, %s stays in force: %s", before.fingerprint, problems
                )
                raise
            if policy.fingerprint == before.fingerprint:
                metrics.POLICY_RELOADS.labels("same").inc()
                logger.info("the policy is the same, %s", before.fingerprint)
                return False
            await self._replace_policy(before, policy)
            return True

    async def _replace_policy(self, before: CompiledPolicy, policy: CompiledPolicy) -> None:
        self.policy = policy
        unavailable: LogUnavailable | None = None
        for use in self._users:
            try:
                await use(policy)
            except LogUnavailable as error:
                unavailable = error
        metrics.POLICY_INFO.remove(before.fingerprint)
        metrics.POLICY_INFO.labels(policy.fingerprint).set(1)
        metrics.POLICY_RELOADS.labels("changed").inc()
        logger.info("the policy is renewed, from %s to %s", before.fingerprint, policy.fingerprint)
        if unavailable is not None:
            logger.warning("the policy is not in every journal yet: %s", unavailable)
            raise unavailable

    async def reload_quietly(self) -> None:
        """The same for where nobody waits for an answer; the log has it."""
        try:
            await self.reload()
        except (BadPolicy, LogUnavailable):
            return
        except (
            Exception
        ):  # the outermost loop: a fault of ours must not end the watching without a word
            logger.exception(
                "a fault while the policy was read again, which may not be in force everywhere"
            )

    async def _reload_all_quietly(self) -> None:
        await self.reload_quietly()
        try:
            await self.reload_others()
        except BadFile:
            return  # the log has it
        except Exception:  # the outermost loop, as above
            logger.exception("a fault while files were read again")

    @asynccontextmanager
    async def kept_fresh(self) -> AsyncIterator[None]:
        """Reload on SIGHUP, and whenever the file has changed."""
        asked: set[asyncio.Task[None]] = set()

        def on_hangup() -> None:
            task = asyncio.create_task(self._reload_all_quietly())
            asked.add(task)
            task.add_done_callback(asked.discard)

        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGHUP, on_hangup)
        watching = asyncio.create_task(self.watch())
        try:
            yield
        finally:
            loop.remove_signal_handler(signal.SIGHUP)
            for task in (watching, *asked):
                task.cancel()

    async def watch(self) -> None:
        """Reload whenever the file has changed, until cancelled."""
        while True:
            await asyncio.sleep(SECONDS)
            await self.reload_if_changed()

    async def reload_if_changed(self) -> None:
        """Reload if the file has changed, and not since the last look.

        One that is being written may look whole.
        """
        content = await asyncio.to_thread(content_of, str(self._path))
        still, self._last = content == self._last, content
        if still and content != self._seen:
            await self.reload_quietly()
