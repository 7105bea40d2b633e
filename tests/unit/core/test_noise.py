"""What nobody is told: reminders while nobody has taken it, and the like."""

import copy

import pytest

from app.core.rules.compiled_policy import CompiledPolicy
from models.effect import Stream
from tests.support.night import Night
from tests.support.shipped_policy import shipped

P0 = {"alertname": "OllamaDown", "severity": "critical", "component": "ollama"}
P2 = {"alertname": "HighLatency", "severity": "warning", "component": "api"}


def kinds(night: Night) -> list[str]:
    """The kinds of all messages so far."""
    return [body["kind"] for body in night.bodies(Stream.NOTIFICATIONS)]


@pytest.mark.parametrize("labels", [P0, P2])
def test_only_who_acknowledged_it_is_reminded(labels: dict[str, str]) -> None:
    """While nobody has taken an incident, escalation is the reminder."""
    alone = Night().fire(labels).until(59)
    taken = Night().fire(labels).until(1).say("acknowledge").until(59)

    assert "reminder" not in kinds(alone)
    assert kinds(taken).count("reminder") == 2


def test_the_time_to_acknowledge_is_told_by_escalation() -> None:
    """A P0 that nobody acknowledges escalates at its target: no message says so besides."""
    night = Night().fire(P0).until(10)

    assert "escalated" in kinds(night)
    assert not {"clock_warned", "clock_breached"} & {*kinds(night)}
    assert night.entries("ClockBreached") == ["Not acknowledged within 2m (P0 target)"]


def test_the_time_to_acknowledge_is_told_where_nobody_is_called() -> None:
    """A P3 has no escalation, so its missed target is told."""
    labels = {"alertname": "Rare", "severity": "info", "component": "api"}
    document = copy.deepcopy(shipped().document)
    document["notify"]["hours"] = []

    night = Night(CompiledPolicy(document)).fire(labels).until(5 * 60)

    assert "clock_breached" in kinds(night)


@pytest.mark.parametrize(("labels", "number"), [(P0, 1), (P2, 0)])
def test_nobody_is_told_that_a_target_of_a_p2_is_near(labels: dict[str, str], number: int) -> None:
    """The time to resolve a P0 is told when most of it is gone; that of a P2 is not."""
    night = Night().fire(labels).until(1).say("acknowledge")
    for minute in range(10, 23 * 60, 10):
        night.until(minute).say("update", text="at work")

    assert kinds(night).count("clock_warned") == number
    assert len(night.entries("ClockWarned")) == 1


def test_an_escalation_puts_off_the_repeat() -> None:
    """A P0 is repeated half an hour after the last of its chain was called, and not before."""
    night = Night().fire(P0).until(80)

    called = [minute for minute, _ in night.told("escalated", "pager")]
    repeated = [minute for minute, _ in night.told("repeated", "pager")]
    assert called[-1] == 48
    assert repeated == [78]


def test_an_address_is_told_once_in_a_step() -> None:
    """What always escalates tells the team's address of its opening and of its escalation at once."""
    labels = {"alertname": "BruteForce", "severity": "critical", "component": "vpn"}

    night = Night().fire(labels)

    told = [
        (body["kind"], body["address"], body["text"])
        for body in night.bodies(Stream.NOTIFICATIONS)
        if body["address"] in ("#security", "security@sutazai.com", "security-lead")
    ]
    because = "BruteForce on vpn always escalates (security-incident)"
    assert told == [
        ("opened", "security@sutazai.com", "BruteForce on vpn"),
        ("opened", "#security", because),
        ("escalated", "security-lead", because),
    ]


def test_an_end_is_told_once_to_an_address() -> None:
    """Members of a chain who share their team's addresses hear once that it is over, and what is wanted then."""
    night = Night().fire(P0).until(8).end(P0).until(14)

    ends = [
        (body["channel"], body["address"])
        for body in night.bodies(Stream.NOTIFICATIONS)
        if body["kind"] == "resolved"
    ]
    texts = {
        body["text"]
        for body in night.bodies(Stream.NOTIFICATIONS)
        if body["address"] == "ai-team@sutazai.com" and body["kind"] == "resolved"
    }
    assert len(ends) == len(set(ends))
    assert ("pager", "ai-lead") in ends
    assert ("email", "ai-team@sutazai.com") in ends
    assert "root_cause_wanted" not in kinds(night)
    assert [text.endswith("What was the root cause?") for text in texts] == [True]


def test_timers_of_one_instant_are_one_message() -> None:
    """Two rules call the last of the chain after the same time, one by the alert and one by the incident."""
    document = shipped().document
    lasting = {"name": "p0-lasting", "severity": ["P0"], "lasting": "15m"}
    cause = {"name": "no-root-cause", "severity": ["P0"], "without": "root_cause", "after": "15m"}
    policy = CompiledPolicy(document | {"escalations": [lasting, cause]})
    night = Night(policy).fire(P0).until(15)

    (call,) = [
        body
        for body in night.bodies(Stream.NOTIFICATIONS)
        if (body["kind"], body["channel"], body["receiver"]) == ("escalated", "pager", "CTO")
    ]
    rules = [body["rule"] for body in night.bodies(Stream.ESCALATIONS)]
    assert sorted(rules[-2:]) == ["no-root-cause", "p0-lasting"]
    assert "firing for 15m" in call["text"]
    assert "root cause" in call["text"]


