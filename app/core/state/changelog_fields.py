"""The fields of the changelog's records: their names there, and the attributes that they stand for.

The names are written out, so that a new name of an attribute changes no byte. A new field is added
here with a default in its class. `tests/unit/core/state/test_changelog_fields.py` says when one is
missing.
"""

from collections.abc import Mapping
from operator import attrgetter
from typing import Any

import orjson

from app.core.state.changelog_types import check_types
from app.core.state.expected_heartbeats import ExpectedHeartbeat
from app.core.state.live_alert import LiveAlert, Suppression
from app.core.state.members import Fired, InhibitionGroup, Member, Target
from app.core.state.near_part import NearPart
from app.core.state.receivers import Receiver
from app.core.state.state import Incident
from app.core.state.tasks import Task
from models.matcher import Matcher
from models.silence import Silence


def _same(*names: str) -> dict[str, str]:
    """Fields that have their attribute's name."""
    return {name: name for name in names}


_ALERT = {
    **_same("fingerprint", "component", "scope", "labels", "annotations", "generator_url"),
    **_same("severity", "severity_label", "owner"),
    "class": "incident_class",
    **_same("firing", "fired_ms", "fired_offset", "ended_ms", "notifiable_since_ms", "named"),
    **_same("known_of", "unheard_ms", "incident"),
    "joined_offset": "joined",
    **_same("follows", "own_ended", "replaced", "until_resolved", "retain_until_ms"),
    **_same("heartbeat", "suppressions", "changes"),
}
_INCIDENT = {
    **_same("id", "component", "scope"),
    "class": "incident_class",
    **_same("state", "severity", "peak_severity", "peak_title", "title", "summary", "episode"),
    **_same("next_step", "next_command", "runbook", "rule", "members", "suppressions", "parents"),
    **_same("opened_ms", "opened_by", "acknowledged_ms", "acknowledged_by", "unacknowledged"),
    **_same("resolved_ms", "resolved_by", "closed_ms", "lost", "reopened", "reopened_unexplained"),
    # Whose it is.
    **_same("owner", "owner_alert", "owner_severity", "owner_ms", "notified_owner"),
    "escalation_step": "step",
    **_same("step_since_ms", "steps_notified", "unacknowledged_since_ms"),
    "escalated_by": "escalated",
    "always_escalates": "always",
    # What operators reported.
    **_same("assignee", "mitigated_ms", "mitigated_by", "root_cause", "root_cause_by"),
    **_same("assessment", "eta_ms", "complaints", "refused"),
    # Since when, and how often.
    **_same("severity_ms", "notifiable_since_ms", "notified_ms", "first_notified_ms"),
    **_same("message_ms", "notified_alerts", "notified_severity", "fires_anew_ms", "places"),
    **_same("ended_unnamed"),
    **_same("known_of", "joined", "last_update_ms", "reminded_ms", "reminded"),
    **_same("flapping_ms", "correlation_wait_ms", "mutes", "suppression_notified", "notify_anew"),
    **_same("deferred_notification", "deferred_escalations", "deferred_since_ms"),
    **_same("undecided_escalations", "clock_ms", "clock_since_ms", "clock_severity", "clocks"),
    **_same("act_keys", "muted_by", "snapshot_ms", "snapshot_sum", "snapshot_due", "near"),
    "services_down": "down",
}
_MEMBER = {
    **_same("name", "component", "scope", "incident", "severity", "firing", "record", "labels"),
    **_same("fired_ms", "starts_ms", "in_cycle", "known_of", "place_labels", "annotations", "own"),
    **_same("owner", "hidden"),
    "rule_ids": "via",
}
FIELDS: dict[type, dict[str, str]] = {
    LiveAlert: _ALERT,
    Incident: _INCIDENT,
    NearPart: {
        **_same("times", "actor", "alert", "expired", "root", "root_key", "roots"),
        **_same("because", "severity", "explains"),
    },
    Suppression: _same("because", "parent", "source"),
    Member: _MEMBER,
    Fired: _same("at_ms", "fingerprint", "member", "steps"),
    Target: _same("at_ms", "member", "root"),
    InhibitionGroup: _same("sources", "targets", "last", "ended_ms"),
    Receiver: _same(
        *("sent_ms", "digest_ms", "counts", "incidents", "ended", "ended_omitted", "tasks", "body")
    ),
    Task: {
        **_same("id", "incident", "name", "title", "steps", "owner", "severity"),
        **_same("made_ms", "due_ms", "remind_ms", "reminded"),
    },
    ExpectedHeartbeat: _same("rule", "labels", "since_ms", "received", "raised"),
    Silence: _same(
        *("id", "matchers", "starts_ms", "ends_ms", "by", "comment", "annotations", "at_ms")
    ),
    Matcher: _same("label", "operator", "value"),
}
_VALUES = {kind: attrgetter(*names.values()) for kind, names in FIELDS.items()}


def encode(value: object) -> bytes:
    """The JSON of something that the state has."""
    text = orjson.dumps(value, default=_document_of, option=orjson.OPT_PASSTHROUGH_DATACLASS)
    return bytes(memoryview(text))  # as `models.text.json_bytes` says


def read_fields(kind: type, document: Mapping[str, Any]) -> dict[str, Any]:
    """The attributes in a document. Raises KeyError for an unknown field and TypeError for a wrong type."""
    names = FIELDS[kind]
    attributes = {names[name]: value for name, value in document.items()}
    check_types(kind, attributes)
    return attributes


def _document_of(value: object) -> dict[str, Any]:
    kind = type(value)
    return dict(zip(FIELDS[kind], _VALUES[kind](value), strict=True))
