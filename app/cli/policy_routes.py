"""`tocsin policy routes`: a picture of the policy, in the terminal or as a file."""

import argparse
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from app.files import policy_file
from app.files.policy_file import PolicyFile
from app.policy.route_tree import StepRoute, severity_routes, team_routes
from app.render.routes_svg import COLOURS, routes_page, routes_svg
from models.text.sanitize import inert

WIDTH = 4000  # of a line that nobody looks at


def add_arguments(parser: argparse.ArgumentParser, _name: str) -> None:
    """Add the command's arguments."""
    parser.set_defaults(run=_run_routes)
    parser.add_argument(
        "file", nargs="?", default="", help="the policy that ships with Tocsin, if none is given"
    )
    parser.add_argument("--svg", metavar="FILE", help="write the picture there, as SVG")
    parser.add_argument("--html", metavar="FILE", help="write a page there, with the picture in it")


def _run_routes(arguments: argparse.Namespace) -> int:
    policy = policy_file.read_policy_file(arguments.file)
    title = f"{policy.path.name}, fingerprint {policy.rules.fingerprint}"
    for file, draw in ((arguments.svg, routes_svg), (arguments.html, routes_page)):
        if file:
            Path(file).write_text(draw(policy.rules, title), encoding="utf-8")
            print(f"{inert(file)}: written")
    if not (arguments.svg or arguments.html):
        # A terminal wraps; whatever else reads it gets whole lines.
        width = None if sys.stdout.isatty() else WIDTH
        Console(highlight=False, width=width).print(build_tree(policy))
    return 0


def build_tree(file: PolicyFile) -> Tree:
    """The picture for a terminal."""
    root = Tree(_styled_line(f"{file.path}", "bold"))
    how = root.add(_styled_line("how bad it is: through which channels, and when", "bold"))
    for severity in severity_routes(file.rules):
        also = [f"also {', '.join(severity.besides)}"] if severity.besides else []
        text = "; ".join([", ".join(severity.channels) or "nothing", *also, *severity.lines])
        how.add(
            _styled_line(f"{severity.severity}  ", COLOURS[severity.severity]).append_text(
                _styled_line(text)
            )
        )
    owners = root.add(_styled_line("whose it is: the first that matches decides", "bold"))
    for team in team_routes(file.rules):
        hours = f"; hours {team.hours}" if team.hours else ""
        branch = owners.add(
            _styled_line(team.team, "bold cyan").append_text(
                _styled_line(f"  {team.name}: {team.address}{hours}")
            )
        )
        leads = branch.add(_styled_line("what is theirs"))
        for lead in team.leads or ["nothing leads here"]:
            leads.add(_styled_line(lead))
        chain = branch.add(_styled_line("who is called"))
        for number, step in enumerate(team.steps, start=1):
            chain.add(_styled_line(f"{number}  {step.name}{_wait_text(step)}: {step.address}"))
    return root


def _wait_text(step: StepRoute) -> str:
    waits = ", ".join(f"{name} {wait}" for name, wait in step.waits.items())
    return f" (after {waits})" if waits else ""


def _styled_line(text: str, style: str = "") -> Text:
    return Text(inert(text), style)
