"""What `group_by` says, as the labels that name a component and its scope.

Alertmanager groups by the values of all labels of a list, Tocsin by one label that names what is
broken and by each label of its scope. So one label of the list becomes the component, and the
others join the scope. Each route may have a list of its own there; here the first route's list is
everybody's.
"""

from collections.abc import Sequence

from app.policy.importer.notices import FindingKind, Findings
from app.policy.importer.reader import Route
from models.policy.types import Components

EACH_ALERT = "..."  # as a component's label it is one that no alert has: each is a thing of its own
_PLACES = "job"  # of the components' labels, this one and those behind it say where something runs, not what it is
_POD = "pod"  # as a component it is its workload, so that its scope has to tell pods apart


def components_of(root: Route, shipped: Components, uncounted: Sequence[str]) -> Components:
    """The components of an imported policy.

    `uncounted` are labels that do not make an alert another one, such as its severity: a scope of
    such labels would tear it in two.
    """
    grouped = [label for label in dict.fromkeys(root.group_by) if label not in uncounted]
    labels = shipped.labels
    things = labels[: labels.index(_PLACES)] if _PLACES in labels else labels
    if EACH_ALERT in grouped:
        return shipped.model_copy(update={"labels": [EACH_ALERT]})
    component = _component(grouped, things, labels)
    asked = [matcher.label for route in root.all() for matcher in route.matchers]
    often = sorted(dict.fromkeys(asked), key=lambda label: -asked.count(label))
    first = [*([component] if component else []), *(label for label in often if label in things)]
    known = {label for group in shipped.scope for label in group}
    apart = [label for label in grouped if label not in known and label != component]
    apart += [_POD] if component == _POD else []
    return shipped.model_copy(
        update={
            "labels": list(dict.fromkeys((*first, *labels))),
            "scope": [
                *(group for group in shipped.scope if group != [component]),
                *([label] for label in apart),
            ],
        }
    )


def _component(grouped: Sequence[str], things: Sequence[str], usual: Sequence[str]) -> str:
    """The label of a list that says best what is broken; empty when the list is."""
    for known in (things, usual, ("alertname",), grouped):
        for label in grouped:
            if label in known:
                return label
    return ""


def report_grouping(
    root: Route, components: Components, uncounted: Sequence[str], findings: Findings
) -> None:
    """Say how incidents are grouped, and which routes have another list than the first."""
    line = root.group_by_line or root.line
    if EACH_ALERT in root.group_by:
        why = "each alert is an incident of its own, as it is a group of its own there"
        instead = (
            "labels such as service under components.labels, to see together what belongs together"
        )
    elif not root.group_by:
        why = "without it all alerts of a route are one group there; Tocsin has an incident for each component"
        instead = "change the order of components.labels"
    else:
        also = [group[0] for group in components.scope if group[0] not in root.group_by]
        beside = f"; also by {', '.join(also)}" if also else ""
        why = f"Tocsin groups by {components.labels[0]} as the component, and by the other labels as its scope{beside}"
        instead = "fewer labels under components.scope, for fewer incidents"
    findings.add(FindingKind.DIFFERS, "group_by", line, why, instead)
    left_out = [label for label in root.group_by if label in uncounted]
    if left_out:
        why = f"Tocsin does not group by {', '.join(left_out)}: an alert stays the same when that changes"
        findings.add(
            FindingKind.DIFFERS,
            "group_by",
            line,
            why,
            "nothing; the worst severity of an incident counts",
        )
    for route in root.all():
        if set(route.group_by) != set(root.group_by):
            why = "Tocsin groups all alerts alike, as the first route says, and this route groups by others"
            findings.add(
                FindingKind.DIFFERS,
                "group_by",
                route.group_by_line,
                why,
                "change components.labels and components.scope",
            )
