"""An explanation as a tree.

What there is, and below it what it came of. Printed top down, or as JSON for programs.
"""

from dataclasses import dataclass, field
from typing import Any

from models.text.instant import format_instant


@dataclass(slots=True)
class Node:
    """One thing of an explanation.

    Texts may be anybody's: `tree_lines` makes them inert, JSON has them as they are.
    """

    kind: str  # effect, timer, alert, command, message, incident, ...
    text: str  # what it is, in one line
    at_ms: int = 0  # 0 is not known
    position: str = ""  # of a record "3:17", of an effect its id "3-17-0"
    facts: dict[str, Any] = field(default_factory=dict)  # name -> text, or list of texts
    record: dict[str, Any] | None = None  # a raw alert's document, for programs
    rules: list[dict[str, Any]] = field(
        default_factory=list
    )  # of the policy: key, line (0 is not known), file, text
    because: list["Node"] = field(default_factory=list)
    then: list["Node"] = field(default_factory=list)  # what followed of it

    def document(self) -> dict[str, Any]:
        """The tree as one JSON document.

        What is empty is left out, but for `because` of the top.
        """
        document: dict[str, Any] = {"kind": self.kind, "text": self.text}
        if self.position:
            document["position"] = self.position
        if self.at_ms:
            document["at"] = format_instant(self.at_ms)
        if self.facts:
            document["facts"] = self.facts
        if self.record:
            document["record"] = self.record
        if self.rules:
            document["rules"] = self.rules
        for name, nodes in (("because", self.because), ("then", self.then)):
            if nodes:
                document[name] = [node.document() for node in nodes]
        return document
