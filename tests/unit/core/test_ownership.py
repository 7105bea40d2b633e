"""Whose an incident is and how bad it is now: what fires decides, and who was notified is told so."""

from app.transport.log import StoredRecord
from models.effect import Stream
from models.journal import encode_command
from models.text.instant import milliseconds
from tests.support.night import Night
from tests.support.scenario import START_MS
from tests.support.shipped_policy import shipped

MINUTE_MS = 60_000
GENERIC = {"alertname": "TargetDown", "severity": "warning", "job": "chat"}  # infrastructure's
WORSE = {"alertname": "OllamaServiceDown", "severity": "critical", "component": "chat"}  # ai's
OTHER = {"alertname": "RedisStuck", "severity": "critical", "component": "chat"}  # data's


def test_the_team_of_a_worse_alert_gets_the_incident_at_once() -> None:
    """It is notified as of an opening, from step 1; the team before is told once, by chat."""
    night = Night().fire(GENERIC).until(1).fire(WORSE)

    assert (night.incident["owner"], night.incident["title"]) == (
        "ai",
        "OllamaServiceDown on chat",
    )
    assert night.told("opened", "pager") == [(1, "On-call AI Engineer")]
    assert night.told("handed_over") == [(1, "Ops Team")]
    assert night.told("severity_raised") == []
    assert night.entries("OwnerChanged") == [
        "Owner changed from infrastructure to ai: OllamaServiceDown (P0) is now the worst alert"
    ]


def test_an_acknowledgement_of_the_old_team_does_not_bind_the_new_one() -> None:
    """The incident is open again, and climbs the chain of the new owner."""
    night = Night().fire(GENERIC).until(1).say("acknowledge").until(2).fire(WORSE).until(4)

    assert (night.incident["state"], night.incident["acknowledged_by"]) == ("open", "")
    assert night.told("escalated", "pager") == [(4, "Lead AI Engineer")]


def test_a_team_that_nobody_notified_is_not_told_that_it_is_rid_of_it() -> None:
    """Within the first team's group_wait the worse alert decides who is notified."""
    night = Night().fire(GENERIC).until(0.25).fire(WORSE).until(2)

    assert night.told("handed_over") == []
    assert night.told("opened", "pager") == [(0.25, "On-call AI Engineer")]


def test_an_alert_that_is_as_bad_does_not_take_it_over() -> None:
    """What fires longest decides."""
    night = Night().fire(WORSE).until(1).fire(OTHER).until(2)

    assert night.incident["owner"] == "ai"


def test_the_owner_moves_down_when_the_worst_alert_stays_away() -> None:
    """Thirty minutes after its end, not before, to the team of what fires still."""
    night = Night().fire(WORSE).fire(GENERIC).until(5).end(WORSE).until(34.9)
    before = night.incident
    night.until(35)

    assert (before["owner"], before["severity"], before["peak_severity"]) == ("ai", "P2", "P0")
    assert (night.incident["owner"], night.incident["title"]) == (
        "infrastructure",
        "TargetDown on chat",
    )
    assert night.told("handed_over") == [(35, "AI Team")]


def test_a_worst_alert_that_comes_back_keeps_its_owner() -> None:
    """Its time away begins anew each time."""
    night = Night().fire(WORSE).fire(GENERIC).until(5).end(WORSE).until(30).fire(WORSE).until(40)

    assert (night.incident["owner"], night.incident["severity"]) == ("ai", "P0")
    assert night.told("opened", "pager") == [(when, "On-call AI Engineer") for when in (0, 30)]


def test_whom_an_operator_gave_it_has_it_until_something_worse_fires() -> None:
    """The alerts that were there do not take it back."""
    night = Night().fire(GENERIC).until(1).say("assign", team="data").until(2)
    given = night.incident["owner"]
    night.fire(WORSE)

    assert (given, night.incident["owner"]) == ("data", "ai")


def test_another_policy_moves_an_open_incident() -> None:
    """The new owner is notified, and the old one told."""
    document = shipped().document
    entry = {"match": ['alertname="TargetDown"'], "team": "platform"}
    night = Night().fire(GENERIC).until(0.5).until(1)
    night.adopt(document | {"ownership": [entry, *document["ownership"]]}).until(2)

    assert night.incident["owner"] == "platform"
    assert night.told("opened") == [(0.5, "Ops Team"), (1, "Platform Team")]
    assert night.told("handed_over") == [(1, "Ops Team")]


def test_what_always_escalates_never_weakens() -> None:
    """An intrusion that is not reported any more is an intrusion still."""
    intrusion = {"alertname": "IntrusionDetected", "component": "vpn", "category": "security"}
    other = {"alertname": "Scan", "component": "vpn", "category": "security", "severity": "info"}
    night = Night().fire(intrusion).fire(other).until(5).end(intrusion).until(60)

    assert (night.incident["severity"], night.incident["owner"]) == ("P0", "security")


