"""Where an alert is, in words."""

import pytest

from models.place_labels import place_of


@pytest.mark.parametrize(
    ("labels", "component", "place"),
    [
        ({"namespace": "store", "pod": "basket-5f8d"}, "basket", "store/basket-5f8d"),
        ({"namespace": "store", "pod": "b-1", "cluster": "eu"}, "basket", "store/b-1 (eu)"),
        ({"namespace": "store"}, "basket", "store/basket"),
        ({"namespace": "store"}, "store/basket", ""),
        ({"namespace": "store"}, "", "store"),
        ({"instance": "db1:9187"}, "postgres", "postgres (db1:9187)"),
        ({"instance": "db1:9187"}, "", "(db1:9187)"),
        ({"instance": "n1"}, "n1", ""),
        ({"cluster": "eu"}, "queue", "queue (eu)"),
        ({"instance": "eu"}, "queue-eu-1", "queue-eu-1 (eu)"),
        ({"namespace": "NULL", "pod": "none", "instance": "-"}, "postgres", ""),
        ({}, "postgres", ""),
    ],
)
def test_a_place_has_what_the_component_does_not_say(
    labels: dict[str, str], component: str, place: str
) -> None:
    """Namespace, pod or component, then in brackets instance and cluster."""
    assert place_of(labels, component) == place
