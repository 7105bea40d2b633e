"""What a silence does: which incidents it acknowledges, which alerts it mutes, and why not more.

Source: PROCEDURES, "Alert Acknowledgment": a silence whose comment says that somebody investigates is
an acknowledgement. Any other comment only mutes.
"""

from collections.abc import Iterator
from functools import lru_cache
from itertools import islice
from typing import Any

from app.core.state.live_alert import LiveAlert
from app.core.state.state import Incident
from app.core.state.turn import Turn
from models.alert import Labels
from models.effect import Stream
from models.incident import State
from models.matcher import Matcher, Test, test_of
from models.silence import Silence

SHOWN_MAX = 100  # alerts and incidents of a kind that an answer names; it counts all
UNACKNOWLEDGED_MAX = 100  # alerts that are remembered as not acknowledged by a silence

Document = dict[str, Any]


@lru_cache(maxsize=1024)
def silence_test(matchers: tuple[Matcher, ...]) -> Test:
    """Whether labels have everything that a silence asks for."""
    try:
        return test_of([matchers])
    except ValueError:
        return _nothing  # kept since Python's regular expressions were taken: it silences nothing, and ends in its time


def _nothing(_: Labels) -> bool:
    return False


def covers(test: Test, incident: Incident) -> bool:
    """Whether a silence matches everything that fires in the incident, and anything at all."""
    labels = [alert.labels for alert in incident.alerts.values() if alert.firing]
    if incident.rule:
        labels += [member.labels for member in incident.members.values() if member.firing]
    return bool(labels) and all(map(test, labels))


def objection(turn: Turn, silence: Silence, incident: Incident) -> str:
    """Why a silence does not acknowledge an open incident of which it matches something; empty if it does."""
    beginnings = turn.rules.policy.silences.acknowledge_comments
    if not silence.comment.startswith(tuple(beginnings)):
        expected = f"its comment must begin with one of: {', '.join(beginnings)}"
        return expected if beginnings else "the policy sets no silences.acknowledge_comments"
    test = silence_test(silence.matchers)
    if incident.rule:
        return "" if covers(test, incident) else "it does not match all members"
    firing = [alert for alert in incident.alerts.values() if alert.firing]
    worst = min(alert.severity for alert in firing)
    worst_ones = [alert for alert in firing if alert.severity == worst]
    if any(test(alert.labels) for alert in worst_ones):
        return ""
    others = f" and {len(worst_ones) - 1} more" if len(worst_ones) > 1 else ""
    return f"it matches no firing {worst} alert: {worst_ones[0].name}{others}"


def left_out(silence: Silence, incident: Incident) -> list[str]:
    """The fingerprints of the urgent alerts that an acknowledgement by this silence is not about."""
    test = silence_test(silence.matchers)
    urgent = (
        fingerprint
        for fingerprint, alert in incident.alerts.items()
        if alert.firing and alert.severity.is_urgent and not test(alert.labels)
    )
    return list(islice(urgent, UNACKNOWLEDGED_MAX))


def emit_outcome(turn: Turn, silence: Silence, *, preview: bool) -> None:
    """Emit what a silence does, or would do, in this partition, before anything has changed."""
    muted = list(_matched(turn, silence))
    incidents = [turn.state.incidents[name] for name in sorted({alert.incident for alert in muted})]
    incidents += _opened_by_rules(turn, silence)
    objections = {
        incident.id: objection(turn, silence, incident)
        for incident in incidents
        if incident.state is State.OPEN and silence.starts_ms <= turn.now_ms
    }
    acknowledged = sorted(name for name, text in objections.items() if not text)
    refused = [{"incident": name, "why": text} for name, text in sorted(objections.items()) if text]
    if silence.ends_ms <= turn.now_ms:
        muted = []  # it is over: it acknowledges, and mutes nothing
    covered = [] if not muted else list(_explained(silence, incidents))
    body = {
        "incident": None,
        "component": "",
        "scope": "",
        "text": f"Silence by {silence.by}: {len(acknowledged)} acknowledged, {len(muted)} muted",
        "silence": silence.id,
        "preview": preview,
        "acknowledged": acknowledged[:SHOWN_MAX],
        "not_acknowledged": refused[:SHOWN_MAX],
        "mutes": [_shown(alert) for alert in muted[:SHOWN_MAX]],
        "mutes_total": len(muted),
        "covers": covered[:SHOWN_MAX],
        "covers_total": len(covered),
    }
    turn.emit(Stream.TIMELINE, silence.id, "SilenceApplied", body)


def _matched(turn: Turn, silence: Silence) -> Iterator[LiveAlert]:
    test = silence_test(silence.matchers)
    for _, alert in sorted(turn.state.alerts.items()):
        if alert.firing and alert.incident and test(alert.labels):
            yield alert


def _opened_by_rules(turn: Turn, silence: Silence) -> list[Incident]:
    """The incidents that a rule opened and of which a silence matches a member."""
    test = silence_test(silence.matchers)
    return [
        incident
        for _, incident in sorted(turn.state.incidents.items())
        if incident.rule
        and any(member.firing and test(member.labels) for member in incident.members.values())
    ]


def _explained(silence: Silence, incidents: list[Incident]) -> Iterator[Document]:
    """What depends on a root that a silence mutes, and so is quiet for as long as the root fires."""
    test = silence_test(silence.matchers)
    for incident in incidents:
        if covers(test, incident):
            for member in incident.members.values():
                if member.firing and not member.own:
                    yield {
                        "name": member.name,
                        "component": member.component,
                        "incident": member.incident,
                    }


def _shown(alert: LiveAlert) -> Document:
    return {"name": alert.name, "component": alert.component, "incident": alert.incident}