def test_a_closed_incident_is_named_by_its_worst() -> None:
    """Its tasks and its report are about the P0 that it was."""
    night = Night().fire(WORSE).fire(GENERIC).until(5).end(WORSE).until(8).end(GENERIC).until(20)

    closed = night.incident
    assert (closed["state"], closed["severity"], closed["title"]) == (
        "closed",
        "P0",
        "OllamaServiceDown on chat",
    )
    assert {one["name"] for one in night.bodies(Stream.FOLLOWUPS)} >= {"root-cause", "review"}


def test_a_clock_moves_to_an_earlier_target_only() -> None:
    """A P1 has to be acknowledged in 15 minutes: a P0 after 14 does not give it another two."""
    p1 = {"alertname": "HighErrorRate", "component": "shop"}
    p0 = {"alertname": "ServiceDown", "component": "shop"}
    late = Night().fire(p1).until(14).fire(p0)
    early = Night().fire(p1).until(5).fire(p0)

    due = [night.incident["clocks"]["acknowledge"]["due_at"] for night in (late, early)]
    assert [(milliseconds(one) - START_MS) / MINUTE_MS for one in due] == [15, 7]


def test_an_urgent_alert_that_is_not_heard_of_climbs_on() -> None:
    """Its messages say since when; after `lost_after` it is over."""
    night = Night().fire(WORSE, minutes=5).until(20)
    climbing = night.incident
    night.until(64.9)
    before = night.incident["state"]
    night.until(65)

    assert (climbing["state"], climbing["escalation_step"]) == ("open", 4)
    texts = [text for text in night.entries("Escalated") if "acknowledged for" in text]
    assert texts[-1] == (
        "Not acknowledged for 7m. Not received since 2025-06-15T15:06:40.000Z. "
        "Step 3: AI Team Lead."
    )
    assert (before, night.incident["state"]) == ("open", "resolved")
    assert night.entries("AlertExpired") == ["OllamaServiceDown: not received for 1h5m"]


def test_an_alert_that_is_heard_of_again_fires_as_before() -> None:
    """It expires anew, from when it was heard of last."""
    night = Night().fire(WORSE, minutes=5).until(10).fire(WORSE, minutes=5).until(14)

    assert night.entries("HeardAgain") == ["OllamaServiceDown is received again"]
    assert len(night.entries("Unheard")) == 1
    assert len(night.until(15).entries("Unheard")) == 2


def test_what_somebody_took_is_over_when_it_is_not_heard_of() -> None:
    """Somebody is at work, and sees that it is gone."""
    night = Night().fire(WORSE, minutes=5).until(1).say("acknowledge").until(5)

    assert night.incident["state"] == "resolved"


def test_resolving_an_incident_ends_what_is_not_heard_of() -> None:
    """It closes, and is not reopened because of an alert that nobody sends."""
    night = Night().fire(WORSE, minutes=5).until(6).say("resolve").until(20)

    assert night.incident["state"] == "closed"
    assert night.incident["reopened"] == 0


def test_a_lapsed_acknowledgement_counts_from_its_lapse() -> None:
    """It lapses after 46 minutes; a message an hour later says for how long nobody has had it."""
    shop = {"alertname": "HighErrorRate", "component": "shop"}
    night = Night().fire(shop).until(1).say("acknowledge").until(110)

    texts = [one["text"] for one in night.bodies(Stream.NOTIFICATIONS) if one["kind"] == "repeated"]
    assert set(texts) == {"Not acknowledged for 1h. 1 of 1 alerts firing."}


def test_another_policy_does_not_undo_what_an_operator_assigned() -> None:
    """An incident that a rule opened stays with whom it was given to."""
    night = Night()
    for name in ("Nlp", "Ocr", "Asr"):
        night.fire({"alertname": f"{name}AgentDown", "component": name})
    night.until(1)
    opened = next(one for one in night.bodies(Stream.INCIDENTS) if one["rule"])
    command = encode_command("assign", opened["incident"], "ann", team="platform")
    night.stage.append(StoredRecord(-1, START_MS + MINUTE_MS, b"", command))
    night.adopt(shipped().document | {"updates": {}}).until(2)

    newest = [one for one in night.bodies(Stream.INCIDENTS) if one["rule"]][-1]
    assert (opened["owner"], newest["owner"]) == ("ai", "platform")


def test_another_policy_moves_what_a_rule_opened() -> None:
    """If the rule opens incidents for another team now."""
    night = Night()
    for name in ("Nlp", "Ocr", "Asr"):
        night.fire({"alertname": f"{name}AgentDown", "component": name})
    rules = shipped().document["correlations"]
    rules = [
        one | {"open": one["open"] | {"owner": "platform"}} if one["name"] == "agents-down" else one
        for one in rules
    ]
    night.until(1).adopt(shipped().document | {"correlations": rules}).until(2)

    newest = [one for one in night.bodies(Stream.INCIDENTS) if one["rule"]][-1]
    assert newest["owner"] == "platform"
