"""What the bridge answers when something is wrong: always JSON, always with a reason."""

import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from app import metrics
from app.bridge.connections.limits import RETRY_SECONDS
from app.bridge.connections.refusals import count_refusal
from app.transport.log import LogUnavailable
from models.reason import BadInput, Reason

Answering = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]

logger = logging.getLogger("tocsin.bridge")


class RequestDeclined(Exception):
    """A request that is answered with a status of its own rather than 400, and perhaps with when to come again."""

    def __init__(self, status: int, reason: str, message: str, retry_seconds: int = 0) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.message = message
        self.retry_seconds = retry_seconds


def refuse_web_page(request: web.Request) -> None:
    """Refuse what has no body whose type would keep web pages out. Raises RequestDeclined."""
    if "Origin" in request.headers:
        raise RequestDeclined(
            403, "foreign_origin", "a web page asks for this, must be asked by a program"
        )


def answer_errors(ways: str) -> Middleware:
    """A middleware that counts requests and answers every error as JSON; whose fault it is tells the status.

    `ways` says what there is, for who asked for something that is not there.
    """

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        began = time.monotonic()
        try:
            response = await handler(request)
        except (BadInput, RequestDeclined, LogUnavailable) as refusal:
            response = _refusal_response(refusal)
        except web.HTTPMethodNotAllowed as error:
            allowed = ", ".join(sorted(error.allowed_methods))
            text = f"{request.path}: is asked with {request.method}, must be asked with {allowed}"
            response = error_json(405, "method_not_allowed", text)
            response.headers["Allow"] = allowed
        except web.HTTPException as error:
            response = error_json(
                error.status,
                "no_such_resource",
                f"{request.method} {request.path}: there is {ways}",
            )
        except Exception:
            resource = request.match_info.route.resource  # the path itself may hold a token
            logger.exception("%s %s", request.method, resource.canonical if resource else "other")
            response = error_json(
                500,
                "internal",
                "a fault of Tocsin's, which its log tells; nothing may be assumed kept",
            )
        resource = request.match_info.route.resource
        path = resource.canonical if resource else "other"
        metrics.REQUESTS.labels(path, str(response.status)).inc()
        metrics.REQUEST_SECONDS.labels(path).observe(time.monotonic() - began)
        return response

    return middleware


def refuse_expectations(handler: Answering) -> Answering:
    """The same handler for requests that expect nothing, or to be told to go on.

    aiohttp answers the others before any middleware: as text, uncounted, and with a fault where the
    header is not UTF-8.
    """

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        expectation = request.headers.get("Expect", "")
        if expectation and expectation.lower() != "100-continue":
            return _refusal_response(
                RequestDeclined(
                    417,
                    "unknown_expectation",
                    f"the Expect is {expectation!r:.80}, must be 100-continue",
                )
            )
        return await handler(request)

    return answer


def _refusal_response(refusal: BadInput | RequestDeclined | LogUnavailable) -> web.Response:
    if isinstance(refusal, LogUnavailable):
        text = f"{refusal}; assume that nothing of the request was kept, and send all of it again"
        response = error_json(503, "journal_unavailable", text)
        response.headers["Retry-After"] = str(RETRY_SECONDS)
        return response
    count_refusal(refusal.reason, refusal.message)
    if isinstance(refusal, BadInput):
        return error_json(
            413 if refusal.reason is Reason.TOO_LARGE else 400, refusal.reason, refusal.message
        )
    response = error_json(refusal.status, refusal.reason, refusal.message)
    if refusal.retry_seconds:
        response.headers["Retry-After"] = str(refusal.retry_seconds)
    if refusal.status == 401:
        response.headers["WWW-Authenticate"] = (
            'Bearer realm="tocsin"'  # not Basic, for which browsers ask people
        )
    if refusal.status == 408:
        response.force_close()  # the rest of the body may still come
    return response


def error_json(status: int, reason: str, text: str) -> web.Response:
    """An error as the bridge tells it."""
    return json_response({"status": "error", "reason": reason, "error": text}, status)


def json_response(document: Any, status: int = 200) -> web.Response:
    """A document as an answer."""
    return web.Response(body=orjson.dumps(document), status=status, content_type="application/json")
