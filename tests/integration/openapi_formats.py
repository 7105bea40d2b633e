"""Values of the formats that docs/openapi.yaml names, for schemathesis (`SCHEMATHESIS_HOOKS`)."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import schemathesis
from hypothesis import strategies as st

NAMES = st.sampled_from(["alertname", "team", "severity", "a.b", "ü"])
VALUES = st.sampled_from(["", "x", "y z", "ü", "\\"])


def _matchers() -> st.SearchStrategy[str]:
    operators = st.sampled_from(["=", "!=", "=~", "!~"])
    words = st.sampled_from(["x", "y", "xy"])
    return st.builds('"{}"{}"{}"'.format, NAMES, operators, words)


def _time(day: date) -> str:
    return f"{day.isoformat()}T12:00:00Z"


def _times_ahead(first: int, last: int) -> st.SearchStrategy[str]:
    """Times so many hours from now, and durations of so many."""
    hours = st.integers(min_value=first, max_value=last)
    ahead = hours.map(lambda number: datetime.now(UTC) + timedelta(hours=number))
    return ahead.map(lambda at: at.strftime("%Y-%m-%dT%H:%M:%SZ")) | hours.map("{}h".format)


schemathesis.openapi.format("matcher", _matchers())
schemathesis.openapi.format("regular-expression", st.sampled_from(["x", "x|y", "infra.*", ".+"]))
schemathesis.openapi.format("start-of-silence", _times_ahead(1, 100))
schemathesis.openapi.format("end-of-silence", _times_ahead(200, 1000))
schemathesis.openapi.format("time-of-start", st.dates(max_value=date(2020, 1, 1)).map(_time))
schemathesis.openapi.format("time-of-end", st.dates(min_value=date(2020, 1, 1)).map(_time))


def filter_case(_: Any, case: Any) -> bool:
    """Leave out what a schema cannot tell from good bodies, and what is refused.

    The specification says it in words: of labels one has to remain; one matcher of a silence at
    least must not match an empty value, and a regular expression has to be one.
    """
    match case.operation.label:
        case "POST /api/v2/alerts":
            alerts = case.body if isinstance(case.body, list) else []
            return not any(_has_empty_labels(alert) for alert in alerts)
        case "POST /api/v2/silences":
            matchers = case.body.get("matchers") if isinstance(case.body, dict) else None
            return not isinstance(matchers, list) or _asks_for_something(matchers)
        case _:
            return True


schemathesis.hook(filter_case)


def _has_empty_labels(alert: object) -> bool:
    labels = alert.get("labels") if isinstance(alert, dict) else None
    return isinstance(labels, dict) and bool(labels) and not any(labels.values())


def _asks_for_something(matchers: list[object]) -> bool:
    parts = [part for part in matchers if isinstance(part, dict)]
    plain = [part for part in parts if part.get("isRegex") is not True]
    asks = [part for part in plain if part.get("value") and part.get("isEqual") is not False]
    return len(plain) == len(parts) and (bool(asks) or len(parts) < len(matchers))
