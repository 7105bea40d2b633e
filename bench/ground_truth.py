"""How well incidents match the true attack phases of AIT-ADS: `python bench/ground_truth.py FILE.csv`.

Purity: of an incident's alerts, the share that its most frequent phase has; the mean over
incidents, weighted by alerts. Completeness: of a phase's alerts, the share that the incident with
most of them has; the mean over the phases that are attacks. The phases are only looked at
afterwards, and never fed in. The policy is the one that ships.
"""

import csv
import json
import sys
from collections import Counter, defaultdict
from pathlib import Path

from app.core.engine import Engine
from app.demo import recorded
from app.files.policy_file import load_policy
from app.intake.normalise import from_list
from app.transport.log import StoredRecord
from models.effect import Stream
from models.journal import Source, encode_alert

NO_ATTACK = "false_positive"


def main(path: Path) -> None:
    """Print the figures as JSON."""
    policy = load_policy()
    engine, offset = Engine(0, policy), 0
    phases = _phases(path)
    of_incident: dict[str, Counter[str]] = defaultdict(Counter)
    of_phase: dict[str, Counter[str]] = defaultdict(Counter)
    messages = alerts = 0
    for at_ms, batch in recorded.read_steps(path, []):
        for alert in from_list(batch, at_ms)[0]:
            key = policy.place(alert.labels, alert.fingerprint).key.encode()
            waiting = [StoredRecord(offset, at_ms, key, encode_alert(alert))]
            while waiting:
                record = waiting.pop(0)
                record.offset, offset = offset, offset + 1
                for effect in engine.apply([record]):
                    messages += effect.stream is Stream.NOTIFICATIONS
                    if effect.stream is Stream.JOURNAL:
                        source = Source(
                            "journal", 0, effect.position.offset, effect.position.number
                        )
                        waiting.append(
                            StoredRecord(-1, at_ms, effect.key, effect.value, (source.header(),))
                        )
            incident = engine.state.alerts[alert.fingerprint.encode()].incident
            phase = phases[
                at_ms, alert.labels["alertname"], alert.labels["host"], alert.labels["instance"]
            ].pop(0)
            of_incident[incident][phase] += 1
            of_phase[phase][incident] += 1
            alerts += 1
    attacks = {phase: found for phase, found in of_phase.items() if phase != NO_ATTACK}
    completeness = {
        phase: max(found.values()) / found.total() for phase, found in sorted(attacks.items())
    }
    figures = {
        "alerts": alerts,
        "incidents": len(of_incident),
        "alerts_per_incident": round(alerts / len(of_incident), 1),
        "messages": messages,
        "purity": round(sum(max(found.values()) for found in of_incident.values()) / alerts, 3),
        "completeness": round(sum(completeness.values()) / max(len(completeness), 1), 3),
        "phases": {phase: round(share, 3) for phase, share in completeness.items()},
    }
    print(json.dumps(figures, indent=2))


def _phases(path: Path) -> dict[tuple[int, str, str, str], list[str]]:
    """The true phases of the rows, by time in whole seconds, alertname, host and instance, in the order of the file."""
    found: dict[tuple[int, str, str, str], list[str]] = defaultdict(list)
    rows = list(csv.DictReader(path.read_text(errors="replace").splitlines()))
    for row in sorted(rows, key=lambda row: int(float(row["time"]) * 1000)):
        at_ms = int(float(row["time"]) * 1000) // 1000 * 1000
        found[at_ms, row["short"], row["host"], row["ip"]].append(row["time_label"])
    return found


if __name__ == "__main__":
    main(Path(sys.argv[1]))
