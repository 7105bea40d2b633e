"""Nobody is left out because of where a team is reached."""

import copy
from typing import Any

import orjson

from app.core.rules.compiled_policy import CompiledPolicy
from app.policy.simulator import Stage
from app.transport.log import StoredRecord
from models.effect import Stream
from tests.support.scenario import START_MS, alert_record
from tests.support.shipped_policy import shipped

MINUTE_MS = 60_000
DOWN = {"alertname": "ServiceDown", "component": "shop", "severity": "critical"}


def told(policy: CompiledPolicy, until_ms: int, *records: StoredRecord) -> list[dict[str, Any]]:
    """The messages that come of some records until then."""
    stage = Stage(policy)
    for record in records:
        stage.append(record)
    stage.wait_until(START_MS + until_ms)
    sent = [each for each in stage.effects if each.stream is Stream.NOTIFICATIONS]
    return [orjson.loads(each.value) for each in sent]


def changed(contact: dict[str, str], **notify: Any) -> CompiledPolicy:
    """The shipped policy with another contact for the team that owns most, and other waits."""
    document = copy.deepcopy(shipped().document)
    document["teams"]["infrastructure"]["contact"] = contact
    document["notify"] |= notify
    return CompiledPolicy(document)


def test_the_second_on_call_is_paged_on_the_teams_pager() -> None:
    """An escalation rings, also where the team's contact has the pager of the person who is called."""
    policy = changed({"name": "Ops", "email": "ops@example.org", "pager": "ops-lead"})

    messages = told(policy, 3 * MINUTE_MS, alert_record(START_MS, DOWN, "shop"))

    pages = [(each["kind"], each["receiver"]) for each in messages if each["channel"] == "pager"]
    assert pages == [("opened", "On-call SRE"), ("escalated", "Lead SRE")]


def test_what_was_over_reaches_a_team_without_chat() -> None:
    """A P0 that was over before any message is named by mail where there is no chat, else by pager."""
    reached = []
    for contact in ({"name": "Ops", "email": "ops@example.org"}, {"name": "Ops"}):
        policy = changed(contact, group_wait={"P0": "2m"})
        messages = told(
            policy,
            30 * MINUTE_MS,
            alert_record(START_MS, DOWN, "shop"),
            alert_record(START_MS + 30_000, DOWN, "shop", firing=False),
        )
        reached += [(each["kind"], each["channel"], each["text"]) for each in messages]

    named = "1 P0 over. Incidents include"
    # The first on call has another mailbox.
    channels = [channel for _, channel, _ in reached]
    assert channels == ["email", "email", "pager"]
    assert {kind for kind, _, _ in reached} == {"digest"}
    assert all(named in text and "ServiceDown on shop" in text for _, _, text in reached)
