"""The command line: `tocsin` and `python -m app`."""

import sys
from collections.abc import Sequence
from importlib import import_module

OURS = ("agents", "app", "models")


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; the exit status. A missing package is told in one line."""
    try:
        # Also the command's own module is imported only when it is asked for.
        status: int = import_module("app.cli.main").main(argv)
    except ModuleNotFoundError as error:
        if not error.name or error.name.split(".")[0] in OURS:
            raise
        raise SystemExit(
            f"tocsin: {sys.executable} has no package {error.name!r}: use the environment that "
            "`make demo` makes (.venv/bin/tocsin), or install Tocsin (pip install .)"
        ) from None
    return status


if __name__ == "__main__":
    sys.exit(main())
