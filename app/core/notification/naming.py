"""Naming: each P0 or P1 alert that begins to fire is named in a message, with its place.

An incident keeps which of its urgent alerts fire, are not kept quiet, and were named in no message
since they fire (`Incident.unnamed`). The next message names them all; past `NAMED_MAX` it names
components, each with a number.

What ended before a message named it is named in the next message, or in the one that tells the end,
or in a digest.
"""

from collections import Counter
from collections.abc import Iterable

from app.core.state.live_alert import CORRELATION_WAIT, LiveAlert
from app.core.state.state import Incident
from app.core.state.titles import alert_title, member_title
from app.core.state.turn import Turn
from models.place import component_name
from models.place_labels import mentions
from models.text.truncate import truncate

NAMED_MAX = 50  # alerts that a message names one by one
NAME_CHARACTERS_MAX = 200  # of an alert and its place
PLACES_MAX = 1000  # that an incident remembers as named
ENDED_MAX = 1000  # alerts that an incident remembers as ended before they were named
HOST_LABELS = ("instance", "host", "node")


def host_of(alert: LiveAlert) -> str:
    """The host that an alert is on; empty when no label says so, or the component does."""
    place = next((alert.labels[name] for name in HOST_LABELS if alert.labels.get(name)), "")
    return "" if place == alert.component else place


def name_of(alert: LiveAlert) -> str:
    """An alert's name and place."""
    title, place = alert_title(alert), host_of(alert)
    is_mentioned = not place or mentions(title, place)
    return truncate(title if is_mentioned else f"{title} ({place})", NAME_CHARACTERS_MAX)


def unnamed_alerts(incident: Incident) -> list[LiveAlert]:
    """The urgent alerts of an incident that have to be named, the worst and the oldest first.

    Also those that only wait for a rule: the next message may come too late for them.
    """
    alerts = [incident.alerts[fingerprint] for fingerprint in incident.unnamed]
    if incident.awaiting_correlation:
        alerts += [
            alert
            for alert in incident.alerts.values()
            if alert.awaits_correlation
            and alert.firing
            and alert.severity.is_urgent
            and not alert.named
        ]
    return sorted(alerts, key=lambda alert: (alert.severity, alert.fired_ms, alert.fingerprint))


def names_of(alerts: list[LiveAlert]) -> str:
    """The alerts with their places, or past NAMED_MAX their components with numbers."""
    return ", ".join(_list_names(alerts))


def _list_names(alerts: list[LiveAlert]) -> list[str]:
    if len(alerts) <= NAMED_MAX:
        return [name_of(alert) for alert in alerts]
    return _count_by_component(alert.component for alert in alerts)


def _count_by_component(components: Iterable[str]) -> list[str]:
    return [
        f"{number} alerts on {component_name(component)}"
        for component, number in Counter(components).items()
    ]


def with_names(incident: Incident, text: str) -> str:
    """The text of a message, and what it does not name yet of what has to be named."""
    alerts = unnamed_alerts(incident)
    if len(alerts) == 1 and incident.summary in text and name_of(alerts[0]) in text:
        return text
    if len(alerts) == 1 and incident.summary in text and alert_title(alerts[0]) in text:
        host = host_of(alerts[0])
        return f"{text} Host: {host}." if text.endswith(".") else f"{text} ({host})"
    return join_sentences(text, f"Firing: {names_of(alerts)}") if alerts else text


def with_ended(incident: Incident, text: str) -> str:
    """The text of a message, and what ended before a message named it."""
    names = names_of_ended(incident)
    return join_sentences(text, no_longer_firing(names)) if names else text


def with_members(incident: Incident, text: str) -> str:
    """The text of a message, and the members of a rule that fired and ended since the last one.

    They are shown only while they fire, so no other message names them.
    """
    ended = [
        member
        for member in incident.members.values()
        if member.fired_ms > incident.notified_ms
        and not (member.firing or member.known_of)
        and member.own
    ]
    if not ended:
        return text
    names = [truncate(member_title(member), NAME_CHARACTERS_MAX) for member in ended]
    if len(ended) > NAMED_MAX:
        names = _count_by_component(member.component for member in ended)
    return join_sentences(text, f"Fired and ended: {', '.join(names)}")


def names_of_ended(incident: Incident) -> list[str]:
    """The names of what ended before a message named it, and does not fire again."""
    known = (
        incident.alerts.get(fingerprint) for fingerprint in dict.fromkeys(incident.ended_unnamed)
    )
    return _list_names([alert for alert in known if alert is not None and not alert.firing])


def no_longer_firing(names: list[str]) -> str:
    """The sentence that names what ended before a message named it."""
    return f"No longer firing: {', '.join(names)}"


def on_ended(incident: Incident, alert: LiveAlert) -> None:
    """Note an alert that ends, and that no message has named though nothing kept it quiet."""
    if not alert.severity.is_urgent or alert.named or len(incident.ended_unnamed) >= ENDED_MAX:
        return
    if not alert.suppressions or CORRELATION_WAIT in alert.suppressions:
        incident.ended_unnamed.append(alert.fingerprint)


def join_sentences(*sentences: str) -> str:
    """Sentences in one text, each with exactly one full stop at its end."""
    ended = (text if text.endswith((".", "!", "?")) else f"{text}." for text in sentences)
    return " ".join(ended)


def is_elsewhere(incident: Incident) -> bool:
    """Whether something that has to be named is at a place that no message of the incident named."""
    return any(_place_key(alert) not in incident.places for alert in unnamed_alerts(incident))


def on_named(turn: Turn, incident: Incident) -> None:
    """A message has named all that had to be named."""
    for alert in unnamed_alerts(incident):
        alert.named = True
        turn.state.put_alert(alert)
        turn.doubt(alert)
        place = _place_key(alert)
        if place not in incident.places and len(incident.places) < PLACES_MAX:
            incident.places.append(place)
    incident.unnamed.clear()
    incident.ended_unnamed.clear()
    incident.fires_anew_ms = 0


def _place_key(alert: LiveAlert) -> str:
    return truncate(host_of(alert), NAME_CHARACTERS_MAX)
