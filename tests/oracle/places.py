"""Where an alert is, read from the policy as it is written.

The oracle knows a component by what people read: `api`, or `api (namespace shop)`.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from models.alert import fingerprint

_RANDOM = set("bcdfghjklmnpqrstvwxz2456789")


def where(policy: Mapping[str, Any], labels: Mapping[str, str], identity: str) -> str:
    """The component and its scope."""
    parts = policy["components"]
    said = {name: value for name, value in labels.items() if value not in (*parts["absent"], "")}
    things = list(_things(parts, said))
    found = things[0] if things else _own(policy, labels, identity)
    scope = [
        f"{group[0]} {next(said[name] for name in group if name in said)}"
        for group in parts.get("scope", [])
        if any(name in said for name in group)
    ]
    return f"{found} ({', '.join(scope)})" if scope else found


def _own(policy: Mapping[str, Any], labels: Mapping[str, str], identity: str) -> str:
    """Its name and a hash of the labels that say what it is, not who sent it or how bad it is."""
    said = policy.get("identity", {})
    others = said.get("ignore", ["prometheus_replica", "__replica__"])
    others = [*others, *said.get("ignore_if_alike", ["replica"]), *policy["severities"]["labels"]]
    kept = {name: value for name, value in labels.items() if name not in others}
    return (
        f"{labels.get('alertname', 'unnamed')}/{identity if kept == labels else fingerprint(kept)}"
    )


def thing(component: str) -> str:
    """The component without its scope."""
    return component.split(" (", maxsplit=1)[0]


def _things(parts: Mapping[str, Any], said: Mapping[str, str]) -> Iterator[str]:
    exporters = parts.get("exporters", [])
    measured = _measures(said.get("job", ""), exporters)
    for name in parts["labels"]:
        if name in said:
            value = _workload(said) if name == "pod" else said[name]
            if not (measured and _measures(value, exporters)):
                yield value


def _measures(name: str, exporters: list[str]) -> bool:
    dashed = "-" + name.lower().replace("_", "-")
    return any(dashed.endswith("-" + one.lower().replace("_", "-")) for one in exporters)


def _workload(said: Mapping[str, str]) -> str:
    """A pod is named after its workload: with a hash and a random part, a random part, or a number."""
    words = said["pod"].split("-")
    if len(words) > 2 and words[0] + words[1] and _is_hash(words[-2]) and _is_short(words[-1]):
        return "-".join(words[:-2])
    if len(words) > 1 and any(words[:-1]):
        random = len(words[-1]) == 5 and set(words[-1]) <= _RANDOM
        number = words[-1].isascii() and words[-1].isdecimal() and len(words[-1]) <= 4
        if random or number:
            return "-".join(words[:-1])
    container = said.get("container", "")
    return container if container and said["pod"].startswith(container + "-") else said["pod"]


def _is_hash(word: str) -> bool:
    return 6 <= len(word) <= 10 and _is_plain(word) and any(one.isdecimal() for one in word)


def _is_short(word: str) -> bool:
    return len(word) == 5 and _is_plain(word)


def _is_plain(word: str) -> bool:
    return all("a" <= one <= "z" or "0" <= one <= "9" for one in word)
