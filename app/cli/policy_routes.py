"""`tocsin policy routes`: a picture of the policy, in the terminal or as a file."""

import argparse
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from app.files import policy_file
from app.files.policy_file import PolicyFile
from app.policy.route_tree import StepRoute, severities, teams
from app.render.routes_svg import COLOURS, page, svg
from models.sanitize import inert

WIDTH = 4000  # of a line that nobody looks at


def add_arguments(parser: argparse.ArgumentParser, _name: str) -> None:
    """Add the command's arguments."""
    parser.set_defaults(run=_routes)
    parser.add_argument(
        "file", nargs="?", default="", help="the policy that ships with Tocsin, if none is given"
    )
    parser.add_argument("--svg", metavar="FILE", help="write the picture there, as SVG")
    parser.add_argument("--html", metavar="FILE", help="write a page there, with the picture in it")


def _routes(arguments: argparse.Namespace) -> int:
    found = policy_file.read(arguments.file)
    title = f"{found.path.name}, fingerprint {found.rules.fingerprint}"
    for file, draw in ((arguments.svg, svg), (arguments.html, page)):
        if file:
            Path(file).write_text(draw(found.rules, title), encoding="utf-8")
            print(f"{inert(file)}: written")
    if not (arguments.svg or arguments.html):
        # A terminal wraps; whatever else reads it gets whole lines.
        width = None if sys.stdout.isatty() else WIDTH
        Console(highlight=False, width=width).print(tree(found))
    return 0


def tree(found: PolicyFile) -> Tree:
    """The picture for a terminal."""
    root = Tree(_line(f"{found.path}", "bold"))
    how = root.add(_line("how bad it is: through which channels, and when", "bold"))
    for severity in severities(found.rules):
        also = [f"also {', '.join(severity.besides)}"] if severity.besides else []
        said = "; ".join([", ".join(severity.channels) or "nothing", *also, *severity.lines])
        how.add(
            _line(f"{severity.severity}  ", COLOURS[severity.severity]).append_text(_line(said))
        )
    whose = root.add(_line("whose it is: the first that matches decides", "bold"))
    for team in teams(found.rules):
        hours = f"; hours {team.hours}" if team.hours else ""
        branch = whose.add(
            _line(team.team, "bold cyan").append_text(
                _line(f"  {team.name}: {team.address}{hours}")
            )
        )
        leads = branch.add(_line("what is theirs"))
        for lead in team.leads or ["nothing leads here"]:
            leads.add(_line(lead))
        chain = branch.add(_line("who is called"))
        for number, step in enumerate(team.steps, start=1):
            chain.add(_line(f"{number}  {step.name}{_waits(step)}: {step.address}"))
    return root


def _waits(step: StepRoute) -> str:
    waits = ", ".join(f"{name} {wait}" for name, wait in step.waits.items())
    return f" (after {waits})" if waits else ""


def _line(text: str, style: str = "") -> Text:
    return Text(inert(text), style)
