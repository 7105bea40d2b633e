"""What an alert is about, by its labels: the thing that is broken, and the scope that it is in.

The thing is the first label of the policy's list that says something. The job of an exporter says
who measured, not what is broken, so it names nothing, and where it is the job, nothing else named
like an exporter does either (its own service, container or pod). Pods of one workload are one
thing.
"""

import re
from collections.abc import Iterable

from models.alert import Labels, fingerprint
from models.place import Place
from models.policy.types import Components

_JOB, _POD, _CONTAINER = "job", "pod", "container"

# How Kubernetes names the pods of a Deployment or a CronJob, of a DaemonSet or a Job, and of a
# StatefulSet. Random parts have no vowel and no 0, 1 or 3 (k8s.io/apimachinery, util/rand).
_PODS = (
    re.compile(r"(.+)-(?=[a-z]*\d)[a-z\d]{6,10}-[a-z\d]{5}"),
    re.compile(r"(.+)-[bcdfghjklmnpqrstvwxz2456789]{5}"),
    re.compile(r"(.+)-\d{1,4}"),
)


class Places:
    """The places of alerts, as a policy's `components` says."""

    def __init__(self, components: Components, uncounted: Iterable[str] = ()) -> None:
        """`uncounted` are labels that do not make an alert another one."""
        self._names = tuple(components.labels)
        self._absent = frozenset(components.absent) | {""}
        self._exporters = tuple(_plain(name) for name in components.exporters)
        self._scopes = tuple(components.scope)
        self._uncounted = frozenset(uncounted)

    def place(self, labels: Labels, identity: str) -> Place:
        """The place of an alert with these labels and this fingerprint.

        When no label names a thing, the alert is a thing of its own: strangers are never lumped
        into one incident.
        """
        name = self.label(labels)
        subject = self._own(labels, identity) if name is None else _thing(labels, name)
        return Place(subject, self._scope(labels))

    def label(self, labels: Labels) -> str | None:
        """The label that names the thing; None when none does."""
        exported = self._is_exporter(labels.get(_JOB, ""))
        for name in self._names:
            if labels.get(name, "") not in self._absent and not (
                exported and self._is_exporter(_thing(labels, name))
            ):
                return name
        return None

    def _own(self, labels: Labels, identity: str) -> str:
        """A thing of its own, the same for every sender and severity of the alert."""
        counted = {name: value for name, value in labels.items() if name not in self._uncounted}
        if len(counted) != len(labels):
            identity = fingerprint(counted)
        return f"{labels.get('alertname', 'unnamed')}/{identity}"

    def _is_exporter(self, name: str) -> bool:
        """Whether something is named like an exporter, or like an installation of one."""
        plain = _plain(name)
        return any(
            plain == exporter or plain.endswith(f"-{exporter}") for exporter in self._exporters
        )

    def _scope(self, labels: Labels) -> str:
        parts = []
        for group in self._scopes:
            name = next((name for name in group if labels.get(name, "") not in self._absent), None)
            if name is not None:
                parts.append(f"{group[0]} {labels[name]}")
        return ", ".join(parts)


def _plain(name: str) -> str:
    """A name without case, and with dashes where it has underscores."""
    return name.lower().replace("_", "-")


def _thing(labels: Labels, name: str) -> str:
    """What a label says is the thing: its value, but of a pod its workload."""
    value = labels[name]
    return _workload(value, labels.get(_CONTAINER, "")) if name == _POD else value


def _workload(pod: str, container: str) -> str:
    """The workload of a pod. Of a pod whose name tells none, the container it is named after."""
    for pattern in _PODS:
        match = pattern.fullmatch(pod)
        if match is not None:
            return match[1]
    return container if container and pod.startswith(f"{container}-") else pod
