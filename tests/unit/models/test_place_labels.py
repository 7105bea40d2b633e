"""Where an alert is, in words."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from models.place_labels import mentions, place_of


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


@given(st.text("aé_- .1²", max_size=8), st.text("aé_- .1²", max_size=3))
@example("", "")
@example("a", "")
@example("queue eu-eu eu", "eu")
def test_a_text_mentions_a_name_that_is_a_word_of_it(text: str, name: str) -> None:
    """A letter, a digit, `_` or `-` beside it belongs to the same word."""
    word = re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", text)

    assert mentions(text, name) == (word is not None)
