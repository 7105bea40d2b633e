"""A login that a proxy has asked for: the header in which it says who looks at a page."""

import ipaddress
import re
from collections.abc import Iterable

from aiohttp import web

from models.text.sanitize import inert

USER_CHARACTERS_MAX = 100

_FORWARDED = re.compile(r"[^\x00-\x1f\x7f,;]+")


class TrustedProxies:
    """Whose word counts. `networks` are such as 10.0.0.0/8; without `header` nobody's does."""

    def __init__(self, header: str, networks: Iterable[str]) -> None:
        self._header = header
        self._networks = [ipaddress.ip_network(text) for text in networks]

    def user_of(self, request: web.Request) -> str:
        """Who looks at a page, as the proxy says; empty when no trusted proxy says it.

        A header that is there twice says nothing: the other one may be the browser's.
        """
        values = request.headers.getall(self._header, []) if self._header else []
        if len(values) != 1 or not self._is_trusted(request.remote):
            return ""
        name = values[0].strip()
        return inert(name)[:USER_CHARACTERS_MAX] if _FORWARDED.fullmatch(name) else ""

    def _is_trusted(self, peer: str | None) -> bool:
        try:
            address = ipaddress.ip_address(peer or "")
        except ValueError:
            return False
        mapped = getattr(address, "ipv4_mapped", None)
        return any((mapped or address) in network for network in self._networks)
