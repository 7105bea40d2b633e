"""The board over HTTP: every path of `app.bridge.board.board.RESOURCES`."""

from collections.abc import Awaitable, Callable

from aiohttp import web

from app.bridge.board.board import RESOURCES, Absent, Answer, Ask, Board
from app.bridge.connections.responses import RequestDeclined, json_response

Handler = Callable[[web.Request], Awaitable[web.Response]]


def board_routes(board: Board) -> list[web.RouteDef]:
    """What there is to be read."""
    return [web.get(path, _handler(board, ask)) for path, ask in RESOURCES.items()]


def _handler(board: Board, ask: Ask) -> Handler:
    async def answer(request: web.Request) -> web.Response:
        query = {name: request.query.getall(name) for name in request.query}
        try:
            return _response(await ask(board, query, **request.match_info))
        except Absent as error:
            raise RequestDeclined(404, error.reason, str(error)) from None

    return answer


def _response(answer: Answer) -> web.Response:
    if isinstance(answer.body, dict):
        return json_response(answer.body)
    body = answer.body.encode() if isinstance(answer.body, str) else answer.body
    charset = "utf-8" if isinstance(answer.body, str) else None
    headers = dict(answer.headers)
    # A browser must not make a page of what somebody else sent.
    headers |= {"X-Content-Type-Options": "nosniff"}
    return web.Response(
        body=body, content_type=answer.content_type, charset=charset, headers=headers
    )