def test_a_reminder_at_the_instant_of_a_missed_target_is_one_message_with_it() -> None:
    """The target's message stays, and its text has both."""
    labels = {"alertname": "CheckoutStuck", "severity": "critical", "component": "shop"}
    night = (
        Night().fire(labels).say("acknowledge").until(30).say("update", text="at work").until(60)
    )

    last = [body for body in night.bodies(Stream.NOTIFICATIONS) if body["address"] == "#ops"][-1]
    assert last["kind"] == "clock_breached"
    assert "Post one" in last["text"]


def test_steps_are_told_apart() -> None:
    """The same address is told of what happens later."""
    night = Night().fire(P0).until(2).say("acknowledge")

    chats = [body for body in night.bodies(Stream.NOTIFICATIONS) if body["address"] == "#ai"]
    assert [body["kind"] for body in chats] == ["opened", "acknowledged"]


def test_an_escalation_is_not_told_anew_where_the_team_is() -> None:
    """Who is called by pager finds it in the team's mailbox and chat; a P2 is posted anew in the chat."""
    urgent = Night().fire(P0).until(2)
    minor = Night().fire(P2).until(61)

    actions = [
        {
            (body["channel"], body["action"])
            for body in night.bodies(Stream.NOTIFICATIONS)
            if body["kind"] == "escalated"
        }
        for night in (urgent, minor)
    ]
    assert actions[0] == {("pager", "trigger")}
    assert actions[1] == {("chat", "trigger")}


def test_a_root_cause_is_reminded_of_when_it_is_due_and_then_daily() -> None:
    """The end's message asks for it, and no mail comes each hour of the night."""
    night = Night().fire(P0).until(1).end(P0).until(20 * 60).until(20 * 60 + 5)

    assert len(night.told("digest", "email")) == 1


def test_a_task_that_is_due_in_the_night_is_reminded_of_in_the_morning() -> None:
    """Once, though two reminders fell into the weekend; a team without hours is reminded at once."""
    document = shipped().document
    teams = document["teams"]
    ai = {name: value for name, value in teams["ai"].items() if name != "hours"}
    always = CompiledPolicy(document | {"teams": teams | {"ai": ai}})
    nights = [Night(policy).until(5 * 60) for policy in (shipped(), always)]  # a Sunday, 22:06

    for night in nights:
        night.fire(P0).until(5 * 60 + 1).end(P0)
        for minute in range(310, 18 * 60, 10):
            night.until(minute)

    morning, at_once = ([minute for minute, _ in night.told("digest", "email")] for night in nights)
    assert morning == [960 + 5]  # 09:06, and the five minutes of a digest
    assert at_once == [370 + 5]  # 23:16


def test_a_team_gets_one_message_of_the_tasks_that_are_due() -> None:
    """Three incidents of one morning are reminded of at one instant, in one mail that names each task."""
    night = Night()
    for number in range(3):
        labels = P0 | {"component": f"ollama-{number}"}
        night.fire(labels).until(20 * number + 5).end(labels).until(20 * number + 20)
    night.until(20 * 60).until(20 * 60 + 5)

    (reminder,) = [body for body in night.bodies(Stream.NOTIFICATIONS) if body["kind"] == "digest"]
    assert reminder["title"] == "3 follow-up tasks due"
    assert reminder["receiver"] == "AI Team"
    assert [reminder["text"].count(f"ollama-{number} (INC-") for number in range(3)] == [1, 1, 1]


def test_who_is_called_by_pager_hears_of_the_end_there() -> None:
    """A manager's mailbox gets the call, and no second mail at the end; the team's mailbox does."""
    labels = {"alertname": "ServiceDown", "severity": "critical", "component": "web"}

    night = Night().fire(labels).until(8).end(labels).until(14)

    assert night.told("resolved", "email") == [(13, "Ops Team")]
    assert {receiver for _, receiver in night.told("resolved", "pager")} == {
        *("On-call SRE", "Lead SRE", "Engineering Manager")
    }


def test_an_escalation_is_mailed_to_an_address_of_its_own() -> None:
    """A manager who is not in the team's mailbox gets a mail besides the page."""
    labels = {"alertname": "ServiceDown", "severity": "critical", "component": "web"}

    night = Night().fire(labels).until(8)

    assert night.told("escalated", "email") == [(7, "Engineering Manager")]
    assert night.told("escalated", "pager") == [(2, "Lead SRE"), (7, "Engineering Manager")]
