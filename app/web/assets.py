"""The style, the script and the icon. Their addresses change with them, so a browser may keep them for ever."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from app.bridge.connections.responses import RequestDeclined
from app.render.timeline_svg import STYLE as TIMELINE_STYLE
from app.web.security import HEADERS

FOLDER = Path(__file__).parent / "static"
TYPES = {"page.css": "text/css", "page.js": "text/javascript", "icon.svg": "image/svg+xml"}
FOR_EVER = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class _Asset:
    body: bytes
    content_type: str
    version: str


class Assets:
    """All of them, read once."""

    def __init__(self, base: str = "") -> None:
        """`base` is the path of a proxy, before each address."""
        self._base = base
        self._assets: dict[str, _Asset] = {}
        for name, content_type in TYPES.items():
            body = (FOLDER / name).read_bytes()
            if name == "page.css":
                body += TIMELINE_STYLE.encode()
            version = hashlib.sha256(body).hexdigest()[:12]
            self._assets[name] = _Asset(body, content_type, version)

    def address(self, name: str) -> str:
        """Where a page finds it."""
        return f"{self._base}/static/{self._assets[name].version}/{name}"

    async def get(self, request: web.Request) -> web.Response:
        """One of them."""
        asset = self._assets.get(request.match_info["name"])
        if asset is None:
            text = f"there is {', '.join(TYPES)}"
            raise RequestDeclined(404, "no_such_resource", text)
        response = web.Response(body=asset.body, content_type=asset.content_type, charset="utf-8")
        response.headers.update(HEADERS)
        current = request.match_info["version"] == asset.version
        response.headers["Cache-Control"] = FOR_EVER if current else "no-store"
        return response
