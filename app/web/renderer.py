"""Makes answers of templates, with what every page shows."""

from dataclasses import dataclass
from typing import Any

from aiohttp import web

from app.bridge.access.authorization import asker_of
from app.bridge.access.tokens import Permission
from app.bridge.parts import BridgeParts
from app.web.assets import Assets
from app.web.liveness import LivenessView
from app.web.security import (
    FORM_COOKIE,
    HEADERS,
    TOKEN_FIELD,
    chosen_name,
    form_secret,
    form_token,
    set_cookie,
)
from app.web.templating import environment

FORM_COOKIE_SECONDS = 30 * 86_400


@dataclass(frozen=True, slots=True)
class Caller:
    """Who looks at a page. `name` signs what they do; empty: they have to say it."""

    name: str
    login: str  # the name of the token or certificate; empty where nobody is asked for one
    acts: bool  # whether they may do more than read


def caller_of(request: web.Request) -> Caller:
    """Who asks for a page."""
    asker = asker_of(request)
    return Caller(chosen_name(request) or asker.name, asker.name, Permission.OPERATE in asker.may)


class Renderer:
    """Renders pages of one bridge."""

    def __init__(self, parts: BridgeParts, assets: Assets) -> None:
        self._parts, self._assets = parts, assets
        self._environment = environment(parts.settings.http.route_prefix)
        self.liveness = LivenessView(parts)

    async def page(
        self, request: web.Request, template: str, status: int = 200, **values: Any
    ) -> web.Response:
        """A page. Templates get `values`, and what `base.html` needs."""
        live = await self.liveness.now()
        shared = {"live": live, "now_ms": live.now_ms, "caller": caller_of(request)}
        return self.bare(request, template, status, **shared, **values)

    def bare(self, request: web.Request, template: str, status: int, **values: Any) -> web.Response:
        """A page for somebody who may not be let in yet."""
        secret, known = form_secret(request)
        shared = {
            "asset": self._assets.address,
            "path": request.path,
            "with_login": self._parts.tokens() is not None,
            "token_field": TOKEN_FIELD,
            "token_value": form_token(secret),
        }
        text = self._environment.get_template(template).render({**shared, **values})
        response = web.Response(text=text, status=status, content_type="text/html")
        if not known:
            set_cookie(request, response, FORM_COOKIE, secret, FORM_COOKIE_SECONDS)
        return guarded(response)


def guarded(response: web.Response) -> web.Response:
    """The answer, with what browsers may do with it. Nobody keeps a copy."""
    response.headers.update(HEADERS)
    response.headers["Cache-Control"] = "no-store"
    return response
