"""The alerts of an incident as its messages and snapshots show them: bounded, the worst first.

Members are alerts of other components; what is known of them came with their signals.
"""

from heapq import nsmallest
from itertools import islice
from operator import attrgetter
from typing import Any

import orjson

from app.core.state.annotations import add_links
from app.core.state.live_alert import LiveAlert
from app.core.state.members import Member
from app.core.state.ranking import AlertRanking, labels_in_both, worst_first
from app.core.state.shown_alert import ShownAlert
from app.core.state.state import Incident
from models.alert import Labels
from models.events import AlertStatus
from models.text.instant import NEWEST_MS, format_instant
from models.text.json_bytes import json_bytes
from models.text.truncate import truncate

ALERTS_MAX = 10  # in a message
SNAPSHOT_ALERTS_MAX = 5  # a snapshot follows each change of an incident, and must not be large
ALERTS_BYTES_MAX = 16 * 1024  # of all that are shown; the first is shown always
ALERT_BYTES_MAX = 8 * 1024  # of labels and annotations; the texts of a larger alert are cut
INDEXED_FROM = 16  # alerts of an incident; fewer are sorted faster than an index is kept
LINKS_MAX = 10
TEXT_CHARACTERS_MAX = 200  # of each text of an alert that is too large

Document = dict[str, Any]

# What of an alert stands in its JSON. A field that is missing here would be shown as it was before.
_values_shown = attrgetter(
    *("labels", "annotations", "generator_url", "severity", "firing", "starts_ms", "ended_ms")
)

NO_ALERTS: Document = {
    "alerts": [],
    "alerts_omitted": 0,
    "alerts_firing": 0,
    "alerts_total": 0,
    "common_labels": {},
    "links": {},
}


def alerts_of(incident: Incident, number: int = ALERTS_MAX) -> Document:
    """The fields of a notification and of a snapshot that are about the incident's alerts."""
    shown = [_shown_alert(incident, alert) for alert in _worst_alerts(incident, number)]
    if len(incident.shown) > ALERTS_MAX:
        incident.shown = {alert.fingerprint: alert for alert in shown}
    if incident.members:
        members = nsmallest(number, incident.members.items(), key=_member_rank)
        shown += [_shown_member(fingerprint, member) for fingerprint, member in members]
        shown.sort(key=_rank)
    alerts = _within_bounds(shown[:number])
    return {
        "alerts": [alert.json for alert in alerts],
        "alerts_omitted": incident.size - len(alerts),
        "alerts_firing": incident.alerts_firing,
        "alerts_total": incident.size,
        "common_labels": _bounded(_common_labels(incident)),
        "links": _links(alerts),
    }


def _worst_alerts(incident: Incident, number: int) -> list[LiveAlert]:
    if incident.ranking is None:
        if len(incident.alerts) < INDEXED_FROM:
            return worst_first(incident.alerts.values())[:number]
        incident.ranking = AlertRanking(incident.alerts.values())
    return incident.ranking.first(number)


def _common_labels(incident: Incident) -> Labels:
    common = incident.common_labels
    for member in incident.members.values():
        common = labels_in_both(common, _labels(member))
    return {} if common is None else common


def _shown_alert(incident: Incident, alert: LiveAlert) -> ShownAlert:
    """The alert as JSON; that of the snapshot or message before, if nothing of it has changed."""
    made_of = _values_shown(alert)
    known = incident.shown.get(alert.fingerprint)
    if known is not None and known.made_of == made_of:
        return known
    labels, annotations = alert.labels, alert.annotations
    if alert.bytes > ALERT_BYTES_MAX:
        labels, annotations = _cut(labels), _cut(annotations)
    document = {
        "fingerprint": alert.fingerprint,
        "status": AlertStatus.FIRING if alert.firing else AlertStatus.ENDED,
        "severity": alert.severity,
        "labels": labels,
        "annotations": annotations,
        "generator_url": alert.generator_url,
        "starts_at": _instant(alert.starts_ms),
        "ends_at": None if alert.firing else _instant(alert.ended_ms),
    }
    shown = incident.shown[alert.fingerprint] = _encoded(document, alert.bytes, made_of)
    return shown


def _shown_member(fingerprint: str, member: Member) -> ShownAlert:
    document = {
        "fingerprint": fingerprint,
        "status": AlertStatus.FIRING if member.firing else AlertStatus.ENDED,
        "severity": member.severity,
        "labels": _labels(member),
        "annotations": member.annotations,
        "generator_url": "",
        "starts_at": _instant(member.starts_ms),
        "ends_at": None,
    }
    return _encoded(document, member.size, ())


def _encoded(document: Document, size: int, made_of: tuple[object, ...]) -> ShownAlert:
    links: dict[str, str] = {}
    add_links(links, document["annotations"], document["generator_url"])
    json = orjson.Fragment(json_bytes(document))
    status, severity = document["status"], document["severity"]
    return ShownAlert(document["fingerprint"], status, severity, json, size, links, made_of)


def _labels(member: Member) -> Labels:
    return {"alertname": member.name} | member.labels | member.place_labels


def _rank(alert: ShownAlert) -> tuple[bool, str]:
    ended = alert.status is AlertStatus.ENDED
    return ended, "" if ended else alert.severity


def _member_rank(item: tuple[str, Member]) -> tuple[bool, str, int, str]:
    fingerprint, member = item
    severity = member.severity if member.firing else ""
    return not member.firing, severity, -member.starts_ms, fingerprint


def _within_bounds(alerts: list[ShownAlert]) -> list[ShownAlert]:
    """As many alerts as the bounds allow, and always the first."""
    room = ALERTS_BYTES_MAX
    for number, alert in enumerate(alerts):
        room -= alert.size
        if number and room < 0:
            return alerts[:number]
    return alerts


def _links(alerts: list[ShownAlert]) -> dict[str, str]:
    """The links of the alerts that are shown, the worst alert's first; one for each name."""
    links: dict[str, str] = {}
    for alert in alerts:
        for title, link in alert.links.items():
            links.setdefault(title, link)
    return dict(islice(links.items(), LINKS_MAX))


def _bounded(labels: Labels) -> Labels:
    characters = sum(map(len, labels.values()))
    return labels if characters <= ALERT_BYTES_MAX else _cut(labels)


def _cut(texts: Labels) -> Labels:
    return {name: truncate(text, TEXT_CHARACTERS_MAX) for name, text in texts.items()}


def _instant(at_ms: int) -> str:
    """A sender's clock may say anything."""
    return format_instant(min(max(at_ms, 0), NEWEST_MS))
