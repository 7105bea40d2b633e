"""How the commands ask a bridge.

With the token and the trust that the environment names, and of nobody else.
"""

import http.client
import json
import ssl
import sys
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any

from app import settings
from app.files.file_access import open_plain
from app.files.pem import reading_file, reading_pair
from app.settings import BadSettings, BridgeReach
from models.errors import TocsinError
from models.text.sanitize import inert

SECONDS_MAX = 10
TOKEN_BYTES_MAX = 4096
DEGRADED_HEADER = "Tocsin-Degraded"  # of a bridge that knows of something wrong
_warned: set[str] = set()  # what was told; a command may ask for many pages


class NoAnswer(TocsinError):
    """There is no bridge, or what is there is none; the message says which, and what to look at."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What the bridge answered."""

    url: str
    body: bytes
    headers: dict[str, str]


@dataclass(frozen=True, slots=True)
class BridgeRefusal:
    """What the bridge answered instead.

    The status, what it says, and what of its body could be read.
    """

    status: int
    text: str
    document: Any


def ask_bridge(method: str, path: str, body: Any) -> Any:
    """The bridge's answer, or None when there is none or it refused.

    That has been told then. Raises BadSettings.
    """
    try:
        answer = exchange_json(method, path, None if body is None else json.dumps(body).encode())
    except NoAnswer as error:
        print(f"tocsin: {error}", file=sys.stderr)
        return None
    if isinstance(answer, BridgeRefusal):
        print(f"tocsin: {inert(answer.text)}", file=sys.stderr)
        return None
    return answer


def exchange_json(method: str, path: str, data: bytes | None) -> Any:
    """The bridge's answer, or a Refusal. Raises NoAnswer and BadSettings."""
    answer = send(method, path, data)
    if isinstance(answer, BridgeRefusal):
        return answer
    try:
        return json.loads(answer.body)
    except ValueError:
        raise _stranger(answer.url) from None


def send(
    method: str, path: str, data: bytes | None, seconds_max: float = SECONDS_MAX
) -> Reply | BridgeRefusal:
    """The bridge's answer as it came, or a Refusal. Raises NoAnswer and BadSettings."""
    reach = settings.reach_from_environment()
    url = f"{reach.url}{path}"
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)  # noqa: S310  checked
    token = _read_token(reach)
    if token:
        request.add_unredirected_header("Authorization", f"Bearer {token}")
    opener = urllib.request.build_opener(
        _RefuseRedirects(), urllib.request.HTTPSHandler(context=_client_context(reach))
    )
    try:
        with opener.open(request, timeout=seconds_max) as response:
            warn_degraded(response.headers.get(DEGRADED_HEADER))
            return Reply(url, response.read(), dict(response.headers))
    except urllib.error.HTTPError as error:
        warn_degraded(error.headers.get(DEGRADED_HEADER))
        return _refusal_of(error)
    except OSError as error:
        raise NoAnswer(f"no bridge at {url}: {_connection_problem(error)}") from None
    except (ValueError, http.client.HTTPException):
        raise _stranger(url) from None


def warn_degraded(text: str | None) -> None:
    """Tell people, in one line, what an answer says is wrong with Tocsin; the same only once."""
    if text and text not in _warned:
        _warned.add(text)
        print(f"tocsin: degraded: {inert(text)}", file=sys.stderr)


def _stranger(url: str) -> NoAnswer:
    return NoAnswer(f"{url} answered, and not as a bridge does: is TOCSIN_PORT its port?")


def _connection_problem(error: OSError) -> str:
    """Why there is no answer, and what to look at."""
    reason = getattr(error, "reason", error)
    match reason:
        case ssl.SSLCertVerificationError():
            return f"its certificate is not trusted ({reason.verify_message}); is TOCSIN_CA_FILE who signed it?"
        case ssl.SSLError():
            return f"TLS fails ({reason.reason}); is it https, does it want TOCSIN_CERT_FILE and TOCSIN_KEY_FILE?"
        case http.client.RemoteDisconnected() | ConnectionResetError():
            return "it closes the connection; is it https (TOCSIN_URL), does it want TOCSIN_CERT_FILE and TOCSIN_KEY_FILE?"
        case _:
            return f"{reason}; is `tocsin up` running, is TOCSIN_PORT its port?"


class _RefuseRedirects(urllib.request.HTTPRedirectHandler):
    """A bridge sends nobody elsewhere; whoever does is none."""

    def redirect_request(self, *_: Any) -> None:
        """Nothing."""


def _read_token(reach: BridgeReach) -> str:
    """The token, or an empty text for none."""
    if not reach.token_file and not reach.token:
        return ""
    where, token = "TOCSIN_TOKEN ", reach.token
    if reach.token_file:
        where = f"TOCSIN_TOKEN_FILE is {reach.token_file!r}, "
        try:
            with open_plain(reach.token_file) as file:
                token = file.read(TOKEN_BYTES_MAX + 1).decode("ascii", "replace").strip()
        except OSError as error:
            raise BadSettings(f"{where}which cannot be read: {error.strerror}") from None
    # What is wrong with it is not shown: it may be the token of another line.
    if not (
        token.isascii()
        and token.isprintable()
        and 0 < len(token) <= TOKEN_BYTES_MAX
        and " " not in token
    ):
        raise BadSettings(f"{where}must be one token, without spaces")
    return token


def _client_context(reach: BridgeReach) -> ssl.SSLContext:
    """Whom to trust, and who we are.

    Whoever types a command can type the password of a key, too.
    """
    with reading_file("TOCSIN_CA_FILE", reach.ca_file):
        context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=reach.ca_file or None)
    if reach.cert_file:
        with reading_pair(
            ("TOCSIN_CERT_FILE", reach.cert_file), ("TOCSIN_KEY_FILE", reach.key_file)
        ):
            context.load_cert_chain(reach.cert_file, reach.key_file)
    return context


def _refusal_of(error: urllib.error.HTTPError) -> BridgeRefusal:
    """What an answer says of an error.

    Tocsin's own API as an object, what it has of Alertmanager's as a text.
    """
    answer = None
    try:
        answer = json.loads(error.read())
        text = str(answer["error"] if isinstance(answer, dict) else answer)
    except (ValueError, KeyError):
        text = (
            f"{error.url} answered {error.code}, and not as a bridge does: is TOCSIN_PORT its port?"
        )
        return BridgeRefusal(error.code, text, answer)
    return BridgeRefusal(
        error.code, f"{text} (set TOCSIN_TOKEN_FILE)" if error.code == 401 else text, answer
    )
