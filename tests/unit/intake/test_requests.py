"""The alerts of one request for one component become one journal record."""

from app.intake import requests
from app.intake.requests import records_of_request
from app.transport.log import NewRecord
from models.journal import alerts_in, encode_alerts
from tests.support.scenario import START_MS, alert_record


def record(
    name: str, component: str = "api", *, firing: bool = True, summary: str = ""
) -> NewRecord:
    """The record that an alert would have alone."""
    labels = {"alertname": name, "component": component}
    alert = alert_record(START_MS, labels, component, firing=firing, summary=summary)
    return NewRecord(alert.key, alert.value)


def together(*records: NewRecord) -> NewRecord:
    """The record that several alerts have."""
    return NewRecord(records[0].key, encode_alerts([one.value or b"" for one in records]))


def test_alerts_of_one_component_are_one_record() -> None:
    """Those of other components are others; each has the number of its first alert."""
    down, slow, other = record("Down"), record("Slow"), record("Down", "web")

    records = records_of_request([down, other, slow])

    assert records == [(0, together(down, slow)), (1, other)]
    assert alerts_in(records[0][1].value or b"") == [down.value, slow.value]


def test_what_fires_comes_before_what_has_ended() -> None:
    """An incident that goes on does not end within a record."""
    ended, fires = record("Down", firing=False), record("Slow")

    assert records_of_request([ended, fires]) == [(0, together(fires, ended))]


def test_an_alert_that_is_there_twice_is_two_records() -> None:
    """That it fires and that it ended are decided one after the other."""
    fires, ended, slow = record("Down"), record("Down", firing=False), record("Slow")

    records = records_of_request([fires, ended, slow])

    assert records == [(0, fires), (1, together(slow, ended))]


def test_a_record_has_bounds() -> None:
    """A request of very many alerts, or of large ones, is several records."""
    many = [record(f"A{number}") for number in range(requests.ALERTS_MAX + 1)]
    large = [record(f"A{number}", summary="x" * requests.BYTES_MAX) for number in range(2)]

    assert [number for number, _ in records_of_request(many)] == [0, requests.ALERTS_MAX]
    assert records_of_request(large) == [(0, large[0]), (1, large[1])]
