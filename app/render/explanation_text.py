"""An explanation as an indented tree of lines."""

from collections.abc import Iterator

from app.explain.tree import Node
from models.text.instant import format_instant
from models.text.sanitize import inert


def lines(node: Node, depth: int = 0, shown: set[str] | None = None) -> Iterator[str]:
    """The tree for a terminal, whatever its texts are. A place of the policy stands there once."""
    shown = set() if shown is None else shown
    pad = "  " * depth
    when = f"{format_instant(node.at_ms)[:19]}Z  " if node.at_ms else ""
    where = f"  ({node.position})" if node.position else ""
    yield f"{pad}{when}{inert(node.text)}{where}"
    for name, value in node.facts.items():
        for number, item in enumerate(value if isinstance(value, list) else [value]):
            yield f"{pad}    {inert(name) if not number else '':<11} {inert(str(item))}"
    for rule in node.rules:
        if rule["key"] in shown:
            continue
        shown.add(rule["key"])
        place = f"{rule['file']}:{rule['line']}" if rule["line"] else "policy"
        yield f"{pad}    {place}  {inert(rule['key'])}: {inert(rule['text'])}"
    for title, nodes in (("because", node.because), ("then", node.then)):
        if nodes:
            yield f"{pad}  {title}"
            for item in nodes:
                yield from lines(item, depth + 2, shown)
