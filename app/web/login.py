"""Logging in by a token, logging out, and saying one's name."""

import time

from aiohttp import web

from app.bridge.access.authorization import asker_of
from app.bridge.access.sessions import COOKIE, LASTS_SECONDS, new_session
from app.bridge.access.tokens import Permission
from app.bridge.connections.responses import logger
from app.bridge.parts import BridgeParts
from app.web.renderer import Renderer, guarded
from app.web.security import NAME_COOKIE, clean_name, give_name, local_path, read_form, set_cookie

TOKEN_CHARACTERS_MAX = 600


class LoginPages:
    """The form that takes a token, and what else is of the caller."""

    def __init__(self, parts: BridgeParts, renderer: Renderer) -> None:
        self._tokens, self._renderer = parts.tokens, renderer

    async def get(self, request: web.Request) -> web.Response:
        """The form."""
        return self._form(request, 200, "", local_path(request.query.get("next", "/")))

    async def post(self, request: web.Request) -> web.Response:
        """Take a token, and give a session for it."""
        asker = asker_of(request)
        asker.check()  # nobody can try for ever
        asker.sender.count_request()
        form = await read_form(request)
        then, tokens = local_path(form.get("next", "/")), self._tokens()
        if tokens is None:
            return _go_to("/")
        holder = tokens.find_holder(form.get("token", "").strip()[:TOKEN_CHARACTERS_MAX])
        if holder is None or Permission.READ not in holder.may:
            if asker.sender.is_to_be_told():
                logger.warning("a login was refused to %s", request.remote)
            message = (
                "The token is not one of TOCSIN_TOKENS."
                if holder is None
                else f"The token of {holder.name} may not read."
            )
            return self._form(request, 403, message, then)
        response = _go_to(then)
        session = new_session(holder, int(time.time()))
        set_cookie(request, response, COOKIE, session, LASTS_SECONDS)
        if name := clean_name(form.get("by", "")):
            give_name(request, response, name)
        return response

    async def post_logout(self, request: web.Request) -> web.Response:
        """Forget who it was."""
        await read_form(request)
        response = _go_to("/login" if self._tokens() is not None else "/")
        for name in (COOKIE, NAME_COOKIE):
            response.del_cookie(name, path="/", httponly=True, samesite="Strict")
        return response

    async def post_name(self, request: web.Request) -> web.Response:
        """Remember a name."""
        form = await read_form(request)
        response = _go_to(local_path(form.get("next", "/")))
        give_name(request, response, clean_name(form.get("by", "")))
        return response

    def _form(self, request: web.Request, status: int, problem: str, then: str) -> web.Response:
        return self._renderer.bare(request, "login.html", status, problem=problem, then=then)


def _go_to(path: str) -> web.Response:
    return guarded(web.Response(status=303, headers={"Location": path}))
