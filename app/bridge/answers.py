"""How the bridge reads a body and what it answers when something is wrong: always JSON, always with a reason."""

import asyncio
import logging
import zlib
from typing import Any

import orjson
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from app import metrics
from app.normalise import parse
from app.transport.log import LogUnavailable
from models.reason import BadInput, Reason

BODY_BYTES_MAX = 10 * 1024 * 1024  # also of what a compressed body unfolds to
BODY_SECONDS_MAX = 30.0  # a sender that dribbles must not hold a connection for ever
LINGER_SECONDS_MAX = 10.0  # for the rest of a body that was answered before its end, so that the answer is read
RETRY_SECONDS = 5

# A web page can send a form, plain text, or nothing named, to a bridge on the loopback without asking it first; it has
# to ask for these. aiohttp's client says octet-stream when it is given bytes.
CONTENT_TYPES = ("application/json", "application/octet-stream")
FORM = "application/x-www-form-urlencoded"  # what curl -d says of whatever it sends
ENCODINGS = ("identity", "gzip")

logger = logging.getLogger("tocsin.bridge")


class Declined(Exception):
    """A request that is answered with a status of its own rather than 400."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.message = message


async def read_json(request: web.Request, seconds_max: float, types: tuple[str, ...] = CONTENT_TYPES) -> Any:
    """The JSON of a request's body. Raises BadInput, or Declined when there is no body that could be parsed."""
    found = request.headers.get("Content-Type")
    if found is None or request.content_type not in types:
        text = f"the Content-Type is {found!r:.80}, must be application/json"
        raise Declined(415, "unsupported_media_type", text)
    encoding = request.headers.get("Content-Encoding", "identity")
    if encoding not in ENCODINGS:
        text = f"the Content-Encoding is {encoding!r:.80}, must be {' or '.join(ENCODINGS)}"
        raise Declined(415, "unsupported_encoding", text)
    try:
        async with asyncio.timeout(seconds_max):
            body = await request.read()
    except TimeoutError:
        text = f"the body did not arrive within {seconds_max:g} s; nothing of it was kept"
        raise Declined(408, "too_slow", text) from None
    except ConnectionError:
        raise Declined(400, "disconnected", "the sender went away before the end of the body") from None
    except web.HTTPRequestEntityTooLarge:
        raise _too_large() from None
    except web.RequestPayloadError as error:
        raise BadInput(Reason.MALFORMED, f"the body cannot be read: {error}") from None
    if len(body) > BODY_BYTES_MAX:  # aiohttp's own limit is one byte larger, so that the edge is ours
        raise _too_large()
    return parse(_unfold(body) if encoding == "gzip" else body)


def _unfold(body: bytes) -> bytes:
    """The body without its compression. aiohttp could do it, but logs a sender's fault as an error of its own."""
    unfolding = zlib.decompressobj(wbits=31)  # gzip's format
    try:
        unfolded = unfolding.decompress(body, BODY_BYTES_MAX + 1)
    except zlib.error as error:
        raise BadInput(Reason.MALFORMED, f"the body is not gzip, as its Content-Encoding says: {error}") from None
    if len(unfolded) > BODY_BYTES_MAX:
        raise _too_large()
    if not unfolding.eof or unfolding.unused_data:
        raise BadInput(Reason.MALFORMED, "the body is not one whole gzip stream, as its Content-Encoding says")
    return unfolded


def _too_large() -> Declined:
    return Declined(413, Reason.TOO_LARGE, f"the body is larger than {BODY_BYTES_MAX} bytes: send fewer alerts at once")


def answer_errors(ways: str) -> Middleware:
    """A middleware that counts requests and answers every error as JSON; whose fault it is tells the status.

    `ways` says what there is, for who asked for something that is not there.
    """

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            response = await handler(request)
        except (BadInput, Declined, LogUnavailable) as refusal:
            response = _refusal(refusal)
        except web.HTTPMethodNotAllowed as error:
            allowed = ", ".join(sorted(error.allowed_methods))
            text = f"{request.path}: is asked with {request.method}, must be asked with {allowed}"
            response = error_json(405, "method_not_allowed", text)
            response.headers["Allow"] = allowed
        except web.HTTPException as error:
            response = error_json(error.status, "no_such_resource", f"{request.method} {request.path}: there is {ways}")
        except Exception:
            logger.exception("%s %s", request.method, request.path)
            response = error_json(
                500, "internal", "a fault of Tocsin's, which its log tells; nothing may be assumed kept"
            )
        resource = request.match_info.route.resource
        metrics.REQUESTS.labels(resource.canonical if resource else "other", str(response.status)).inc()
        return response

    return middleware


def _refusal(refusal: BadInput | Declined | LogUnavailable) -> web.Response:
    if isinstance(refusal, LogUnavailable):
        text = f"{refusal}; assume that nothing of the request was kept, and send all of it again"
        response = error_json(503, "journal_unavailable", text)
        response.headers["Retry-After"] = str(RETRY_SECONDS)
        return response
    metrics.REFUSED.labels(refusal.reason).inc()
    if isinstance(refusal, BadInput):
        return error_json(413 if refusal.reason is Reason.TOO_LARGE else 400, refusal.reason, refusal.message)
    response = error_json(refusal.status, refusal.reason, refusal.message)
    if refusal.status == 408:
        response.force_close()  # the rest of the body may still come
    return response


def error_json(status: int, reason: str, text: str) -> web.Response:
    """An error as the bridge tells it."""
    return as_json({"status": "error", "reason": reason, "error": text}, status)


def as_json(document: Any, status: int = 200) -> web.Response:
    """A document as an answer."""
    return web.Response(body=orjson.dumps(document), status=status, content_type="application/json")
