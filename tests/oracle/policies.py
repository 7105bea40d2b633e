"""The policies under which the engine is compared with the oracle.

Each switches on what a family of journals is about.
"""

import copy
from typing import Any

from app.core.rules.compiled_policy import CompiledPolicy
from tests.support.shipped_policy import shipped

# What a policy is asked about besides incidents, clocks, correlations, climbing and silences is
# added to this.
PLAIN: dict[str, Any] = {
    "flapping": None,
    "followups": [],
    "dependencies": [],
    "inhibit_rules": [],
    "heartbeats": [],
    "runbooks": [],
}


def _plain(*, holds: bool = False, **parts: Any) -> CompiledPolicy:
    document = copy.deepcopy(shipped().document)
    times = ("group_wait", "group_interval", "repeat_interval")
    document["notify"] = {
        name: document["notify"][name] for name in ("channels", "reopened", *times)
    }
    document["notify"]["acknowledged"] = ["chat", "pager"]
    correlations = [rule for rule in document["correlations"] if "count" in rule]
    for team in document["teams"].values():
        del team["hours"]
    for rule in correlations if not holds else []:
        rule.pop("correlation_wait", None)
    del document["targets"]["availability"]
    return CompiledPolicy(document | PLAIN | {"correlations": correlations} | parts)


LINKS: dict[str, Any] = {
    "dependencies": [
        {
            "name": "needs-a",
            "root": ['alertname="ServiceDown"', 'component="a"'],
            "dependants": [
                ['component=~"b|c|a"', 'alertname!="ServiceDown"'],
                ['rule="agents-down"'],
            ],
            "within": "10m",
            "correlation_wait": "1m",
            "grace": "10m",
        },
        {
            "name": "needs-odd",
            "root": ['alertname=~"Odd|ServiceDown"'],
            "dependants": ['alertname=~"AgentDown|Slow|HighErrorRate"'],
            "by": ["severity"],
            "within": "4m",
            "correlation_wait": "20s",
        },
        {
            "name": "needs-agents",
            "root": ['rule="agents-down"'],
            "dependants": ['alertname="HighErrorRate"'],
            "within": "5m",
            "correlation_wait": "30s",
            "grace": "1m",
        },
    ],
    "inhibit_rules": [
        {
            "name": "bad-before-slow",
            "source_matchers": ['alertname=~"ServiceDown|HighErrorRate"'],
            "target_matchers": ['alertname=~"Slow|Odd|HighErrorRate"', 'severity!="critical"'],
            "equal": ["component"],
        }
    ],
}

# Hours and windows in the afternoon in which journals begin, so that they come and go within each.
INTERVALS: dict[str, Any] = {
    "shift": [
        {
            "times": [
                {"start_time": "15:30", "end_time": "15:50"},
                {"start_time": "16:20", "end_time": "17:00"},
            ]
        },
        {
            "times": [{"start_time": "23:00", "end_time": "24:00"}],
            "location": "Asia/Kolkata",
            "weekdays": ["sunday"],
        },
    ],
    "short": [{"times": [{"start_time": "15:10", "end_time": "15:17"}]}],
    "window": [
        {"times": [{"start_time": "17:00", "end_time": "18:10"}], "location": "Europe/Berlin"}
    ],
    "never": [
        {"times": [{"start_time": "18:00", "end_time": "18:01"}], "except_dates": ["2025-06-15"]}
    ],
}
MUTES = [
    {"name": "migration", "match": ['component="a"'], "during": ["window", "short"]},
    {
        "name": "errors",
        "match": ['alertname=~"HighErrorRate|DataLoss|AgentDown"'],
        "during": ["short"],
    },
    {"name": "minor", "severity": ["P2"], "during": ["never"]},
]


def _storms(expected: str, **parts: Any) -> CompiledPolicy:
    """Flapping, digests, heartbeats, sequences and what is left to do."""
    document = copy.deepcopy(shipped().document)
    parts |= {
        "flapping": {"changes": 4, "within": "20m", "stable_after": "7m"},
        "heartbeats": [
            {
                "name": "silent",
                "match": ['alertname="Watchdog"'],
                "missing": "4m",
                "severity": "P1",
                "expected": [{"alertname": "Watchdog", "component": one} for one in expected],
            }
        ],
        "followups": [
            {
                "name": "root-cause",
                "severity": ["P0", "P1"],
                "due": "10m",
                "remind": "3m",
                "until": "root_cause",
                "title": "Cause",
            },
            {"name": "review", "due": "20m", "remind": "30m", "title": "Review"},
        ],
        "correlations": [*document["correlations"][:2], SEQUENCE],
    }
    document = copy.deepcopy(_plain(**parts).document)
    document["notify"]["digest"] = {"messages": 3, "within": "4m", "severity": ["P2", "P3"]}
    return CompiledPolicy(document)


