"""Which incidents a list shows: by severity, owner, component, and the labels of their alerts."""

from collections.abc import Iterator, Sequence
from typing import Any

import orjson

from app.bridge.board.query import Values
from models.matcher import Matcher, test_of

FIELDS = ("severity", "owner", "component")


def matches(snapshot: bytes, query: Values, matchers: Sequence[Matcher]) -> bool:
    """Whether an incident has one of the values asked for of each field, and an alert that matches.

    An alert has to satisfy all matchers. The snapshot names the worst and newest alerts only.
    """
    wanted = {name: values for name in FIELDS if (values := _values(query, name))}
    if not wanted and not matchers:
        return True
    document = orjson.loads(snapshot)
    if any(document[name] not in values for name, values in wanted.items()):
        return False
    test = test_of([matchers]) if matchers else None
    return test is None or any(test(labels) for labels in label_sets(document))


def _values(query: Values, name: str) -> list[str]:
    """The values asked for. A component may have a comma in it; the others are comma-separated."""
    texts = query.get(name, ())
    words = texts if name == "component" else [word for text in texts for word in text.split(",")]
    return [word.strip() for word in words if word.strip()]


def label_sets(document: dict[str, Any]) -> Iterator[dict[str, str]]:
    """The labels of the alerts that the snapshot names; of older ones the names of alerts."""
    common = document.get("common_labels") or {}
    alerts = document.get("alerts") or ()
    for alert in alerts:
        yield {**common, **alert["labels"]}
    if not alerts:
        for name in document.get("alert_names") or ():
            yield {**common, "alertname": name}
