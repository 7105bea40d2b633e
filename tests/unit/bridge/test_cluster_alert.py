"""A Kubernetes alert as Prometheus sends it: whoever is woken reads namespace, pod and runbook."""

from functools import partial

from app.core.engine import Engine
from app.notifier.messages.incident_links import IncidentLinks
from app.notifier.messages.rendering import Templates
from app.notifier.runtime.decoding import decode
from app.render.report_markdown import report_markdown
from models.effect import Stream
from models.topics import Topics
from tests.support.alerts import ANNOTATIONS, GRAPH, POD, documents
from tests.support.fake_log import FakeLog
from tests.support.scenario_reports import report_from
from tests.support.served_bridge import Client, with_bridge
from tests.support.shipped_policy import shipped

COMPONENT, PLACE = "basket", "store/basket-5f8d"
RUNBOOK = ANNOTATIONS["runbook_url"]


def test_what_was_posted_reaches_people_with_place_and_runbook() -> None:
    """The message of each channel, the snapshot, the timeline and the report say where and what to read."""
    log = FakeLog()
    posted = [{"labels": POD, "annotations": ANNOTATIONS, "generatorURL": GRAPH}]
    answer = with_bridge(log, partial(_post, posted))
    assert answer[0] == 200
    partition = log.batches[0][0]
    records = log.topics[Topics().journal, partition]

    effects = Engine(partition, shipped()).apply(records)

    snapshot = documents(effects, Stream.INCIDENTS)[-1]
    assert snapshot["title"] == f"PodRestarts: {PLACE}"
    assert snapshot["links"]["runbook"] == RUNBOOK
    opened = documents(effects, Stream.TIMELINE)[0]
    assert PLACE in opened["text"]
    assert opened["links"] == {
        "runbook": RUNBOOK,
        "dashboard": ANNOTATIONS["dashboard_url"],
        "graph": GRAPH,
    }
    report = report_markdown(report_from(effects, snapshot["incident"]))
    for text in (PLACE, "namespace=store", "pod=basket-5f8d", "/runbooks/pods"):
        assert text in report
    templates = Templates(IncidentLinks())
    bodies = [
        templates.render("body.txt", decode(effect.value))
        for effect in effects
        if effect.stream is Stream.NOTIFICATIONS
    ]
    assert len(bodies) >= 3
    for body in bodies:
        assert f"[P0] PodRestarts: {PLACE}" in body
        assert "namespace store, pod basket-5f8d" in body
        assert f"Runbook: {RUNBOOK}" in body
        assert f"Graph: {GRAPH}" in body


async def _post(posted: object, client: Client) -> object:
    return await client.post(posted)
