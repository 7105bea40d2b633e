"""The shipped policy, one that differs in much, and alerts and matchers about which their rules are."""

import shlex

from app.core.rules.compiled_policy import CompiledPolicy
from tests.support.shipped_policy import shipped

POLICY = shipped()
OTHER = CompiledPolicy(
    POLICY.document
    | {
        "dependencies": [],
        "heartbeats": [],
        "flapping": None,
        "incidents": {"close_after": "2m", "retain_resolved": "1h"},
    }
    | {"escalate_after": {"P0": ["1m"], "P1": ["1m"]}}
)
ALERTS = """
alertname=OllamaDown component=ollama severity=critical
alertname=AgentDown agent_name=planner severity=warning
alertname=AgentDown agent_name=critic severity=warning
alertname=AgentDown agent_name=tutor severity=warning
alertname=PostgreSQLDown component=postgres severity=critical
alertname=HighErrorRate component=api severity=high
alertname=HighLatency component=api severity=warning
alertname=Slow component=api severity=info
alertname=NodeDown instance=n1 component=n1 severity=critical
alertname=DiskFull instance=n1 component=n2 severity=warning
alertname=Watchdog component=prometheus severity=none
alertname=BruteForce component=vpn severity=warning
alertname=BackupDataLoss component=backup severity=critical
alertname=ServiceDown component=qdrant severity=critical
"""
LABELS = [
    dict(word.split("=", 1) for word in shlex.split(line)) for line in ALERTS.strip().splitlines()
]
MATCHERS = (
    'alertname="AgentDown"',
    'component=~"api|ollama"',
    'severity="critical"',
    'alertname!="Watchdog"',
)
