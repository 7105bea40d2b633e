"""The options that choose records of the journal: by partition, offset, time or incident."""

import argparse
from datetime import datetime

from app.history.spans import Bound


def bound(text: str) -> Bound:
    """A bound as it is written on the command line. Raises argparse's error."""
    if text.isdecimal():
        return Bound(offset=int(text))
    try:
        instant = datetime.fromisoformat(text)
        if instant.tzinfo is not None:
            return Bound(at_ms=max(round(instant.timestamp() * 1000), 0))
    except (ValueError, OverflowError):
        pass  # it is told below
    raise argparse.ArgumentTypeError(
        f"{text!r} must be an offset, or an RFC 3339 time such as 2026-04-12T03:15:02Z"
    )


def add_spans(parser: argparse.ArgumentParser) -> None:
    """Add the options that choose records."""
    parser.add_argument(
        "--partition",
        type=int,
        action="append",
        metavar="N",
        help="of the journal; may be given several times; all otherwise",
    )
    parser.add_argument(
        "--from",
        dest="first",
        type=bound,
        metavar="TIME|OFFSET",
        help="the first record; all otherwise",
    )
    parser.add_argument(
        "--to",
        dest="end",
        type=bound,
        metavar="TIME|OFFSET",
        help="up to here, which is left out; to the end otherwise",
    )
    parser.add_argument("--incident", metavar="ID", help="everything that belongs to an incident")
