"""The incident report in Markdown. Whatever came from outside is inert in it: it adds no command, link, heading or HTML."""

import re
from collections.abc import Iterator
from typing import Any

from app.report.build import Document, lasted

# What means something within a line, and what viewers make links of by themselves.
_SPECIAL = re.compile(r"[\\`*_\[\]<>&|~$@]|:(?=//)|(?<=www)\.", re.IGNORECASE)
# What means something at its beginning.
_BEGINNING = re.compile(r"^(?:[#+=\-]|\d+(?=[.)]))")
_ENTITIES = {"<": "&lt;", ">": "&gt;", "&": "&amp;", ":": "&#58;", "@": "&#64;", ".": "&#46;"}


def text(value: Any) -> str:
    """A value as plain text in Markdown, on one line."""
    shown = "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in str(value)).strip()
    inert = _SPECIAL.sub(lambda found: _ENTITIES.get(found[0], f"\\{found[0]}"), shown)
    return _BEGINNING.sub(lambda found: f"&#{ord(found[0][0])};{found[0][1:]}", inert)


def code(command: str) -> list[str]:
    """A command in a block of its own, whose fence is longer than any in it."""
    shown = "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in command)
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", shown)), default=0))
    return [f"   {fence}sh", f"   {shown}", f"   {fence}"]


def markdown(report: Document) -> str:
    """The whole report."""
    return "\n".join(_lines(report)) + "\n"


def _lines(report: Document) -> Iterator[str]:
    one = report["incident"]
    yield f"# Incident report {text(one['incident'])}"
    yield ""
    if report["security"]:
        yield "**Document everything. Do not modify logs.**"
        yield ""
    yield from _facts(report)
    if report["steps"] and one["state"] not in ("resolved", "closed"):
        yield from ("", "## Immediate actions", "")
        for number, step in enumerate(report["steps"], start=1):
            yield f"{number}. {text(step['say'])}"
            if step["run"]:
                yield from ("", *code(step["run"]), "")
    yield from _table("Timeline", ("at", "what", "text"), [(e["at"], e["kind"], e["text"]) for e in report["timeline"]])
    yield from _table("Actions", ("at", "who", "what"), [(e["at"], e["by"], e["text"]) for e in report["actions"]])
    escalations = [
        (e["at"], e["rule"], f"{e['step']} of {e['steps']}", e["to"]["name"], e["because"], ", ".join(e["records"]))
        for e in report["escalations"]
    ]
    yield from _table("Escalations", ("at", "rule", "step", "to", "because", "records"), escalations)
    told = [
        (e["at"], e["kind"], e["channel"], e["receiver"], f"{e['delivery']} {e['delivery_detail']}".strip())
        for e in report["notifications"]
    ]
    yield from _table("Notifications", ("at", "what", "channel", "receiver", "delivery"), told)
    yield from _review(report)
    yield from _table(
        "Follow-up", ("task", "due", "state"), [(e["task"], e["due_at"], e["state"]) for e in report["tasks"]]
    )


def _facts(report: Document) -> Iterator[str]:
    one = report["incident"]
    facts = {
        "Incident ID": one["incident"],
        "Severity": one["severity"],
        "Status": report["status"],
        "What": one["title"],
        "Component": one["component"],
        "Owner": one["owner"] + (f", {one['assignee']}" if one["assignee"] else ""),
        "Opened": one["opened_at"],
        "Acknowledged": f"{one['acknowledged_at']} by {one['acknowledged_by']}" if one["acknowledged_at"] else "",
        "Expected to be over by": one["eta_at"] if one["state"] in ("open", "acknowledged") else "",
        "Root cause": f"{one['cause']} ({one['cause_by']})" if one["cause"] else "not named yet",
        "Services down": ", ".join(one["services"]),
        "Part of": ", ".join(one["parents"]),
        "Members": ", ".join(f"{member['name']} on {member['component']}" for member in one["members"]),
        "Quiet because": "; ".join(one["held_by"]),
    }
    if one["assessment"]:
        scope = f", strikes {one['assessment']['scope']}" if one["assessment"]["scope"] else ""
        facts["Assessment"] = f"{one['assessment']['verdict']}{scope} ({one['assessment']['by']})"
    for name, clock in one["clocks"].items():
        facts[f"To {name} by"] = f"{clock['due_at']} ({clock['state']})"
    for name, value in facts.items():
        if value:
            yield f"- **{name}**: {text(value)}"


def _review(report: Document) -> Iterator[str]:
    review = report["review"]
    if review is None:
        return
    yield from ("", "## Review", "")
    for name in ("acknowledged", "mitigated", "resolved"):
        yield f"- {name} after {lasted(review['times_ms'], name)}"
    yield f"- {review['alert_records']} alert records were {review['alerts']} alerts and one incident"
    yield f"- {len(report['notifications'])} messages, {len(report['escalations'])} escalations"
    yield f"- reopened {review['reopened']} times"


def _table(title: str, head: tuple[str, ...], rows: list[tuple[Any, ...]]) -> Iterator[str]:
    if rows:
        yield from ("", f"## {title}", "", f"| {' | '.join(head)} |", f"|{'---|' * len(head)}")
        for row in rows:
            yield f"| {' | '.join(text(cell) for cell in row)} |"
