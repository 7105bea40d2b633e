"""What keeps a page from being misused: what a browser may do with it, and whose form it was.

Forms are protected twice. A browser says where a form comes from, and a form of another site is
refused. And each form has a token that is derived from a cookie which other sites can neither read
nor guess.
"""

import asyncio
import hashlib
import hmac
import re
import secrets
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from aiohttp import web

from app.bridge.access.request_bodies import FORM
from app.bridge.access.sessions import COOKIE
from app.bridge.connections.responses import RequestDeclined
from models.reason import BadInput, Reason
from models.text.sanitize import inert

FORM_COOKIE, NAME_COOKIE, TOKEN_FIELD = "tocsin_form", "tocsin_name", "form_token"
FORM_BYTES_MAX = 256 * 1024
FORM_FIELDS_MAX = 50
FORM_SECONDS = 30.0
NAME_CHARACTERS_MAX = 100

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self';"
        " connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # With no-referrer browsers would not say where a form comes from.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}

_FORM_COOKIE = re.compile(r"[A-Za-z0-9_-]{22,64}")

Form = dict[str, str]

_NAME = web.RequestKey("name", str)  # given with this request; its answer knows it already


def form_secret(request: web.Request) -> tuple[str, bool]:
    """What the form token of a browser is derived from, and whether the browser has it already."""
    session = request.cookies.get(COOKIE, "")
    kept = request.cookies.get(FORM_COOKIE, "")
    if session:
        return session, True
    if _FORM_COOKIE.fullmatch(kept):
        return kept, True
    return secrets.token_urlsafe(24), False


def form_token(secret: str) -> str:
    """The token that a form has to have."""
    return hmac.new(secret.encode(), b"tocsin form", hashlib.sha256).hexdigest()


def set_cookie(
    request: web.Request, response: web.StreamResponse, name: str, value: str, seconds: int
) -> None:
    """Give a cookie that scripts cannot read and other sites cannot send."""
    response.set_cookie(
        name,
        value,
        max_age=seconds,
        path="/",
        httponly=True,
        samesite="Strict",
        secure=request.secure,
    )


def chosen_name(request: web.Request) -> str:
    """The name by which the browser's user wants to be called; empty when there is none."""
    return request.get(_NAME) or clean_name(unquote(request.cookies.get(NAME_COOKIE, "")))


def take_name(request: web.Request, form: Form) -> str:
    """The name that a form gives; empty when it gives none. The answer to the form knows it."""
    name = clean_name(form.get("by", ""))
    if name:
        request[_NAME] = name
    return name


def clean_name(text: str) -> str:
    """A name on one line, of a bounded length."""
    return inert(text.strip())[:NAME_CHARACTERS_MAX].strip()


def give_name(request: web.Request, response: web.StreamResponse, name: str) -> None:
    """Remember the name by which the browser's user wants to be called, if there is one."""
    if not name:
        return
    set_cookie(request, response, NAME_COOKIE, quote(name, safe=""), 365 * 86_400)


async def read_form(request: web.Request) -> Form:
    """The fields of a form that one of our pages sent. Raises Declined and BadInput."""
    check_origin(request)
    if request.content_type != FORM:
        message = f"the Content-Type is {request.content_type!r:.80}, must be {FORM}"
        raise RequestDeclined(415, "unsupported_media_type", message)
    try:
        async with asyncio.timeout(FORM_SECONDS):
            body = await request.content.read(FORM_BYTES_MAX + 1)
            while len(body) <= FORM_BYTES_MAX and (more := await request.content.readany()):
                body += more
    except TimeoutError:
        raise RequestDeclined(408, "too_slow", "the form did not arrive in time") from None
    except (ConnectionError, web.RequestPayloadError):
        raise RequestDeclined(400, "disconnected", "the form did not arrive whole") from None
    if len(body) > FORM_BYTES_MAX:
        raise BadInput(Reason.TOO_LARGE, f"the form is larger than {FORM_BYTES_MAX} bytes")
    try:
        fields = parse_qsl(
            body.decode("utf-8", "replace"),
            keep_blank_values=True,
            max_num_fields=FORM_FIELDS_MAX,
        )
    except ValueError:
        raise BadInput(
            Reason.TOO_LARGE, f"the form has more than {FORM_FIELDS_MAX} fields"
        ) from None
    form = dict(fields)
    secret, known = form_secret(request)
    given = form.pop(TOKEN_FIELD, "")
    if not known or not hmac.compare_digest(given.encode(), form_token(secret).encode()):
        text = "this form is too old, or not one of this page: go back, load the page again, and repeat"
        raise RequestDeclined(403, "foreign_form", text)
    return form


def check_origin(request: web.Request) -> None:
    """Refuse what a page of another site sent. Raises Declined."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        foreign = site not in ("same-origin", "none")
    else:  # a browser that is old, or not on TLS; a proxy may have changed the host
        origin, host = request.headers.get("Origin"), request.headers.get("Host", "")
        foreign = origin is not None and urlsplit(origin).netloc.lower() != host.lower()
    if foreign:
        raise RequestDeclined(
            403, "foreign_form", "the form comes from another site, must be of this page"
        )


def local_path(text: str) -> str:
    """Where to go after a login: a path of this server, else the first page."""
    safe = re.fullmatch(r"/(?:[\w?&=.,;:@%+*~!$'()/-][\w?&=.,;:@%+*~!$'()/-]*)?", text, re.ASCII)
    return text if safe and not text.startswith("//") else "/"
