"""Which Kafka a bench runs on: that of `make kafka`, or of TOCSIN_BROKER."""

import json
import os
import sys
from collections.abc import Mapping

from deploy.kafka.broker import STATE


def broker_settings() -> Mapping[str, str] | None:
    """The settings (TOCSIN_...) with a broker that is a Kafka. None without one, and stderr says so."""
    own = {name: value for name, value in os.environ.items() if name.startswith("TOCSIN_")}
    if STATE.exists():
        started = json.loads(STATE.read_text())
        own = {"TOCSIN_BROKER": f"kafka://{started['bootstrap']}"} | own
    if not own.get("TOCSIN_BROKER", "").startswith("kafka://"):
        print("no Kafka: run `make kafka` first, or set TOCSIN_BROKER", file=sys.stderr)
        return None
    return own
