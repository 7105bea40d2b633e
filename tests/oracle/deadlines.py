"""When something of its own accord happens to an incident, as the policy's times say."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from typing import TYPE_CHECKING, Any

from models.text.duration import parse_ms
from tests.oracle.facts import Happened, Known, rules_about
from tests.oracle.hours import NEVER_MS
from tests.oracle.policy import by, is_about

if TYPE_CHECKING:
    from tests.oracle.oracle import Naive

Due = tuple[int, str, str]  # when, what, and of what


def own_deadlines(
    policy: Mapping[str, Any],
    incident: Happened,
    may_tell: Callable[[int], int],
    *,
    held: bool,
    waits_for_somebody: bool,
    unnamed: bool,
) -> Iterator[Due]:
    """In the order in which equal times are done.

    `may_tell` is when, from a time on, the incident may be told.
    """
    if incident.state == "resolved":
        settled_ms = max(
            incident.resolved[0] + parse_ms(policy["incidents"]["close_after"]),
            _calm_ms(policy, incident),
        )
        notified_ms = may_tell(settled_ms) if incident.told[0] else settled_ms
        yield notified_ms if notified_ms < NEVER_MS else settled_ms, "close_after", ""
    if incident.state not in ("open", "acknowledged"):
        return
    alert = incident.decides
    if alert is not None and not alert.firing and not incident.taken_over:
        yield alert.ended_ms + stable_after(policy), "stable", ""
    if incident.deferred_notification:
        yield may_tell(incident.deferred_notification[1]), "say", ""
    if not held:
        yield from _deferred_notification_due(
            _notification_due(policy, incident, unnamed=unnamed), may_tell
        )
    if incident.told[0] and (not (held and incident.parents) or incident.reopened_unexplained):
        yield from _service_level_due(policy, incident)
    if not held:
        if incident.deferred_escalations:
            yield may_tell(incident.deferred_escalations[-1][2]), "escalate", ""
        if incident.told[0]:
            climb = _escalation_due(policy, incident) if waits_for_somebody else iter(())
            several = (climb, _followup_due(policy, incident), _reminder_due(policy, incident))
            yield from _deferred_notification_due(chain(*several), may_tell)
    if incident.flapping_ms:
        yield _calm_ms(policy, incident), "stable_after", ""


def _calm_ms(policy: Mapping[str, Any], incident: Happened) -> int:
    return (
        incident.flapping_ms + parse_ms(policy["flapping"]["stable_after"])
        if incident.flapping_ms
        else 0
    )


def stable_after(policy: Mapping[str, Any]) -> int:
    """For how long the alert that gave an incident its owner has to be over."""
    flapping = policy["flapping"]
    return parse_ms(flapping["stable_after"] if flapping else policy["incidents"]["close_after"])


def _deferred_notification_due(due: Iterable[Due], may_tell: Callable[[int], int]) -> Iterator[Due]:
    for at_ms, what, which in due:
        yield may_tell(at_ms), what, which


def _waits_of(policy: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """The waits of everybody, and over them those that the incident's class has of its own."""
    waits = {"group_interval": "5m"} | {
        name: value for name, value in policy["notify"].items() if name in _WAITS
    }
    for declared in policy["classes"]:
        for name in _WAITS if declared["name"] == kind else ():
            own = declared.get(name, {})
            if isinstance(own, dict):
                everybody = waits.get(name, {})
                if not isinstance(everybody, dict):
                    everybody = dict.fromkeys(("P0", "P1", "P2", "P3"), everybody)
                waits[name] = everybody | own
            else:
                waits[name] = own
    return waits


_WAITS = ("group_wait", "group_interval", "repeat_interval")


def _notification_due(
    policy: Mapping[str, Any], incident: Happened, *, unnamed: bool
) -> Iterator[Due]:
    since, severity = incident.since, incident.severity
    waits = _waits_of(policy, incident.kind)
    notified_ms, notified_alerts, notified_severity = incident.told
    if not notified_ms:
        yield (
            since["open"] + max(by(waits, "group_wait", severity, 0), incident.wait_ms),
            "tell",
            "",
        )
    elif incident.notified_owner != incident.owner:
        yield max(incident.given_ms, since["open"]), "tell", ""
    elif incident.is_told_anew:
        yield since["open"], "tell", ""
    elif unnamed and incident.anew_ms and not incident.flapping_ms:
        wait_ms = by(waits, "group_wait", severity, 0)
        yield max(incident.anew_ms + wait_ms, since["open"]), "tell", ""
    elif severity < notified_severity:
        yield max(since["severity"], since["open"]), "tell", ""
    elif unnamed:
        interval = parse_ms(waits["group_interval"])
        yield max(notified_ms + interval, since["open"]), "tell", ""
    elif incident.flapping_ms:
        return
    elif incident.size > notified_alerts:
        interval = parse_ms(waits["group_interval"])
        yield max(notified_ms + interval, since["open"]), "tell", ""
    elif incident.state == "open" and (repeat := by(waits, "repeat_interval", severity, 0)):
        yield max(notified_ms, since["open"], since["step"]) + repeat, "tell", ""


def _service_level_due(policy: Mapping[str, Any], incident: Happened) -> Iterator[Due]:
    for clock in ("acknowledge", "resolve"):
        since_ms, severity = incident.targets[clock]
        target, state = by(policy["targets"], clock, severity), incident.clocks.get(clock)
        if target is not None and state is None:
            yield since_ms + target * 8 // 10, "near", clock
        elif target is not None and state == "warned":
            yield since_ms + target, "missed", clock


def is_somebody_called(policy: Mapping[str, Any], incident: Happened, *, waits: bool) -> bool:
    """Whether the chain has a next step, to which it climbs while it waits for somebody."""
    return waits and any(True for _ in _escalation_due(policy, incident))


def _escalation_due(policy: Mapping[str, Any], incident: Happened) -> Iterator[Due]:
    waits = policy["escalate_after"].get(incident.severity, [])
    last = len(policy["teams"][incident.owner]["chain"])
    if incident.step <= len(waits) and incident.step < last:
        begun = max(incident.since["step"], incident.since["severity"])
        yield begun + parse_ms(waits[incident.step - 1]), "escalate_after", ""


def _followup_due(policy: Mapping[str, Any], incident: Happened) -> Iterator[Due]:
    since_ms = max(incident.since["open"], incident.since["severity"], incident.first_told)
    for rule in rules_about(policy, incident, "without"):
        if rule["without"] not in incident.done and rule["name"] not in incident.rules:
            yield since_ms + parse_ms(rule["after"]), "undone", rule["name"]


def _reminder_due(policy: Mapping[str, Any], incident: Happened) -> Iterator[Due]:
    every = by(policy["updates"], "every", incident.severity)
    if every is not None and incident.state == "acknowledged":
        due = incident.since["word"] + every  # the last word, or reminder
        yield due, "remind" if incident.reminded < 2 else "forgotten", ""


def duration_due(naive: "Naive", alert: Known) -> Iterator[tuple[int, str, str, Any]]:
    """When an alert that fires and is loud has lasted for too long.

    Nobody minds while its incident is resolved.
    """
    incident = alert.incident
    assert incident is not None
    if incident.ended or naive.is_held(alert):
        return
    escalated = [*incident.rules, *(name for name, _, _ in incident.deferred_escalations)]
    for rule in naive.policy["escalations"]:
        if "lasting" in rule and rule["name"] not in escalated and is_about(rule, alert):
            when = alert.notifiable_since_ms + parse_ms(rule["lasting"])
            yield when, "lasting", f"{rule['name']} {alert.fingerprint}", (rule["name"], alert)
