"""`tocsin up`, `worker`, `bridge` and `notifier`: what serves, until it is told to stop.

What they need takes a second to import. SIGTERM in that second, too, ends them with status 0.
"""

import argparse
import signal
from importlib import import_module
from types import FrameType

HEAVY = "app.cli.server_process"


def add_arguments(parser: argparse.ArgumentParser, name: str) -> None:
    """Say which of them is to be run. Their settings are the environment's."""
    parser.set_defaults(run=_run, process=name, dry_run=False)
    if name == "notifier":
        parser.add_argument(
            "--dry-run", action="store_true", help="print what would be sent, and send nothing"
        )


def _run(arguments: argparse.Namespace) -> None:
    signal.signal(signal.SIGTERM, _leave)
    import_module(HEAVY).run_process(arguments.process, dry_run=arguments.dry_run)


def _leave(_: int, __: FrameType | None) -> None:
    """Nothing has been begun yet."""
    raise SystemExit(0)
