"""What happened hour by hour, what woke people, and which targets were kept."""

from datetime import UTC
from typing import Any
from zoneinfo import ZoneInfo

from app.report import activity
from app.report.activity import HOUR_MS, ActivityLedger, Hour, NoiseRow, TargetRow
from app.report.availability import month_of
from models.text.instant import milliseconds
from tests.support.incident_documents import ALERT, NOW_MS, entry

FIRST, SECOND = "INC-20260412T131000Z-00K1", "INC-20260412T131000Z-00K2"


def opened(incident: str, at: str = "13:10:00", severity: str = "P1") -> dict[str, Any]:
    """An incident that an alert opens."""
    return entry("Opened", at, incident=incident, severity=severity, owner="ai", alert="4b6e")


def page(incident: str, at: str = "13:10:00", *, wakes: bool = True) -> dict[str, Any]:
    """A message of an incident."""
    return {
        "at": at if "T" in at else f"2026-04-12T{at}.000Z",
        "incident": incident,
        "wakes": wakes,
        "title": "OllamaServiceDown on ollama",
        "alerts": [ALERT],
    }


def ledger_of(entries: list[dict[str, Any]], sent: list[dict[str, Any]]) -> ActivityLedger:
    """A ledger that has read these."""
    ledger = ActivityLedger()
    for each in entries:
        ledger.feed_entry(each)
    for each in sent:
        ledger.feed_notification(each)
    return ledger


def test_hours() -> None:
    """An hour counts alerts that began to fire, incidents, messages and pages; a quiet one is there too."""
    ledger = ledger_of(
        [
            opened(FIRST, "11:59:59"),
            entry("AlertFired", "13:00:00", incident=FIRST, severity="P1", alert="5c7f"),
            entry("AlertEnded", "13:05:00", incident=FIRST, alert="5c7f"),
        ],
        [page(FIRST, "13:01:00"), page(FIRST, "13:02:00", wakes=False)],
    )

    hours = ledger.hours(3, NOW_MS)

    assert [at_ms % HOUR_MS for at_ms, _ in hours] == [0, 0, 0]
    assert [hour for _, hour in hours] == [Hour(1, 1, 0, 0), Hour(), Hour(1, 0, 2, 1)]


def test_an_incident_of_a_rule_is_no_alert() -> None:
    """What a rule opens has no alert of its own, so it counts as an incident only."""
    ledger = ledger_of([entry("Opened", "13:10:00", incident=FIRST, severity="P1")], [])

    assert ledger.hours(1, NOW_MS)[0][1] == Hour(alerts=0, incidents=1)


def test_what_woke_people() -> None:
    """Pages are counted by the alert's name, with the night of a zone, and what nobody touched."""
    ledger = ledger_of(
        [
            opened(FIRST),
            entry("Acknowledged", "13:11:00", incident=FIRST, by="ann"),
            entry("Resolved", "13:12:00", incident=FIRST, by=""),
            opened(SECOND),
            entry("Resolved", "13:12:00", incident=SECOND, by=""),
        ],
        [page(FIRST), page(FIRST, wakes=False), page(SECOND, "20:30:00"), page(SECOND, "21:30:00")],
    )

    in_utc = ledger.noise(0, UTC)
    in_berlin = ledger.noise(milliseconds("2026-04-12T20:00:00Z"), ZoneInfo("Europe/Berlin"))

    assert in_utc == [NoiseRow("OllamaServiceDown", 3, 0, 2, 1)]
    assert in_berlin == [NoiseRow("OllamaServiceDown", 2, 2, 1, 1)]


def test_what_is_open_is_not_untouched_yet() -> None:
    """Nobody has failed to act while the incident goes on, or goes on again."""
    ends = [entry("Resolved", "13:12:00", incident=FIRST, by="")]
    again = entry("Reopened", "13:13:00", incident=FIRST, by="")

    assert ledger_of([opened(FIRST)], [page(FIRST)]).noise(0, UTC)[0].untouched == 0
    assert ledger_of([opened(FIRST), *ends], [page(FIRST)]).noise(0, UTC)[0].untouched == 1
    assert ledger_of([opened(FIRST), *ends, again], [page(FIRST)]).noise(0, UTC)[0].untouched == 0


def test_targets() -> None:
    """A target that was missed once is missed; the severity is the worst, the month that of the opening."""
    ledger = ledger_of(
        [
            opened(FIRST),
            entry("ClockBreached", "13:15:00", incident=FIRST, clock="acknowledge"),
            entry("SeverityRaised", "13:16:00", incident=FIRST, severity="P0"),
            entry("ClockMet", "13:17:00", incident=FIRST, clock="acknowledge"),
            entry("ClockMet", "13:17:00", incident=FIRST, clock="resolve"),
            opened(SECOND, severity="P0"),
            entry("ClockMet", "13:11:00", incident=SECOND, clock="acknowledge"),
        ],
        [],
    )

    targets = ledger.targets(month_of("2026-04", NOW_MS))

    assert targets == [TargetRow("P0", "acknowledge", 1, 1), TargetRow("P0", "resolve", 1, 0)]
    assert targets[0].share == 0.5
    assert ledger.targets(month_of("2026-03", NOW_MS)) == []


def test_it_is_bounded(monkeypatch: Any) -> None:
    """What is too old is dropped, and of too many incidents the oldest."""
    monkeypatch.setattr(activity, "INCIDENTS_MAX", 2)
    names = [f"INC-20260412T131000Z-00K{number}" for number in range(9)]
    old = opened("INC-20260101T000000Z-00K1", "2026-01-01T00:00:00.000Z")
    ledger = ledger_of([old, *map(opened, names)], [page(name) for name in names])

    ledger.forget(NOW_MS)

    assert ledger.noise(0, UTC) == [NoiseRow("OllamaServiceDown", 2, 0, 2, 0)]
    assert sum(hour.incidents for _, hour in ledger.hours(24 * 200, NOW_MS)) == 9
