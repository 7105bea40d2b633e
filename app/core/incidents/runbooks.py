"""What to do next: the runbook of an incident, with its alert's values filled in.

Source: PROCEDURES, "Specific Alert Response Guides". A value in a command is quoted for a shell,
does not begin a word with a dash, and has nothing in it that a terminal would obey: a label can add
neither a command nor an option to one.
"""

import re
import shlex

from app.core.rules.compiled_policy import CompiledPolicy
from app.core.state.state import Incident
from app.core.state.turn import Turn
from models.alert import Labels
from models.place import component_name
from models.policy.policy import PLACEHOLDER
from models.text.sanitize import inert, inert_word
from models.text.truncate import truncate

FILLED_CHARACTERS_MAX = 8000  # of what a step says, and of its command, with the labels filled in


def choose_runbook(
    turn: Turn,
    incident: Incident,
    runbook: str,
    labels: Labels,
    annotations: Labels | None = None,
) -> None:
    """Give the incident a runbook, filled in for an alert with these labels.

    The alert's own runbook comes first: whoever wrote the alert knows best.
    """
    steps = _runbook(annotations or {}) + _fill_steps(turn.rules, runbook, incident, labels)
    if steps:
        incident.runbook = runbook
        incident.next_command = steps[0]["run"]
        incident.next_step = ": ".join(part for part in (steps[0]["say"], steps[0]["run"]) if part)
        turn.timeline(incident, "Runbook", incident.next_step, runbook=runbook, steps=steps)


def _runbook(annotations: Labels) -> list[dict[str, str]]:
    url = annotations.get("runbook_url") or annotations.get("runbook") or ""
    is_link = url.startswith(("http://", "https://")) and " " not in url
    if not is_link or len(url) > FILLED_CHARACTERS_MAX:
        return []
    return [{"say": f"Follow the alert's own runbook: {inert(url)}", "run": ""}]


def _fill_steps(
    rules: CompiledPolicy, name: str, incident: Incident, labels: Labels
) -> list[dict[str, str]]:
    runbook = rules.runbook(name)
    values = {
        "alertname": labels.get("alertname", ""),
        "component": component_name(incident.component),
        "owner": incident.owner,
        "incident": incident.id,
    }

    def fill(text: str, *, quoted: bool) -> str:
        def value(place: re.Match[str]) -> str:
            label = place[1].removeprefix("labels.")
            filled = values[place[1]] if place[1] in values else labels.get(label, "")
            if not filled or not quoted:
                return inert(filled) or label.upper()
            begins_word = text[: place.start()][-1:].strip() == ""
            return shlex.quote(inert_word(filled) if begins_word else inert(filled))

        return PLACEHOLDER.sub(value, text)

    return [
        _bound_step(fill(step.say, quoted=False), fill(step.run, quoted=True))
        for step in (runbook.steps if runbook else ())
    ]


def _bound_step(say: str, run: str) -> dict[str, str]:
    """A step. A command is left out rather than cut: half of one may do something else."""
    if len(run) > FILLED_CHARACTERS_MAX:
        say, run = f"{say} (its command is left out: filled in, it has {len(run)} characters)", ""
    return {"say": truncate(say, FILLED_CHARACTERS_MAX), "run": run}
