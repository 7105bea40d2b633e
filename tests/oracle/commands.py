"""What the commands of operators mean."""

from typing import TYPE_CHECKING, Any

from tests.oracle import followups, near, notification
from tests.oracle.facts import Happened, also_notified, command_refusal, is_firing, rules_about

if TYPE_CHECKING:
    from tests.oracle.oracle import Naive

TOLD = {
    "note": "Noted",
    "root-cause": "RootCauseNamed",
    "mitigate": "Mitigated",
    "update": "Updated",
    "complaint": "Complained",
}


def apply_command(naive: "Naive", document: dict[str, Any]) -> str:
    """Apply a command; the reason when it is refused, else nothing. A refusal is noted."""
    incident = next((one for one in naive.incidents if one.id == document["incident"]), None)
    refusal = _apply(naive, document, incident)
    if refusal and incident is not None:
        incident.tell("CommandRefused", naive.now_ms)
    return refusal


def _apply(naive: "Naive", document: dict[str, Any], incident: Happened | None) -> str:
    name, who = document["command"], document["by"]
    if name == "done":
        return (
            ""
            if followups.is_done(naive, document["incident"], document["task"])
            else "unknown_task"
        )
    if name == "root-cause" and (incident is None or incident.state == "closed"):
        return (
            "" if followups.is_root_cause_open(naive, document["incident"]) else "unknown_incident"
        )
    if incident is None or incident.state == "closed":
        return "unknown_incident"
    pressed = document.get("key", "")
    if pressed in incident.came_back:
        return "repeated"
    news = incident.not_meant or incident.joined
    if pressed and (name, incident.state) == ("acknowledge", "acknowledged") and not news:
        return "illegal_transition"  # somebody was first
    if refusal := command_refusal(incident, name, fires=is_firing(naive.alerts, incident)):
        return refusal
    if unknown := _unknown_name(naive, incident, document):
        return unknown
    match name:
        case "acknowledge":
            naive.acknowledged(incident, who)
        case "assign":
            incident.tell("Assigned", naive.now_ms)
        case "assess":
            if incident.state == "open":
                naive.acknowledged(incident, who)
            incident.tell("Assessed", naive.now_ms)
        case "resolve":
            naive.resolved(incident, who)
        case "reopen":
            incident.state = "open"
            naive.reopened(incident)
        case "close":
            naive.settled(incident)
        case "escalate":
            naive.climb(incident, "manual", [naive.number], document.get("step"))
        case "merge":
            refusal = near.merge(naive, incident, document["into"])
        case "split":
            refusal = near.split(naive, incident)
        case _:
            _note_update(naive, incident, name)
    if refusal:
        return refusal
    if pressed:
        incident.came_back = [*incident.came_back, pressed][-50:]
    naive.look_at(incident)
    notification.word(incident, naive.now_ms)
    return ""


def _unknown_name(naive: "Naive", incident: Happened, document: dict[str, Any]) -> str:
    """The reason for which a person, or a step, that does not exist is refused."""
    if document["command"] == "assign" and document["to"] not in naive.policy["contacts"]:
        return "unknown_name"
    if document["command"] == "escalate" and "step" in document:
        teams = naive.policy["teams"]
        owner = incident.owner if incident.owner in teams else naive.policy["default_owner"]
        if not 1 <= document["step"] <= len(teams[owner]["chain"]):
            return "unknown_name"
    return ""


def _note_update(naive: "Naive", incident: Happened, name: str) -> None:
    incident.tell(TOLD[name], naive.now_ms)
    incident.done.add({"mitigate": "mitigation", "root-cause": "root_cause"}.get(name, name))
    if name == "complaint":
        incident.complaints += 1
        for rule in rules_about(naive.policy, incident, "complaints"):
            if incident.complaints >= rule["complaints"]:
                naive.escalate(incident, rule["name"], [naive.number])
    if name == "update":
        naive.tell_owner(incident, "update")
        for contact in also_notified(naive.policy, incident):
            notification.contact(naive, incident, "update", contact)
