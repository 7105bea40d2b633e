"""Labels that the policy reads as somebody means them: a heartbeat of a rule, an incident of a team.

They are looked for among what the policy's own matchers ask for, and tried with the policy.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice

from app.core.rules.compiled_policy import CompiledPolicy
from models.matcher import Matcher, Operator
from models.reason import BadInput, Reason
from models.severity import Severity
from models.text.suggest import did_you_mean

HEARTBEAT = "heartbeat"  # the label that tells heartbeats by URL from others
_TRIED_MAX = 200  # candidates
_WORDS = re.compile(r"\(?\??:?([\w.-]+(?:\|[\w.-]+)*)\)?")


def heartbeat_labels(policy: CompiledPolicy, name: str) -> dict[str, str]:
    """The labels of a heartbeat that the rule of this name expects. Raises BadInput."""
    rule = policy.heartbeat(name)
    if rule is None:
        names = [heartbeat.name for heartbeat in policy.policy.heartbeats]
        known = ", ".join(names) or "none"
        message = (
            f"the policy has no heartbeat {name!r:.60}, must be one of its `heartbeats` ({known})"
        )
        raise BadInput(Reason.UNKNOWN_NAME, f"{message}{did_you_mean(name, names)}")
    for asked in [{}, *islice(_candidates(rule.match), _TRIED_MAX)]:
        labels = {"alertname": name, **asked, HEARTBEAT: name}
        if policy.evaluate(labels).heartbeat == name:
            return labels
    raise BadInput(
        Reason.UNKNOWN_NAME,
        f"heartbeat {name!r}: no labels are known that only its `match` takes; "
        f"let it match {HEARTBEAT}={name}",
    )


def team_labels(policy: CompiledPolicy, team: str, others: Mapping[str, str]) -> dict[str, str]:
    """The other labels, and those by which the policy gives the alert to a team, if there are any."""
    owned = [entry.match for entry in policy.policy.ownership if entry.team == team]
    made = [{"team": team}, *(labels for match in owned for labels in _candidates(match))]
    for labels in made[:_TRIED_MAX]:
        whole = {**labels, **others}
        if policy.evaluate(whole).owner == team:
            return whole
    return {"team": team, **others}


def severity_label(policy: CompiledPolicy, severity: Severity) -> dict[str, str]:
    """The label that the policy reads as this severity."""
    severities = policy.policy.severities
    names = [name for name, known in severities.names.items() if known is severity]
    return {severities.labels[0]: names[0] if names else severity.lower()}


def _candidates(selector: Iterable[Iterable[Matcher]]) -> Iterator[dict[str, str]]:
    """Labels that alternatives of a selector ask for by name, the first value of each matcher."""
    for matchers in selector:
        labels: dict[str, str] = {}
        for matcher in matchers:
            words = _WORDS.fullmatch(matcher.value)
            if matcher.operator is Operator.EQUAL:
                labels[matcher.label] = matcher.value
            elif matcher.operator is Operator.REGEX and words is not None:
                labels[matcher.label] = words[1].split("|")[0]
        if labels:
            yield labels
