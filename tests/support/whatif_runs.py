"""A journal played under two policies, and both outcomes compared."""

import asyncio
from typing import Any

import orjson

from app.core.rules.compiled_policy import CompiledPolicy
from app.whatif.compare import Comparison, compare_runs
from app.whatif.ids import recorded_ids_in, shown_position
from app.whatif.outcomes import RunOutcomes, facts_of
from app.whatif.runner import PlayedRuns, play_policies
from tests.support.fake_log import FakeLog
from tests.support.recorder import TOPICS
from tests.support.whole_policy import POLICY


def changed_policy(**changes: Any) -> CompiledPolicy:
    """The shipped policy with other sections."""
    return CompiledPolicy(POLICY.document | changes)


def correlations(**counts: int) -> list[dict[str, Any]]:
    """The shipped correlations with other counts, by rule."""
    rules: list[dict[str, Any]] = POLICY.document["correlations"]
    return [
        rule | {"count": counts[name]}
        if (name := rule["name"].replace("-", "_")) in counts
        else rule
        for rule in rules
    ]


def played(
    log: FakeLog, partitions: int, policy: CompiledPolicy, against: CompiledPolicy | None = None
) -> PlayedRuns:
    """The journal of a log under both policies."""
    return asyncio.run(play_policies(log, TOPICS, partitions, policy, against, lambda *_: None))


def compared(found: PlayedRuns) -> Comparison:
    """Both of it, compared."""
    return compare_runs(*both(found))


def both(found: PlayedRuns) -> tuple[RunOutcomes, RunOutcomes]:
    """What both runs said."""
    ends_ms = max(span.last_ms for span in found.survey.spans)
    return facts_of(found.before, ends_ms), facts_of(found.after, ends_ms)


def as_recorded(values: Any) -> list[str]:
    """What a run said, sorted, with ids and positions as the record has them."""
    documents = [orjson.loads(value) for value in values]
    for one in documents:
        for name in {"id", "opened_by"} & one.keys():
            one[name] = shown_position(one[name])
        if isinstance(one.get("records"), list):
            one["records"] = [shown_position(position) for position in one["records"]]
    return sorted_documents(
        recorded_ids_in(orjson.dumps(one).decode()).encode() for one in documents
    )


def sorted_documents(values: Any) -> list[str]:
    """JSON documents in one spelling, sorted."""
    return sorted(orjson.dumps(orjson.loads(value)).decode() for value in values)
