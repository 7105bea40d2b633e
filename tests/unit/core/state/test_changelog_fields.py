"""The names of the fields in the changelog are written out, and none is forgotten."""

from dataclasses import fields

import pytest

from app.core.state.changelog_fields import FIELDS, encode, read_fields
from app.core.state.live_alert import LiveAlert, Suppression
from app.core.state.members import InhibitionGroup, Member
from app.core.state.state import Incident
from models.severity import Severity

# What is derived from other fields, or stands in another record.
DERIVED = {
    LiveAlert: {
        *("count", "last_ms", "ttl_ms", "starts_ms"),  # the counters
        *("repeat", "kin", "bytes", "timer_ms", "touched"),
    },
    Incident: {
        *("alerts", "firing", "firing_by", "unheard", "notifiable", "awaiting_correlation"),
        *("unnamed", "names", "ranking", "bytes", "timer_ms", "deadline_inputs"),
        *("common_labels", "shown"),
    },
    InhibitionGroup: {"bytes"},
}


@pytest.mark.parametrize("kind", FIELDS)
def test_each_field_is_kept_or_derived(kind: type) -> None:
    """A field that is new has to be added to the table, or a restart would forget it."""
    attributes = {field.name for field in fields(kind)}
    kept = list(FIELDS[kind].values())

    assert sorted(kept) == sorted(attributes - DERIVED.get(kind, set()))


def test_a_thing_is_written_with_the_names_of_the_table() -> None:
    """Also where the attribute has another name, and within others."""
    member = Member("A", "c", "I", Severity.P2, firing=True, record="0-1", via=["x"])
    written = (
        b'{"name":"A","component":"c","scope":"","incident":"I","severity":"P2","firing":true,'
        b'"record":"0-1","labels":{},"fired_ms":0,"starts_ms":0,"in_cycle":false,"known_of":false,'
        b'"place_labels":{},"annotations":{},"own":true,"owner":"","hidden":false,'
        b'"rule_ids":["x"]}'
    )

    assert encode(member) == written
    assert encode([{"k": member}]) == b'[{"k":' + written + b"}]"
    assert read_fields(Member, {"rule_ids": ["x"], "own": False}) == {"via": ["x"], "own": False}


@pytest.mark.parametrize("document", [{"because": "x", "via": "y"}, {"becauze": "x"}])
def test_an_unknown_field_is_damage(document: dict[str, str]) -> None:
    """No version wrote it."""
    with pytest.raises(KeyError):
        read_fields(Suppression, document)


def test_a_wrong_type_is_damage() -> None:
    """It must not wait for a timer to raise."""
    with pytest.raises(TypeError, match="because is 7, must be str"):
        read_fields(Suppression, {"because": 7})
