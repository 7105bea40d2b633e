"""Which `Host` a bridge without tokens may be asked by, where it is a browser that asks.

A page of any site can point a name of its own at 127.0.0.1 and then ask the bridge as if it were its
own server (DNS rebinding). The browser names the site in `Host`, and need not send an `Origin` with
it. An address cannot be pointed elsewhere, `localhost` neither. Programs may use any name: they go
where they are told to.
"""

import ipaddress
import re
from collections.abc import Collection, Mapping

from app.bridge.connections.responses import RequestDeclined

# Browsers send one of these at least, also with what a page asks of its own site.
_BROWSER_HEADERS = ("Origin", "Referer", "Cookie", "Accept-Language")
_HOST = re.compile(r"(?:\[(?P<ipv6>[0-9A-Fa-f:.]+)\]|(?P<name>[^\[\]:/\s]*))(?::[0-9]{1,5})?")


def check_host(headers: Mapping[str, str], allowed: Collection[str]) -> None:
    """Refuse what a page of a stranger may have asked. Raises RequestDeclined.

    `allowed` are names in small letters.
    """
    host = headers.get("Host", "").strip()
    parts = _HOST.fullmatch(host)
    if parts is None or (parts["ipv6"] and not _is_address(parts["ipv6"])):
        message = f"the Host is {host!r:.80}, must be a name or an address, and a port"
        raise RequestDeclined(403, "foreign_host", message)
    name = (parts["ipv6"] or parts["name"]).lower()
    if name == "localhost" or _is_address(name) or name in allowed or not is_browser(headers):
        return
    text = f"a browser asks by the name {name!r:.80}, must be an address, localhost, or a name in"
    raise RequestDeclined(
        403, "foreign_host", f"{text} TOCSIN_ALLOWED_HOSTS; with TOCSIN_TOKENS it may be any"
    )


def is_browser(headers: Mapping[str, str]) -> bool:
    """Whether a request may come from a browser."""
    return (
        any(name in headers for name in _BROWSER_HEADERS)
        or any(name.lower().startswith("sec-") for name in headers)
        or "text/html" in headers.get("Accept", "")
        or "Mozilla/" in headers.get("User-Agent", "")
    )


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
