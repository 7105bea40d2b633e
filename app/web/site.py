"""The pages of a bridge: their addresses, what each takes, and how a refusal looks in a browser."""

from collections.abc import Sequence
from typing import cast
from urllib.parse import quote

import orjson
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from app.bridge.access.authorization import Needs
from app.bridge.access.tokens import Permission
from app.bridge.parts import BridgeParts
from app.web.acts import ActPages
from app.web.assets import Assets
from app.web.incident_page import IncidentPages
from app.web.list_pages import ListPages
from app.web.login import LoginPages
from app.web.look_back import LookBackPages
from app.web.renderer import Renderer, guarded
from app.web.silence_pages import SilencePages
from app.web.streams import Streams
from app.web.what_if import WhatIfPages

INCIDENT = "/incidents/{incident}"
ACT = f"{INCIDENT}/act/{{command}}"
STATIC = "/static/{version}/{name}"

NEEDS: Needs = {
    ("GET", "/"): Permission.READ,
    ("GET", "/history"): Permission.READ,
    ("GET", "/look-back"): Permission.READ,
    ("GET", "/what-if"): Permission.OPERATE,
    ("POST", "/what-if"): Permission.OPERATE,
    ("GET", "/silences"): Permission.READ,
    ("GET", "/silences/new"): Permission.READ,
    ("POST", "/silences"): Permission.OPERATE,
    ("POST", "/silences/{silence}/expire"): Permission.OPERATE,
    ("GET", INCIDENT): Permission.READ,
    ("GET", f"{INCIDENT}/report"): Permission.READ,
    ("GET", f"{INCIDENT}/report.md"): Permission.READ,
    ("GET", f"{INCIDENT}/explain"): Permission.READ,
    ("GET", ACT): Permission.READ,
    ("POST", ACT): Permission.OPERATE,
    ("GET", "/events"): Permission.READ,
    ("POST", "/name"): Permission.READ,
    ("POST", "/logout"): None,  # whoever is logged in no more may say so too
    ("GET", "/login"): None,
    ("POST", "/login"): None,
    ("GET", STATIC): None,
}

_TITLES = {
    400: "The request is not valid",
    403: "Not allowed",
    404: "Not found",
    409: "Not possible",
    429: "Too many requests",
    503: "Not available now",
}


class Site:
    """Serves the pages of one bridge (`app.bridge.parts.Pages`)."""

    def __init__(self, parts: BridgeParts) -> None:
        self._base = parts.settings.http.route_prefix
        self._assets = Assets(self._base)
        self._renderer = Renderer(parts, self._assets)
        self._lists = ListPages(parts, self._renderer)
        self._incidents = IncidentPages(parts, self._renderer, self._lists)
        self._acts = ActPages(parts, self._incidents)
        self._silences = SilencePages(parts, self._renderer, self._incidents)
        self._look_back = LookBackPages(parts, self._renderer)
        self._what_if = WhatIfPages(parts, self._renderer)
        self._login = LoginPages(parts, self._renderer)
        self.streams = Streams(parts)

    @property
    def needs(self) -> Needs:
        """What each page takes."""
        return NEEDS

    def routes(self) -> Sequence[web.RouteDef]:
        """What there is."""
        return [
            web.get("/", self._lists.get_now),
            web.get("/history", self._lists.get_history),
            web.get("/look-back", self._look_back.get),
            web.get("/what-if", self._what_if.get),
            web.post("/what-if", self._what_if.post),
            web.get("/silences", self._silences.get),
            web.get("/silences/new", self._silences.get_new),
            web.post("/silences", self._silences.post),
            web.post("/silences/{silence}/expire", self._silences.post_expire),
            web.get(INCIDENT, self._incidents.get),
            web.get(f"{INCIDENT}/report", self._incidents.get_report),
            web.get(f"{INCIDENT}/report.md", self._incidents.get_markdown),
            web.get(f"{INCIDENT}/explain", self._incidents.get_explanation),
            web.get(ACT, self._incidents.get_act),
            web.post(ACT, self._acts.post),
            web.get("/events", self.streams.get),
            web.post("/name", self._login.post_name),
            web.get("/login", self._login.get),
            web.post("/login", self._login.post),
            web.post("/logout", self._login.post_logout),
            web.get(STATIC, self._assets.get),
        ]

    def middlewares(self) -> Sequence[Middleware]:
        """Refusals become pages where a page was asked for. All stays below the prefix of a proxy."""

        @web.middleware
        async def below_prefix(request: web.Request, handler: Handler) -> web.StreamResponse:
            response = await handler(request)
            for cookie in response.cookies.values():
                cookie["path"] = self._base
            location = response.headers.get("Location", "")
            if location.startswith("/"):
                response.headers["Location"] = self._base + location
            return response

        @web.middleware
        async def as_page(request: web.Request, handler: Handler) -> web.StreamResponse:
            response = await handler(request)
            if response.status < 400 or not _is_json(response) or not _wants_page(request):
                return response
            return self._refusal_page(request, cast(web.Response, response))

        return [below_prefix, as_page] if self._base else [as_page]

    async def stop(self) -> None:
        """End the streams, which would last for an hour."""
        await self.streams.stop()

    def _refusal_page(self, request: web.Request, response: web.Response) -> web.Response:
        if response.status == 401:
            then = quote(request.path_qs if request.method == "GET" else "/", safe="")
            return guarded(web.Response(status=303, headers={"Location": f"/login?next={then}"}))
        assert isinstance(response.body, bytes)
        error = orjson.loads(response.body).get("error", "")
        title = _TITLES.get(response.status, "Something went wrong")
        page = self._renderer.bare(request, "error.html", response.status, title=title, error=error)
        if retry := response.headers.get("Retry-After"):
            page.headers["Retry-After"] = retry
        return page


def _is_json(response: web.StreamResponse) -> bool:
    return response.content_type == "application/json"


def _wants_page(request: web.Request) -> bool:
    """Whether a browser shows the answer: a page was asked for, or nothing that there is."""
    resource = request.match_info.route.resource
    if resource is None:
        return "text/html" in request.headers.get("Accept", "")
    key = (request.method.replace("HEAD", "GET"), resource.canonical)
    return key in NEEDS and resource.canonical not in ("/events", STATIC)
