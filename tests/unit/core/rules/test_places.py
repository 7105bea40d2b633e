"""Which thing in which scope an alert is about, and the key that both make."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.place import Place, place_from
from tests.oracle import places
from tests.support.shipped_policy import shipped

CASES = {
    "the first label that says something": ("component=db service=pg", "db", ""),
    "a label that says nothing": ("component=NULL service=pg", "pg", ""),
    "an exporter's job": ("job=node-exporter instance=h1:9100", "h1:9100", ""),
    "an exporter's installation": (
        "job=prom-node-exporter service=prom-node_exporter pod=prom-node-exporter-x2x4z node=h1",
        "h1",
        "",
    ),
    "any other job": ("job=ollama instance=h1:9100", "ollama", ""),
    "a component named like an exporter": ("component=cadvisor job=docker", "cadvisor", ""),
    "a Deployment's pod": ("pod=cart-7d9f8b6c5-x2x4z container=main", "cart", ""),
    "a DaemonSet's pod": ("pod=node-agent-x2x4z", "node-agent", ""),
    "a StatefulSet's pod": ("pod=redis-node-11", "redis-node", ""),
    "a CronJob's pod": ("pod=report-28911840-bbk2x", "report", ""),
    "a pod named after its container": ("pod=cart-7d9f-abc container=cart", "cart", ""),
    "a pod named by hand": ("pod=debug container=shell", "debug", ""),
    "its scope": (
        "component=db cluster=eu namespace=shop env=prod",
        "db",
        "cluster eu, namespace shop, environment prod",
    ),
    "a scope that says nothing": ("component=db namespace=none", "db", ""),
}


@pytest.mark.parametrize("about", CASES)
def test_the_place_of_an_alert(about: str) -> None:
    """The policy's labels name the thing and the scope."""
    text, component, scope = CASES[about]
    labels = dict(word.split("=", 1) for word in text.split())

    assert shipped().place(labels, "f") == Place(component, scope)


def test_what_names_nothing_is_a_thing_of_its_own() -> None:
    """Strangers of one namespace are not lumped together."""
    labels = {"alertname": "Quota", "namespace": "shop", "job": "kube-state-metrics"}

    assert shipped().place(labels, "f1") == Place("Quota/f1", "namespace shop")


WORDS = st.sampled_from(
    ["cart", "node-exporter", "kube", "NULL", "x2x4z", "7d9f8b6c5", "0", "17", "abc", "web", "main"]
)
VALUES = st.lists(WORDS, min_size=1, max_size=4).map("-".join) | st.text(max_size=5)
NAMES = "component service job pod container node instance cluster namespace environment env"


@given(st.dictionaries(st.sampled_from(NAMES.split()), VALUES))
def test_the_oracle_finds_the_same_place(labels: dict[str, str]) -> None:
    """Whatever the labels are, the plain reading of the policy says the same."""
    policy = shipped()

    found = policy.place(labels, "f").title

    assert found == places.where(policy.document, labels, "f")


@given(st.builds(Place, VALUES, VALUES) | st.builds(Place, st.sampled_from(['["a","b"]', '["'])))
def test_a_key_says_its_place(place: Place) -> None:
    """Two places never share a key."""
    assert place_from(place.key) == place


@given(st.text() | st.sampled_from(['["a"]', '["a","b","c"]', '["a",1]', '["a', "[1,2]"]))
def test_any_key_is_a_place(key: str) -> None:
    """A journal may have been written by anybody."""
    assert isinstance(place_from(key).component, str)
