"""What a policy says, read as it is written in the file.

The oracle's half of `app.core.rules.compiled_policy`.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from models.text.duration import parse_ms

MATCHER = re.compile(r'(\w+)(=~|!~|!=|=)"(.*)"')


def by(section: Mapping[str, Any], key: str, severity: str, otherwise: int | None = None) -> Any:
    """Milliseconds of what a policy says for a severity, or for all of them at once."""
    value = section.get(key, {})
    text = value.get(severity) if isinstance(value, dict) else value
    return otherwise if text is None else parse_ms(str(text))


def is_about(rule: Mapping[str, Any], alert: Any) -> bool:
    """Whether an escalation or a correlation is about alerts like this one."""
    return (
        alert.severity in rule.get("severity", [alert.severity])
        and rule.get("class", alert.kind) == alert.kind
        and matches(rule.get("match", []), alert.labels)
    )


def matches(selector: Sequence[Any], labels: Mapping[str, str]) -> bool:
    """Whether labels satisfy all matchers of any alternative."""
    alternatives = selector if selector and isinstance(selector[0], list) else [selector]
    return any(all(_says(text, labels) for text in matchers) for matchers in alternatives)


def _says(text: str, labels: Mapping[str, str]) -> bool:
    found = MATCHER.fullmatch(text)
    assert found is not None, text
    label, operator, value = found.groups()
    return holds(label, operator, value, labels)


def holds(label: str, operator: str, value: str, labels: Mapping[str, str]) -> bool:
    """Whether labels satisfy one matcher."""
    here = labels.get(label, "")
    same = here == value if operator in ("=", "!=") else bool(re.fullmatch(value, here))
    return same != operator.startswith("!")


def severity_of(policy: Mapping[str, Any], labels: Mapping[str, str]) -> str:
    """The severity of an alert with these labels."""
    severities = policy["severities"]
    for rule in severities["rules"]:
        if matches(rule["match"], labels):
            return str(rule["severity"])
    for name in severities["labels"]:
        if labels.get(name):
            alike = [
                severity
                for text, severity in severities["names"].items()
                if _letters(text) == _letters(labels[name])
            ]
            return str(alike[0] if alike else severities["unknown"])
    return str(severities["missing"])


def says_over(policy: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Whether the severity is one such as ok."""
    said = [labels[name] for name in policy["severities"]["labels"] if labels.get(name)]
    over = {_letters(name) for name in policy["severities"]["ended"]}
    return bool(said) and _letters(said[0]) in over


def without_severity(policy: Mapping[str, Any], labels: Mapping[str, str]) -> dict[str, str]:
    """The labels but for those that say the severity."""
    said = policy["severities"]["labels"]
    return {name: value for name, value in labels.items() if name not in said}


def _letters(text: str) -> str:
    return re.sub(r"[\W_]", "", text.lower()) or text


def prefix_of(policy: Mapping[str, Any], kind: str) -> str:
    """The prefix of the ids of a class."""
    return next((str(one["prefix"]) for one in policy["classes"] if one["name"] == kind), "INC")


def named(policy: Mapping[str, Any]) -> set[str]:
    """The labels that a policy names somewhere.

    What a silence can ask of the members of an incident.
    """
    text = str(policy)
    return {
        *re.findall(r"(\w+)(?:=~|!~|!=|=)", text),
        *policy["severities"]["labels"],
        *policy["components"]["labels"],
    }
