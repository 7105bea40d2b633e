"""An alert as the journal keeps it, and its identity.

Whatever shape an alert arrives in, the border turns it into this one. A firing alert carries
`ttl_ms`: for how long it counts as firing when nothing more is heard of it, measured from the
record's own append time. So the sender's clock never decides when an alert expires.
"""

from collections.abc import Mapping
from dataclasses import dataclass

Labels = Mapping[str, str]

_FNV_OFFSET = 14695981039346656037
_FNV_PRIME = 1099511628211
_MASK = 0xFFFFFFFFFFFFFFFF
_SEPARATOR = b"\xff"


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert at the border, validated. Times are milliseconds since 1970, in UTC."""

    fingerprint: str  # 16 lower-case hex digits of the labels; the same as Prometheus computes
    labels: Labels
    annotations: Labels
    firing: bool
    starts_ms: int
    ends_ms: int  # 0 while firing
    ttl_ms: int  # 0 once resolved
    until_resolved: bool = False  # its sender says when it ends; silence is no end
    url: str = ""  # where the alert came from: Prometheus' generatorURL


def fingerprint(labels: Labels) -> str:
    """The labels' identity as 16 hex digits: FNV-1a 64 over name, 0xff, value, 0xff, sorted by name.

    The algorithm is `LabelSet.Fingerprint` of prometheus/common, so ids can be compared with
    Alertmanager's. An empty label value counts as the label being absent, as it does there for
    alerts; the border drops those.
    """
    data = b"".join(
        part
        for name in sorted(labels)
        for part in (name.encode(), _SEPARATOR, labels[name].encode(), _SEPARATOR)
    )
    state = _FNV_OFFSET
    for byte in data:
        state = ((state ^ byte) * _FNV_PRIME) & _MASK
    return f"{state:016x}"
