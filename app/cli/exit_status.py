"""How a command ends: its exit status, and known errors in one line."""

import argparse
import os
import sys

from models.errors import TocsinError
from models.text.sanitize import inert_lines


def run_command(arguments: argparse.Namespace) -> int:
    """Run a command.

    The exit status is 0, 1 for an error that has been told, 2 for wrong arguments.
    """
    try:
        return int(arguments.run(arguments) or 0)
    except TocsinError as error:
        hint = f"; {error.hint}" if error.hint else ""
        print(f"tocsin: {inert_lines(str(error))}{hint}", file=sys.stderr)
    except BrokenPipeError:
        # Whoever read the output has enough of it; nothing more can be said, not even at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        print(f"tocsin: {error.strerror or error}{where}", file=sys.stderr)
    except UnicodeEncodeError as error:
        print(
            f"tocsin: {error.object!a:.100} has bytes that are not UTF-8, must be UTF-8 text",
            file=sys.stderr,
        )
    except KeyboardInterrupt:
        return 130
    return 1
