"""The names of all settings, so that one with a typing mistake is refused.

`TOCSIN_TOKENZ` would start a bridge that asks nobody who they are.
"""

import re
from collections.abc import Iterable

from models.text.suggest import did_you_mean

PREFIX = "TOCSIN_"
_PROCESS = """BROKER POLICY RECEIVERS LINK_KEY PAGERDUTY_KEY PREFIX PARTITIONS REPLICATION HOST PORT
METRICS_PORT INSTANCE CHECKPOINT_MS CLOCK EPOCH HEARTBEAT_URL LOG_FORMAT"""
_BRIDGE = """TOKENS TLS_CERT TLS_KEY TLS_CLIENT_CA INSECURE ALLOWED_HOSTS ROUTE_PREFIX
SNS_TOPICS SNS_CONFIRM TRUST_USER_HEADER TRUSTED_PROXIES SENDER_REQUESTS SENDER_ALERTS CONNECTIONS"""
_KAFKA = """KAFKA_SECURITY KAFKA_CA_FILE KAFKA_CERT_FILE KAFKA_KEY_FILE KAFKA_MECHANISM KAFKA_USER
KAFKA_PASSWORD_FILE KAFKA_PASSWORD KAFKA_UNENCRYPTED"""
_COMMANDS = "URL TOKEN_FILE TOKEN CA_FILE CERT_FILE KEY_FILE"
_TESTS = "WRITE SEED EXAMPLES"  # of our own tests, which start commands

NAMES = frozenset(
    PREFIX + name for names in (_PROCESS, _BRIDGE, _KAFKA, _COMMANDS) for name in names.split()
)
_KNOWN = NAMES | {PREFIX + name for name in _TESTS.split()}

# What Kubernetes sets in each container for a service of the name tocsin, or tocsin-...
_KUBERNETES = re.compile(
    r"TOCSIN(?:_[A-Z0-9_]+)?_(?:SERVICE_(?:HOST|PORT(?:_[A-Z0-9_]+)?)"
    r"|PORT_[0-9]+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?)"
)


def unknown_name(names: Iterable[str]) -> str:
    """What is wrong with the first name that is no setting; empty when all are."""
    for name in sorted(names):
        if name.startswith(PREFIX) and name not in _KNOWN and not _KUBERNETES.fullmatch(name):
            return f"{name} is no setting (docs/SETTINGS.md){did_you_mean(name, sorted(NAMES))}"
    return ""
