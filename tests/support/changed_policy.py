"""The shipped policy with changes in it, and the places in a file."""

from pathlib import Path

from app.files.policy_file import default_path


def changed(tmp_path: Path, *changes: tuple[str, str]) -> Path:
    """The shipped policy with changes in it; each has to change something."""
    text = default_path().read_text()
    for before, after in changes:
        assert before in text, before
        text = text.replace(before, after, 1)
    file = tmp_path / "policy.yaml"
    file.write_text(text)
    return file


def place(file: Path, start: str) -> str:
    """FILE:LINE:COLUMN of the first place that starts so."""
    text = file.read_text()
    line = text[: text.index(start)].count("\n") + 1
    return f"{file}:{line}:{text.splitlines()[line - 1].index(start) + 1}"


def line_of(file: Path, start: str) -> int:
    """The line of the first place that starts so."""
    return int(place(file, start).split(":")[1])


CHANGES = [
    ("P0: [2m, 5m, 10m]", "P0: [1m, 5m, 10m]", "~ escalate_after.P0: 2m, 5m, 10m -> 1m, 5m, 10m"),
    ("lasting: 15m", "lasting: 900s", ""),
    ("severity: [P0, P1], without: root_cause", "severity: [P1, P0], without: root_cause", ""),
    ("severity: [P0], lasting: 15m", "severity: [P1], lasting: 15m", "~ escalations.p0-lasting.severity: P0 -> P1"),
    ("{name: complaints, complaints: 3}", "{name: angry, complaints: 3}", "+ escalations.angry: complaints 3"),
    ("resolve: {P0: 1h, ", "resolve: {", "- targets.resolve.P0: 1h"),
    ("  - {match: ['team=~\"(security|security-team)\"'], team: security}\n", "", '- ownership.[team=~"(security|security-team)"]: match'),  # noqa: E501
    ("flapping: {changes: 6, within: 1h, stable_after: 30m}\n", "", "- flapping: changes 6, within 1h, stable_after 30m"),
    ("default_owner: infrastructure", "default_owner: data", "~ default_owner: infrastructure -> data"),
    ("  close_after: 5m\n  retain_resolved: 1h", "  retain_resolved: 60m\n  close_after: 300s", ""),
    ("CEO, email: ceo@sutazai.com", "CEO, email: boss@sutazai.com", "~ contacts.ceo.email: ceo@sutazai.com -> boss@sutazai.com"),  # noqa: E501
    ('end_time: "17:00"', 'end_time: "18:00"', "~ time_intervals.business-hours[0].times[0].end_time: 17:00 -> 18:00"),
    ("reopened: [chat]", "reopened: []", "- notify.reopened: chat"),
    ("['alertname=~\".*AgentDown\"'], ['rule=\"agents-down\"']]", "['rule=\"agents-down\"'], ['alertname=~\".*AgentDown\"']]", ""),  # noqa: E501
    ("bounds:\n  alerts: 200000\n", "bounds:\n", ""),
    ("escalate: true\n    open", "open", "~ correlations.intrusion-then-data-loss.escalate: true -> false"),
]  # fmt: skip
