"""Alerts as large as the border lets in."""

from typing import Any

from models.wire import ANNOTATIONS_BYTES_MAX, LABELS_BYTES_MAX

WORST = "\x01"  # one byte of a label, six of JSON


def largest(number: int, sign: str = WORST) -> dict[str, Any]:
    """An alert with as many bytes as the border lets in, but for a few."""
    labels = {"alertname": "Large", "severity": "critical", "component": f"c{number}"}
    labels["rest"] = sign * (
        LABELS_BYTES_MAX - sum(len(one) for pair in labels.items() for one in pair) - 4
    )
    return {"labels": labels, "annotations": {"summary": sign * (ANNOTATIONS_BYTES_MAX - 7)}}
