"""Where an alert is: the labels that say so, and the place in words."""

from collections.abc import Mapping

CLUSTER_LABELS = ("cluster", "cluster_name", "region", "datacenter")
NAMESPACE_LABELS = ("namespace", "kubernetes_namespace", "exported_namespace")
POD_LABELS = ("pod", "pod_name")
INSTANCE_LABELS = ("instance",)
PLACE_LABELS = (*CLUSTER_LABELS[:2], *NAMESPACE_LABELS, *POD_LABELS, *INSTANCE_LABELS)
TEXT_CHARACTERS_MAX = 200
_ABSENT = frozenset(("", "NULL", "null", "None", "none", "UNKNOWN", "unknown", "N/A", "n/a", "-"))


def place_labels(labels: Mapping[str, str]) -> dict[str, str]:
    """The labels that say where an alert is, in our order."""
    return {name: labels[name] for name in PLACE_LABELS if labels.get(name)}


def place_of(labels: Mapping[str, str], component: str) -> str:
    """`shop/cart-7d9f-abc (prod)`: namespace, pod or component, and cluster or instance.

    Empty when the labels have no more to say than the component.
    """
    namespace, pod = _value(labels, NAMESPACE_LABELS), _value(labels, POD_LABELS)
    subject = pod or component
    if namespace and not f"{subject}/".startswith(f"{namespace}/"):
        subject = "/".join(part for part in (namespace, subject) if part)
    instance = "" if pod else _value(labels, INSTANCE_LABELS)
    around = [instance, _value(labels, CLUSTER_LABELS[:2])]
    inside = ", ".join(text for text in around if text and not mentions(subject, text))
    if subject == component and not inside:
        return ""
    return " ".join(part for part in (subject, f"({inside})" if inside else "") if part)


def mentions(text: str, name: str) -> bool:
    """Whether a text has a name as a word of its own: `queue` does not mention the cluster `eu`."""
    start = text.find(name)
    while start >= 0:  # an expression would be compiled for each name
        end = start + len(name)
        before, after = text[start - 1 : start], text[end : end + 1]
        if not (_is_of_word(before) or _is_of_word(after)):
            return True
        start = text.find(name, start + 1)
    return False


def _is_of_word(character: str) -> bool:
    """Whether a character, if there is one, belongs to a word beside it."""
    return character.isalnum() or character in ("_", "-")


def _value(labels: Mapping[str, str], names: tuple[str, ...]) -> str:
    for name in names:
        value = labels.get(name, "")
        if value not in _ABSENT:
            return value[:TEXT_CHARACTERS_MAX]
    return ""
