"""The path that is asked for: without the prefix of a proxy, and without slashes behind it.

It is changed before the route is looked for, so that nobody is sent elsewhere: a redirect loses the
body of a POST with some clients.
"""

from collections.abc import Callable
from typing import Any

from aiohttp.http import RawRequestMessage

Factory = Callable[..., Any]


def with_plain_paths(factory: Factory, prefix: str) -> Factory:
    """aiohttp's maker of requests, which gets the plain path of each. The prefix may be empty."""

    def make(message: RawRequestMessage, *parts: Any) -> Any:
        raw = message.url.raw_path
        plain = plain_path(raw, prefix)
        if plain != raw:
            url = message.url.with_path(plain, encoded=True, keep_query=True)
            message = message._replace(url=url)
        return factory(message, *parts)

    return make


def plain_path(path: str, prefix: str) -> str:
    """The path without the prefix, which it need not have, and without slashes at its end."""
    inner = path.removeprefix(prefix)
    if inner and not inner.startswith("/"):
        inner = path  # /tocsinful does not begin with /tocsin
    return inner.rstrip("/") or "/"
