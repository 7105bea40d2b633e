"""What to do next: the response guide of an incident, with its alert's values filled in.

Source: PROCEDURES, "Specific Alert Response Guides". A value in a command is quoted for a shell and has nothing in it that a
terminal would obey, so a label can never add a command.
"""

import shlex

from app.core.rulebook import Rulebook
from app.core.state import Incident
from app.core.turn import Turn
from models.alert import Labels
from models.policy import PLACEHOLDER


def choose(turn: Turn, incident: Incident, guide: str, labels: Labels) -> None:
    """Give the incident a guide, filled in for an alert with these labels."""
    steps = _filled(turn.rules, guide, incident, labels)
    if steps:
        incident.guide = guide
        incident.next_step = ": ".join(part for part in (steps[0]["say"], steps[0]["run"]) if part)
        turn.tell(incident, "Guide", incident.next_step, guide=guide, steps=steps)


def _filled(rules: Rulebook, name: str, incident: Incident, labels: Labels) -> list[dict[str, str]]:
    guide = rules.guide(name)
    values = {
        "alertname": labels.get("alertname", ""),
        "component": incident.component,
        "owner": incident.owner,
        "incident": incident.id,
    }

    def fill(text: str, *, quoted: bool) -> str:
        def value(what: str) -> str:
            label = what.removeprefix("labels.")
            found = inert(values[what] if what in values else labels.get(label, ""))
            return (shlex.quote(found) if quoted else found) if found else label.upper()

        return PLACEHOLDER.sub(lambda found: value(found[1]), text)

    return [
        {"say": fill(step.say, quoted=False), "run": fill(step.run, quoted=True)}
        for step in (guide.steps if guide else ())
    ]


def inert(text: str) -> str:
    """The text with everything replaced that is not shown, such as line ends, escapes and changes of direction."""
    return (
        text
        if text.isprintable()
        else "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in text)
    )
