"""The answer to alerts of which some were refused."""

from aiohttp import web

from app.bridge.connections.responses import json_response
from models.reason import BadInput

SHOWN_MAX = 10  # refused alerts that an answer names


def partial_refusal(accepted: int, refused: list[BadInput]) -> web.Response:
    """400 that names what was refused.

    The rest stands in the journal: nobody need send it again.
    """
    number = len(refused)
    others = "the others are accepted" if accepted else "none is accepted"
    body = {
        "status": "error",
        "reason": refused[0].reason,
        "error": f"{number} of {accepted + number} alerts refused; {others}",
        "accepted": accepted,
        "refused": [
            {"reason": refusal.reason, "error": refusal.message} for refusal in refused[:SHOWN_MAX]
        ],
    }
    if number > SHOWN_MAX:
        body["refused_more"] = number - SHOWN_MAX
    return json_response(body, 400)
