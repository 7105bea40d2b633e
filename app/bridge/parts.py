"""What a bridge lends to whoever serves pages beside its resources, and what it asks of them."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from aiohttp import web
from aiohttp.typedefs import Middleware

from app.bridge.access.authorization import Needs
from app.bridge.access.tokens import Tokens
from app.bridge.alertmanager.silence_routes import SilenceRoutes
from app.bridge.board.board import Board
from app.bridge.commands.answers import CommandAnswers
from app.bridge.health.problems import Problem
from app.core.rules.compiled_policy import CompiledPolicy
from app.settings import Settings
from app.transport.log import FollowedLog
from models.topics import Topics


@dataclass(frozen=True, slots=True)
class BridgeParts:
    """The parts of one bridge."""

    settings: Settings
    log: FollowedLog
    topics: Topics
    policy: Callable[[], CompiledPolicy]  # the one in force now
    board: Board
    answers: CommandAnswers
    silences: SilenceRoutes
    tokens: Callable[[], Tokens | None]  # None where nobody is asked for one
    health: Callable[[], Awaitable[tuple[Problem, ...]]]  # what is wrong now


class Routed(Protocol):
    """A part of a bridge with resources of its own."""

    def routes(self) -> list[web.RouteDef]:
        """What there is."""


class Pages(Protocol):
    """Resources for browsers."""

    @property
    def needs(self) -> Needs:
        """What each of them takes."""

    def routes(self) -> Sequence[web.RouteDef]:
        """What there is."""

    def middlewares(self) -> Sequence[Middleware]:
        """What sees the answers of the whole bridge last."""

    async def stop(self) -> None:
        """End what would keep the bridge from stopping."""