SEQUENCE: dict[str, Any] = {
    "name": "first-then",
    "sequence": [
        ['alertname=~"Slow|Odd"'],
        ['alertname=~"AgentDown|Slow"'],
        ['alertname="HighErrorRate"'],
    ],
    "by": [],
    "within": "30m",
    "escalate": True,
    "open": {"severity": "P1", "owner": "platform", "title": "One after the other"},
}


def _in_hours(**parts: Any) -> CompiledPolicy:
    document = copy.deepcopy(_plain(**parts).document)
    document["time_intervals"] = INTERVALS
    document["notify"] |= {"hours": ["P2", "P3"], "mute": MUTES}
    for team in document["teams"].values():
        team["hours"] = "shift"
    return CompiledPolicy(document)


def _patient(policy: CompiledPolicy) -> CompiledPolicy:
    """One that waits for long before it tells of an incident."""
    document = copy.deepcopy(policy.document)
    document["notify"]["group_wait"] = "3m"
    return CompiledPolicy(document)


def _without_chat(policy: CompiledPolicy) -> CompiledPolicy:
    """One team has no chat, and the pager of the second in its chain."""
    document = copy.deepcopy(policy.document)
    team = document["teams"]["infrastructure"]["contact"]
    del team["chat"]
    team["pager"] = document["contacts"]["lead-sre"]["pager"]
    return CompiledPolicy(document)


def _near_at_once() -> CompiledPolicy:
    """Nearness where messages wait for nothing else, and where a rule has another name."""
    rule = {"name": "nearby", "correlation_wait": "5s"}
    parts: dict[str, Any] = {
        "incidents": {"close_after": "2m", "retain_resolved": "3m"},
        "nearness": [rule],
    }
    document = copy.deepcopy(_plain(**parts).document)
    document["notify"]["group_wait"] = 0
    return CompiledPolicy(document)


# A class with waits of its own, and for the severities that it does not name those of everybody.
SLOW: dict[str, Any] = {
    "name": "slow",
    "prefix": "SLO",
    "match": ['alertname=~"Slow|HighErrorRate"'],
    "group_wait": {"P0": "20s", "P1": "90s"},
    "group_interval": "3m",
    "repeat_interval": "7m",
}

POLICIES = {
    "default": _plain(),
    "hurried": _plain(
        classes=[*shipped().document["classes"], SLOW],
        incidents={"close_after": "2m", "retain_resolved": "3m"},
        escalations=[
            {"name": "p0-lasting", "severity": ["P0", "P1"], "lasting": "6m"},
            {"name": "long", "lasting": "1h"},
            {"name": "security-incident", "class": "security", "always": True},
        ],
    ),
    "tight": _plain(bounds={"alerts": 5, "alerts_in_incident": 2, "incidents": 3}),
    "hours": _in_hours(),
    "other hours": _in_hours(
        incidents={"close_after": "2m", "retain_resolved": "3m"},
        notify=_plain().document["notify"] | {"group_wait": "1m"},
    ),
    "storms": _storms("dz"),
    "other storms": _storms("d", incidents={"close_after": "2m", "retain_resolved": "30m"}),
    "patient": _patient(_plain(incidents={"close_after": "2m", "retain_resolved": "10m"})),
    "patient storms": _patient(_storms("d")),
    "patient without chat": _without_chat(_patient(_plain())),
    "near": _plain(nearness=[{"name": "near"}]),
    "near and hurried": _near_at_once(),
    "linked": _plain(holds=True, **LINKS),
    "relinked": _plain(
        holds=True,
        incidents={"close_after": "2m", "retain_resolved": "10m"},
        dependencies=[LINKS["dependencies"][0] | {"grace": "0s"}, LINKS["dependencies"][2]],
        inhibit_rules=[],
    ),
}
