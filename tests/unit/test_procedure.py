"""The table of the procedure.

Whatever it names exists; and what the shipped policy says of the procedure's own examples.
"""

import re
from pathlib import Path

import pytest
import yaml

from app.files.policy_file import default_path
from tests.support.shipped_policy import shipped

ROOT = Path(__file__).parents[2]
ROWS = [
    [cell.strip() for cell in line.strip("| ").split(" | ")]
    for line in (ROOT / "docs" / "PROCEDURE.md")
    .read_text()
    .partition("\n## What a day")[0]
    .splitlines()
    if line.startswith("| ") and not line.startswith("| line |")
]


def test_every_line_names_its_test() -> None:
    """The last column of each row names a scenario or a test that exists, or says why a machine cannot do it."""
    missing = []
    for row in ROWS:
        names = re.findall(r"`([a-z0-9_/]+)`", row[-1])
        for name in names:
            is_test = name.rpartition("/")[2].startswith("test_")
            path = f"{name}.py" if is_test else f"scenarios/{name.removeprefix('scenarios/')}.txt"
            if not (ROOT / "tests" / path).exists():
                missing.append((row[0], path))
        if not names and not row[-1].startswith(("none:", "below")):
            missing.append((row[0], row[-1]))

    assert len(ROWS) > 40
    assert missing == []


def test_every_key_is_in_the_shipped_policy() -> None:
    """The policy keys that the table names are keys, or names of rules, of the policy that ships."""
    policy = default_path().read_text()
    document = yaml.safe_load(policy)
    named = {key for row in ROWS for key in re.findall(r"`([a-z_]+)(?:[.:`])", row[1])}

    assert sorted(key for key in named if key not in document and f"{key}:" not in policy) == []


# The examples under "Alert Severity Levels", with the label that such an alert comes with.
EXAMPLES = {
    ("ServiceDown", "critical"): "P0",
    ("OllamaServiceDown", "critical"): "P0",
    ("PostgreSQLDown", "critical"): "P0",
    ("SecurityBreachDetected", "warning"): "P0",
    ("BackupDataLoss", "warning"): "P0",
    ("HighErrorRate", "warning"): "P1",
    ("MultipleAgentsDown", "warning"): "P1",
    ("DatabaseConnectionIssues", "warning"): "P1",
    ("HighLatency", "warning"): "P2",
    ("HighMemoryUsage", "warning"): "P2",
    ("PlannerAgentDown", "critical"): "P2",
    ("BusinessMetricAnomaly", "info"): "P3",
    ("ContainerRestarted", "info"): "P3",
}
# "Team Response Assignments": what each is responsible for.
RESPONSIBLE = {
    "infrastructure": [
        "HighCPUUsage",
        "HighMemoryUsage",
        "DiskSpaceLow",
        "ContainerUnhealthy",
        "NetworkUnreachable",
    ],
    "ai": [
        "PlannerAgentDown",
        "OllamaServiceDown",
        "ModelPerformanceDegraded",
        "InferenceBottleneck",
    ],
    "data": ["PostgreSQLDown", "RedisDown", "VectorDatabaseDown", "DataPipelineFailed"],
    "security": [
        "SecurityBreachDetected",
        "UnauthorizedAccess",
        "SuspiciousActivity",
        "AuthenticationFailures",
    ],
    "platform": [
        "ConsulDown",
        "KongDown",
        "RabbitMQDown",
        "ApiGatewayErrors",
        "LoadBalancerDown",
        "ServiceDiscoveryFailed",
    ],
}
CHAINS = {
    "infrastructure": ["On-call SRE", "Lead SRE", "Engineering Manager", "CTO"],
    "ai": ["On-call AI Engineer", "Lead AI Engineer", "AI Team Lead", "CTO"],
    "data": ["On-call DBA", "Senior DBA", "Data Team Lead", "Engineering Manager"],
    "security": ["On-call Security Engineer", "Security Team Lead", "CISO", "CTO"],
    "platform": ["On-call Platform Engineer", "Platform Team Lead", "Engineering Manager", "CTO"],
}


@pytest.mark.parametrize(("example", "severity"), EXAMPLES.items(), ids=str)
def test_examples_have_their_severity(example: tuple[str, str], severity: str) -> None:
    """Each example of the procedure is as severe as it says, whatever the alert's own label thinks."""
    name, label = example

    assert shipped().evaluate({"alertname": name, "severity": label}).severity == severity


@pytest.mark.parametrize("team", RESPONSIBLE)
def test_teams_are_responsible(team: str) -> None:
    """Each team has the alerts that the procedure gives it, and is called in the procedure's order."""
    policy = shipped()
    owners = {
        name: policy.evaluate({"alertname": name, "severity": "warning"}).owner
        for name in RESPONSIBLE[team]
    }

    assert owners == dict.fromkeys(RESPONSIBLE[team], team)
    assert [contact.name for contact in policy.chain(team)] == CHAINS[team]


def test_targets_are_the_procedures() -> None:
    """Acknowledge and resolve times, uptime, and channels for each severity."""
    document = shipped().document
    targets = document["targets"]

    assert targets["acknowledge"] == {"P0": "2m", "P1": "15m", "P2": "1h", "P3": "4h"}
    assert targets["resolve"] == {"P0": "1h", "P1": "4h", "P2": "24h", "P3": "72h"}
    assert {one["name"]: one["target"] for one in targets["availability"]} == {
        "core-platform": 99.9,
        "ai-agents": 99.5,
        "databases": 99.95,
        "api-gateway": 99.9,
    }
    assert document["notify"]["channels"] == {
        "P0": ["pager", "email", "chat"],
        "P1": ["email", "chat"],
        "P2": ["chat"],
        "P3": ["chat"],
    }
    assert document["notify"]["hours"] == ["P3"]
