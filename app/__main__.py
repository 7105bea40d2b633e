"""The command line: `tocsin` and `python -m app`."""

import sys
from collections.abc import Sequence
from importlib import import_module

QUICK = ("explain", "timeline")  # what `app.quick` has: those need not wait until Faust is imported


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; the exit status."""
    words = sys.argv[1:] if argv is None else argv
    status: int = import_module(
        "app.quick" if words[:1] and words[0] in QUICK else "app.cli.main"
    ).main(words)
    return status


if __name__ == "__main__":
    sys.exit(main())
