"""The incident report in Markdown.

Whatever came from outside is inert in it: it adds no command, link, heading or HTML.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from app.render.timeline_text import draw_timeline
from app.report.build import Document, is_over
from app.report.timeline import draw_picture
from models.text.duration import format_ms
from models.text.plural import plural
from models.text.sanitize import inert

# What means something within a line, and what viewers make links of by themselves.
_SPECIAL = re.compile(r"[\\`*_\[\]<>&|~$@]|:(?=//)|(?<=www)\.", re.IGNORECASE)
# What means something at its beginning.
_BEGINNING = re.compile(r"^(?:[#+=\-]|\d+(?=[.)]))")
_ENTITIES = {
    "<": "&lt;",
    ">": "&gt;",
    "&": "&amp;",
    ":": "&#58;",
    "@": "&#64;",
    ".": "&#46;",
    "|": "&#124;",
}


def inline_text(value: Any) -> str:
    """A value as plain text in Markdown, on one line."""
    escaped = _SPECIAL.sub(
        lambda found: _ENTITIES.get(found[0], f"\\{found[0]}"), inert(str(value)).strip()
    )
    return _BEGINNING.sub(lambda found: f"&#{ord(found[0][0])};{found[0][1:]}", escaped)


def command_block(command: str, indent: int = 3) -> list[str]:
    """A command in a block of its own, whose fence is longer than any in it.

    What is no sign within it is shown as one that no shell takes for anything: leaving it out would
    make another command.
    """
    return [f"{' ' * indent}{line}" for line in code_block([inert(command.strip())], "sh")]


def code_block(lines: Sequence[str], language: str = "text") -> list[str]:
    """Lines that are inert already as a block of code, whose fence is longer than any in it."""
    longest = max((len(run) for line in lines for run in re.findall("`+", line)), default=0)
    fence = "`" * max(3, 1 + longest)
    return [f"{fence}{language}", *lines, fence]


def report_markdown(report: Document) -> str:
    """The whole report."""
    return "\n".join(_report_lines(report)) + "\n"


def _report_lines(report: Document) -> Iterator[str]:
    incident = report["incident"]
    yield f"# Incident report {inline_text(incident['incident'])}"
    yield ""
    if report["security"]:
        yield from ("**Document everything. Do not modify logs.**", "")
    yield from _bullet_list(
        {
            "Incident ID": incident["incident"],
            "Severity": incident["severity"],
            "Status": report["status"],
        }
    )
    if report["steps"] and not is_over(incident):
        yield from ("", "## Immediate actions", "", *_step_lines(report["steps"]))
    yield from ("", "## What", "", *_bullet_list(_alert_facts(incident)))
    yield from (
        "",
        "## Picture",
        "",
        *code_block(
            draw_timeline(
                draw_picture(incident, report["timeline"], report["notifications"]), listed=False
            )
        ),
    )
    yield from _table_lines(
        "Alerts", ("severity", "status", "alert", "labels", "text"), _alerts(incident)
    )
    if incident["alerts_omitted"]:
        yield from ("", f"and {plural(incident['alerts_omitted'], 'alert')} more")
    timeline = [(e["at"], e["kind"], e.get("by", ""), e["text"]) for e in report["timeline"]]
    yield from _table_lines("Timeline", ("at", "what", "by", "text"), timeline)
    actions = [(e["at"], e["by"], e["kind"], e["text"]) for e in report["actions"]]
    yield from _table_lines("Actions", ("at", "who", "what", "text"), actions)
    escalations = [
        (
            e["at"],
            e["rule"],
            f"{e['step']} of {e['steps']}",
            e["to"]["name"],
            e["because"],
            ", ".join(e["records"]),
        )
        for e in report["escalations"]
    ]
    yield from _table_lines(
        "Escalations", ("at", "rule", "step", "to", "because", "records"), escalations
    )
    told = [
        (
            e["at"],
            e["kind"],
            e["channel"],
            e["receiver"],
            ": ".join(filter(None, (e["delivery"], e["delivery_detail"]))),
        )
        for e in report["notifications"]
    ]
    yield from _table_lines(
        "Notifications", ("at", "what", "channel", "receiver", "delivery"), told
    )
    tasks = [
        (task["task"], task["due_at"], _task_state(task), task["title"]) for task in report["tasks"]
    ]
    yield from _table_lines("Follow-up", ("task", "due", "state", "what"), tasks)
    if report["review"]:
        yield from ("", "## Review", "", *_review_lines(report["review"]))


def _step_lines(steps: list[Document]) -> Iterator[str]:
    for number, step in enumerate(steps, start=1):
        yield f"{number}. {inline_text(step['say']) or 'Do this'}"  # an incident without words would not hold its command
        if step["run"].strip():
            yield from ("", *command_block(step["run"], len(f"{number}. ")), "")


def _alert_facts(incident: Document) -> dict[str, Any]:
    facts = {
        "What": incident["title"],
        "Component": incident["component"],
        "Class": incident["class"],
        "Owner": incident["owner"],
        "Given to": incident["assignee"],
        "Opened": incident["opened_at"],
        "Acknowledged": _completion_text(incident, "acknowledged"),
        "Mitigated": _completion_text(incident, "mitigated"),
        "Resolved": _completion_text(incident, "resolved"),
        "Closed": incident["closed_at"],
        "Expected to be over by": "" if is_over(incident) else incident["eta_at"],
        "Root cause": f"{incident['root_cause']} ({incident['root_cause_by']})"
        if incident["root_cause"]
        else "not named yet",
        "Services down": ", ".join(incident["services"]),
        "Complaints": incident["complaints"],
        "Quiet because": "; ".join(incident["suppressed_by"]),
        "Part of": ", ".join(incident["parents"]),
        "Members": ", ".join(
            f"{member['name']} on {member['component']}" for member in incident["members"]
        ),
    }
    for name, url in incident["links"].items():
        facts[f"Link, {name}"] = url
    if incident["assessment"]:
        scope = (
            f", strikes {incident['assessment']['scope']}"
            if incident["assessment"]["scope"]
            else ""
        )
        facts["Assessment"] = (
            f"{incident['assessment']['verdict']}{scope} ({incident['assessment']['by']})"
        )
    for name, clock in incident["clocks"].items():
        facts[f"To {name} by"] = f"{clock['due_at']} ({clock['state']})"
    return facts


def _alerts(incident: Document) -> list[tuple[Any, ...]]:
    """A row for each alert that the snapshot shows."""
    return [
        (
            alert["severity"],
            alert["status"],
            alert["labels"].get("alertname", alert["fingerprint"]),
            ", ".join(f"{name}={value}" for name, value in alert["labels"].items()),
            alert["annotations"].get("description") or alert["annotations"].get("summary", ""),
        )
        for alert in incident["alerts"]
    ]


def _completion_text(incident: Document, verb: str) -> str:
    by = f" by {incident[f'{verb}_by']}" if incident[f"{verb}_by"] else ""
    return f"{incident[f'{verb}_at']}{by}" if incident[f"{verb}_at"] else ""


def _bullet_list(facts: dict[str, Any]) -> Iterator[str]:
    for name, value in facts.items():
        if value:
            yield f"- **{name}**: {inline_text(value)}"


def _task_state(task: Document) -> str:
    return f"{task['state']} by {task['done_by']}" if task["done_by"] else str(task["state"])


def _review_lines(review: Document) -> Iterator[str]:
    clocks = {"acknowledged": "acknowledge", "resolved": "resolve"}
    for name, took in review["times"].items():
        target = review["targets"].get(clocks.get(name, ""))
        yield f"- {name}: {f'after {took}' if took != 'never' else 'never'}{_target_text(target)}"
    if review["alert_records"]:
        own = review["alerts"] - review["members"]
        yield f"- {plural(review['alert_records'], 'alert record')} became {plural(own, 'alert')} and one incident"
        yield f"- {plural(review['repeats_dropped'], 'record')} brought nothing new (repeats and ends)"
    if review["members"]:
        yield f"- {plural(review['members'], 'alert')} of other components belonged to it"
    messages = review["messages"]
    counts = ", ".join(f"{number} {delivery}" for delivery, number in messages.items() if number)
    yield f"- {plural(sum(messages.values()), 'message')}{f' ({counts})' if counts else ''}"
    yield f"- {plural(review['escalations'], 'escalation')}"
    yield f"- suppressed {plural(review['suppressed'], 'time')}, reopened {plural(review['reopened'], 'time')}"
    if review["flapping"]:
        yield "- it came and went (flapping)"


def _target_text(target: Document | None) -> str:
    if target is None:
        return ""
    how = {True: "kept", False: "missed", None: "it ended before"}[target["kept"]]
    return f"; the target was {format_ms(target['allowed_ms'])}: {how}"


def _table_lines(title: str, head: tuple[str, ...], rows: list[tuple[Any, ...]]) -> Iterator[str]:
    if rows:
        yield from ("", f"## {title}", "", f"| {' | '.join(head)} |", f"|{'---|' * len(head)}")
        for row in rows:
            yield f"| {' | '.join(inline_text(cell) for cell in row)} |"
