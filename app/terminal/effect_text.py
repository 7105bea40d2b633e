"""An effect in words, a line: the same wherever a command prints one."""

from typing import Any

from models.effect import Stream


def effect_text(stream: Stream, effect: dict[str, Any]) -> str:
    """What an effect says."""
    kind = effect["kind"]
    match stream:
        case Stream.NOTIFICATIONS:
            title = f"[{effect['severity']}] {effect['title']}"
            return (
                f"{kind} by {effect['channel']} to {effect['receiver']}: {title} | {effect['text']}"
            )
        case Stream.ESCALATIONS:
            return f"escalated to {effect['to']['name']}, step {effect['step']} of {effect['steps']}: {effect['because']}"
        case Stream.INCIDENTS:
            firing = f"{effect['alerts_firing']} of {effect['alerts_total']} alerts firing"
            return f"snapshot of {effect['incident']}: {effect['severity']} {effect['state']}, {firing}"
        case Stream.FOLLOWUPS:
            return f"task {effect['task']} {effect['state']}: {effect['title']}"
        case Stream.SILENCES:
            return f"silence {effect['silence']} by {effect['by']} until {effect['ends_at']}"
        case Stream.ALERTS:
            return f"alert {effect['alert']} {effect['state']}{_why(effect)}"
        case Stream.DEADLETTER if kind == "Resubmitted":
            return f"dead letter {effect['letter']} was sent again by {effect['by']}"
        case Stream.DEADLETTER:
            return f"dead letter, {effect['reason']}: {effect['message']}"
        case _:
            return f"{kind}: {effect['text']}"


def _why(effect: dict[str, Any]) -> str:
    """What suppresses an alert, or why nobody was notified of it."""
    if effect["suppressed_by"]:
        return ": " + ", ".join(item["text"] for item in effect["suppressed_by"])
    return f": nobody was notified, {effect['reason']}" if effect["reason"] else ""
