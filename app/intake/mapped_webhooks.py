"""Alerts of a webhook whose shape a mapping describes (`models.policy.webhook_mapping`).

What a body holds is a stranger's: an expression that cannot be evaluated on it refuses the body with
the reason. Its size, its alerts and the results are bounded.
"""

from functools import lru_cache
from typing import Any

import jmespath
from jmespath.exceptions import JMESPathError

from app.intake.json_text import text_of
from app.intake.normalise import Entries, parse_json
from models.policy.webhook_mapping import WebhookMapping
from models.reason import BadInput, Reason
from models.wire import kind_of

BODY_BYTES_MAX = 1024 * 1024  # an expression takes some 50 times as long as a parser does
ALERTS_MAX = 1000
COMPILED_MAX = 1000

Document = dict[str, Any]


def parse_mapped(body: bytes) -> Any:
    """The JSON of a body that is not larger than a mapping takes. Raises BadInput."""
    if len(body) > BODY_BYTES_MAX:
        raise BadInput(
            Reason.TOO_LARGE, f"the body has {len(body)} bytes, must have at most {BODY_BYTES_MAX}"
        )
    return parse_json(body)


def mapped_entries(name: str, mapping: WebhookMapping, document: Any) -> list[Document]:
    """The alerts of a body, as `app.intake.normalise` reads them. Raises BadInput."""
    alerts = _evaluate("alerts", mapping.alerts, document)
    items = alerts if isinstance(alerts, list) else [] if alerts is None else [alerts]
    if len(items) > ALERTS_MAX:
        raise BadInput(
            Reason.TOO_LARGE, f"the body has {len(items)} alerts, must have at most {ALERTS_MAX}"
        )
    return [_entry(name, mapping, item) for item in items]


def in_mapping(entries: list[Document]) -> Entries:
    """The entries, each of which fires until its end is said."""
    return Entries(entries, "alerts", until_resolved=True)


def _entry(name: str, mapping: WebhookMapping, item: Any) -> Document:
    labels = _texts("labels", mapping.labels, item)
    if not labels.get("alertname"):
        raise BadInput(
            Reason.NO_LABELS,
            f"labels.alertname: {mapping.labels['alertname']!r:.100} gives nothing for {kind_of(item)}"
            f" of this webhook, must give a text (mapping {name!r})",
        )
    labels = {"sender": name, **labels}
    if mapping.key is not None and (key := text_of(_evaluate("key", mapping.key, item))):
        labels["dedup_key"] = key
    ended = mapping.resolved is not None and _is_true(_evaluate("resolved", mapping.resolved, item))
    return {
        "status": "resolved" if ended else "firing",
        "labels": labels,
        "annotations": _texts("annotations", mapping.annotations, item),
        "startsAt": _optional("starts_at", mapping.starts_at, item),
        "generatorURL": _optional("url", mapping.url, item),
    }


def _texts(part: str, expressions: dict[str, str], item: Any) -> dict[str, str]:
    texts = {
        name: text_of(_evaluate(f"{part}.{name}", expression, item))
        for name, expression in expressions.items()
    }
    return {name: text for name, text in texts.items() if text}


def _optional(part: str, expression: str | None, item: Any) -> str:
    return "" if expression is None else text_of(_evaluate(part, expression, item))


def _evaluate(part: str, expression: str, document: Any) -> Any:
    """What an expression gives. Raises BadInput that names the part."""
    try:
        return _compiled(expression).search(document)
    except (JMESPathError, RecursionError, TypeError, ValueError, ArithmeticError) as error:
        line = " ".join(str(error).split())
        raise BadInput(
            Reason.MALFORMED, f"{part}: {expression!r:.100} cannot be evaluated: {line:.200}"
        ) from None


@lru_cache(COMPILED_MAX)
def _compiled(expression: str) -> Any:
    return jmespath.compile(expression)


def _is_true(value: Any) -> bool:
    """As JMESPath has it: 0 is something."""
    return value is not None and value is not False and value not in ("", [], {})
