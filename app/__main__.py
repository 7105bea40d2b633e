"""The command line: `tocsin` and `python -m app`."""

import sys
from collections.abc import Sequence
from importlib import import_module

OURS = ("agents", "app", "models")
QUICK = ("explain", "timeline")  # what `app.quick` has: those need not wait until Faust is imported


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; the exit status."""
    words = sys.argv[1:] if argv is None else argv
    name = "app.quick" if words[:1] and words[0] in QUICK else "app.cli.main"
    try:
        command = import_module(name)
    except ModuleNotFoundError as error:
        if not error.name or error.name.split(".")[0] in OURS:
            raise
        raise SystemExit(
            f"tocsin: {sys.executable} has no package {error.name!r}: use the environment that "
            "`make demo` makes (.venv/bin/tocsin), or install Tocsin (pip install .)"
        ) from None
    status: int = command.main(words)
    return status


if __name__ == "__main__":
    sys.exit(main())
