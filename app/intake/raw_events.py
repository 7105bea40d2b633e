"""What is in a record of the raw topic: alerts of any known shape, or CloudEvents.

Source: the CloudEvents specification, "Kafka Protocol Binding", 3.1 to 3.3: an event is the value,
or the value is its data and headers with `ce_` are its attributes.
"""

from collections.abc import Sequence
from typing import Any

from app.core.rules.compiled_policy import CompiledPolicy
from app.intake.cloud_events import BATCH, STRUCTURED, events_of, has_alerts
from app.intake.mapped_webhooks import in_mapping, mapped_entries, parse_mapped
from app.intake.normalise import Entries, entries_from, in_list, in_webhook
from app.intake.shipped_mappings import CLOUD_EVENTS, SHIPPED

PREFIX = "ce_"  # of a header that is an attribute
TYPE = "content-type"

RawHeaders = Sequence[tuple[str, bytes]]


def is_cloud_event(headers: RawHeaders) -> bool:
    """Whether headers say that a record is one, so that its value alone does not say what it means."""
    return any(
        name.lower().startswith(PREFIX)
        or (name.lower() == TYPE and (value or b"").startswith(b"application/cloudevents"))
        for name, value in headers
    )


def raw_entries(value: bytes, headers: RawHeaders, policy: CompiledPolicy) -> list[Entries]:
    """The entries of a record. Raises BadInput.

    An event that is no alert goes through the mapping `cloudevents`, the policy's own first. Keys
    are not looked up: the end of an alert has the labels of its beginning.
    """
    if not is_cloud_event(headers):
        return [entries_from(value)]
    mapping = policy.policy.webhooks.get(CLOUD_EVENTS, SHIPPED[CLOUD_EVENTS])
    parts: list[Entries] = []
    for event in _events_of(parse_mapped(value), headers):
        if has_alerts(event):
            parts.append(alerts_in(event["data"]))
        else:
            parts.append(in_mapping(mapped_entries(CLOUD_EVENTS, mapping, event)))
    return parts


def _events_of(document: Any, headers: RawHeaders) -> list[dict[str, Any]]:
    texts = {name.lower(): (value or b"").decode(errors="replace") for name, value in headers}
    content_type = texts.get(TYPE, "").partition(";")[0].strip()
    attributes = {
        f"ce-{name.removeprefix(PREFIX)}": text.replace("%", "%25")  # here nothing is encoded
        for name, text in texts.items()
        if name.startswith(PREFIX)
    }
    known = content_type if content_type in (STRUCTURED, BATCH) else ""
    return events_of(known, attributes, document)


def alerts_in(data: Any) -> Entries:
    """The alerts that are the data of an event. Raises BadInput."""
    if isinstance(data, dict) and "alerts" in data:
        return in_webhook(data)
    return in_list(data if isinstance(data, list) else [data])
