"""An Alertmanager and Tocsin side by side: of which alerts they notify others."""

from collections.abc import Mapping
from typing import Any

from app.core.rules.compiled_policy import CompiledPolicy
from app.policy.side_by_side import Difference, Side, SideBySide, compare_sides
from tests.support.shipped_policy import shipped

DOWN = {"alertname": "Down", "service": "db", "severity": "critical"}
SLOW = {"alertname": "Slow", "service": "web", "severity": "warning"}


def alert(labels: Mapping[str, str], *receivers: str, **status: list[str]) -> dict[str, Any]:
    """An alert as the API v2 has it."""
    return {
        "fingerprint": "/".join(labels.values()),
        "labels": labels,
        "receivers": [{"name": name} for name in receivers],
        "status": {"state": "active", "silencedBy": [], "inhibitedBy": []} | status,
    }


def policy() -> CompiledPolicy:
    """One that an import could have made: a receiver with two pagers is two contacts."""
    document = shipped().document
    team = {"contact": {"name": "everybody", "chat": "#all"}, "chain": ["on-call"]}
    contacts = {
        "on-call": {"name": "on call", "pager": "a"},
        "on-call-2": {"name": "on call (2)", "pager": "b"},
    }
    critical = {
        "name": "critical",
        "prefix": "INC",
        "match": ['severity="critical"'],
        "also_notify": ["on-call", "on-call-2"],
    }
    rest = ("version", "severities", "components", "incidents")
    return CompiledPolicy(
        {name: document[name] for name in rest}
        | {
            "contacts": contacts,
            "teams": {"everybody": team},
            "default_owner": "everybody",
            "classes": [critical],
            "heartbeats": [
                {
                    "name": "watchdog",
                    "match": ['alertname="Watchdog"'],
                    "missing": "5m",
                    "severity": "P0",
                }
            ],
            "notify": {"channels": {f"P{number}": ["pager", "chat"] for number in range(4)}},
        }
    )


def test_the_same_receivers() -> None:
    """Several contacts of a receiver are that receiver; silenced there and inhibited here is nobody on both."""
    theirs = [alert(DOWN, "on call", "everybody"), alert(SLOW, "everybody", silencedBy=["x"])]
    ours = [alert(DOWN, "everybody"), alert(SLOW, "everybody", inhibitedBy=["y"])]

    assert compare_sides(theirs, ours, policy()) == SideBySide(2, 2, 2, 0, [])


def test_other_receivers_are_grouped() -> None:
    """What differs in the same way is one difference, the most frequent first."""
    more: list[Mapping[str, str]] = [SLOW | {"pod": str(number)} for number in range(3)]
    theirs = [alert(DOWN, "nobody else"), *(alert(labels, "web") for labels in more)]
    ours = [alert(DOWN, "everybody"), *(alert(labels, "everybody") for labels in more)]

    compared = compare_sides(theirs, ours, policy())

    both = Side(("everybody", "on call"))
    assert compared.differences == [
        Difference(Side(("web",)), Side(("everybody",)), more),
        Difference(Side(("nobody else",)), both, [DOWN]),
    ]


def test_nobody_on_one_side_says_why() -> None:
    """An alert that one has not received, or keeps quiet, and the other does not."""
    theirs = [alert(DOWN, "everybody", mutedBy=["night"])]
    ours = [alert(DOWN, "everybody"), alert(SLOW, "everybody")]

    texts = [
        (str(difference.alertmanager), str(difference.tocsin))
        for difference in compare_sides(theirs, ours, policy()).differences
    ]

    assert sorted(texts) == [
        ("nobody (muted)", "everybody, on call"),
        ("nobody (not received)", "everybody"),
    ]


def test_a_heartbeat_is_no_difference_while_both_have_it() -> None:
    """Tocsin notifies nobody of it while it is received; one that is missing on one side is shown."""
    watchdog = alert({"alertname": "Watchdog"}, "pinged")

    both = compare_sides([watchdog], [watchdog], policy())
    there = compare_sides([watchdog], [], policy())

    assert both == SideBySide(1, 1, 0, 1, [])
    assert [str(difference.tocsin) for difference in there.differences] == ["nobody (not received)"]
