"""How commands ask what may be read: a bridge over HTTP, or the journal that `--journal` names."""

import argparse
import json
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from importlib import import_module
from typing import Any, Protocol
from urllib.parse import quote, urlencode

from app.cli.bridge_client import BridgeRefusal, NoAnswer, Reply, send

Document = dict[str, Any]
Parameters = Mapping[str, str]
SECONDS_MAX = 40.0  # for an answer; the bridge works on an explanation for 30
PAGE_ITEMS = "1000"


class Asked(Protocol):
    """Whatever answers."""

    def get(self, path: str, parameters: Parameters) -> tuple[bytes, Mapping[str, str]]:
        """The body and the headers of an answer. Raises TocsinError."""


class BridgeBoard:
    """Asks the bridge that TOCSIN_URL names, with the token of the environment."""

    def get(self, path: str, parameters: Parameters) -> tuple[bytes, Mapping[str, str]]:
        """The body and the headers of an answer. Raises NoAnswer and BadSettings."""
        query = f"?{urlencode(parameters)}" if parameters else ""
        answer: Reply | BridgeRefusal = send("GET", f"{path}{query}", None, SECONDS_MAX)
        if isinstance(answer, BridgeRefusal):
            raise NoAnswer(answer.text)
        return answer.body, answer.headers


@contextmanager
def board_of(arguments: argparse.Namespace) -> Iterator[Asked]:
    """Whatever answers to a command."""
    if not arguments.journal:
        yield BridgeBoard()
        return
    # What reads a journal takes long to import, and whoever asks a bridge does not need it.
    opened: AbstractContextManager[Asked] = import_module("app.cli.journal_board").opened(
        arguments.journal
    )
    with opened as board:
        yield board


def document_at(board: Asked, path: str, parameters: Parameters | None = None) -> Document:
    """The JSON document at a path. Raises TocsinError."""
    body, _ = board.get(path, parameters or {})
    try:
        document = json.loads(body)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise NoAnswer(f"{path} answered, and not as a bridge does: is TOCSIN_URL its address?")
    return document


def pages_at(board: Asked, path: str, parameters: Parameters | None = None) -> Iterator[Document]:
    """The pages of a list, the first first. Raises TocsinError."""
    asked = {"limit": PAGE_ITEMS, **(parameters or {})}
    while True:
        page = document_at(board, path, asked)
        yield page
        if not page["next"]:
            return
        asked = {**asked, "cursor": str(page["next"])}


def items_at(board: Asked, path: str, parameters: Parameters | None = None) -> list[Document]:
    """All items of a list. Raises TocsinError."""
    return [item for page in pages_at(board, path, parameters) for item in page["items"]]


def incident_path(incident: str, rest: str = "") -> str:
    """The path of an incident, or of something of it."""
    return f"/api/v1/incidents/{quote(incident, safe='')}{rest}"


def without_times(document: Document) -> Document:
    """A document without the times that an answer has besides."""
    return {name: value for name, value in document.items() if name not in ("now", "as_of")}
