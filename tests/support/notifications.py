"""Samples of notifications."""

from dataclasses import replace
from typing import Any

from models.events import (
    Action,
    NextStep,
    Notification,
    NotificationKind,
    NotificationReason,
    NotifiedAlert,
)

CRASH = NotifiedAlert(
    fingerprint="0f3a9c5d7e1b2468",
    status="firing",
    severity="P0",
    labels={
        "alertname": "KubePodCrashLooping",
        "cluster": "prod",
        "namespace": "shop",
        "pod": "checkout-7d9",
        "severity": "critical",
    },
    annotations={
        "summary": "Pod is crash looping.",
        "runbook_url": "https://runbooks.example/crashloop",
    },
    generator_url="https://prometheus.example/graph?g0.expr=x&g0.tab=1",
    starts_at="2026-04-12T03:15:02.000Z",
    ends_at=None,
)

OPENED = Notification(
    id="3-1042-2",
    kind=NotificationKind.OPENED,
    at="2026-04-12T03:27:02.000Z",
    policy="9b1c",
    incident="INC-20260412T031502Z-00K3F",
    action=Action.TRIGGER,
    episode=1,
    wakes=True,
    dedup_key="INC-20260412T031502Z-00K3F/1",
    severity="P0",
    owner="ops",
    component="checkout",
    title="KubePodCrashLooping: shop/checkout-7d9 (prod)",
    text="Pod is crash looping.",
    next_step=NextStep("Read the pod's last log.", "kubectl -n shop logs checkout-7d9 --previous"),
    channel="pager",
    receiver="On-call SRE",
    address="ops-primary",
    reason=NotificationReason("page-ops", 2, 4, "step 2 of 4: not acknowledged for 5m"),
    started_at="2026-04-12T03:15:02.000Z",
    alerts=(CRASH,),
    alerts_firing=1,
    alerts_total=1,
    common_labels=CRASH.labels,
    links={"runbook": "https://runbooks.example/crashloop", "graph": CRASH.generator_url},
)
ACKNOWLEDGED = replace(
    OPENED,
    id="3-1050-0",
    kind=NotificationKind.ACKNOWLEDGED,
    action=Action.ACKNOWLEDGE,
    wakes=False,
    text="Ann acknowledged it.",
    at="2026-04-12T03:30:02.000Z",
)
RESOLVED = replace(
    OPENED,
    id="3-1100-0",
    kind=NotificationKind.RESOLVED,
    action=Action.RESOLVE,
    wakes=False,
    text="All alerts ended.",
    at="2026-04-12T03:45:02.000Z",
    alerts=(replace(CRASH, status="ended", ends_at="2026-04-12T03:45:02.000Z"),),
    alerts_firing=0,
)
UPDATED = replace(
    OPENED,
    id="3-1060-0",
    kind=NotificationKind.UPDATED,
    action=Action.UPDATE,
    wakes=False,
    text="2 alerts more.",
)
INFORMED = replace(
    OPENED,
    id="3-1070-0",
    kind=NotificationKind.REMINDER,
    action=Action.INFORM,
    wakes=False,
    text="Still open.",
)

HOSTILE = (
    "<!channel> <@U123> @channel @everyone <script>alert(1)</script> *bold* _it_ ~no~ `x` [t](http://evil) :fire: "
    "</Say><Dial>+15550100</Dial> \"' & \x1b[31m\r\nBcc: all@example.org\u202etxt.exe\u200b"
)


def hostile(**changes: Any) -> Notification:
    """A notification in which each text that others wrote tries something."""
    labels = dict.fromkeys(("alertname", "cluster", "namespace", "pod"), HOSTILE)
    alert = replace(
        CRASH,
        labels=labels,
        annotations={"summary": HOSTILE},
        generator_url="javascript:alert(1)",
        severity=HOSTILE,
    )
    notification = replace(
        OPENED,
        title=HOSTILE,
        text=HOSTILE,
        owner=HOSTILE,
        component=HOSTILE,
        receiver=HOSTILE,
        reason=NotificationReason(HOSTILE, 1, 1, HOSTILE),
        next_step=NextStep(HOSTILE, HOSTILE),
        alerts=(alert,),
        common_labels=labels,
        links={
            "runbook": 'https://x.example/"><script>',
            "note": "file:///etc/passwd",
            HOSTILE: "https://ok.example/a",
        },
    )
    return replace(notification, **changes)


def large(**changes: Any) -> Notification:
    """A notification with the longest texts and the most alerts that Tocsin emits."""
    alert = replace(
        CRASH,
        annotations={"summary": "é\N{FIRE}" * 8000},
        labels={**CRASH.labels, "alertname": "A" * 1000},
    )
    links = {
        f"link{number}": f"https://links.example/{number}/{'x' * 1900}" for number in range(20)
    }
    notification = replace(
        OPENED,
        title="T\N{FIRE}" * 4000,
        text="é\N{FIRE}" * 8000,
        alerts=(alert,) * 50,
        alerts_total=50,
        links=links,
    )
    return replace(notification, **changes)
