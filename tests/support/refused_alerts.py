"""Alerts, and a policy by which only so many of them are known at a time."""

from pathlib import Path
from typing import Any

import orjson

from tests.support.shipped_policy import shipped


def bounded(folder: Path, alerts: int) -> str:
    """A policy file by which so many alerts are known at a time."""
    document = shipped().document
    file = folder / f"policy-{alerts}.yaml"
    file.write_bytes(orjson.dumps(document | {"bounds": document["bounds"] | {"alerts": alerts}}))
    return str(file)


def alert(name: str) -> dict[str, Any]:
    """An alert as the API takes it."""
    return {"labels": {"alertname": name, "component": name.lower()}}
