"""Every parser, with good input that is changed in every way.

What hypothesis tries in each run, atheris tries for longer.
"""

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.changes import FIRST, JSON, change, splice
from tests.fuzz.properties import PROPERTIES
from tests.fuzz.seeds import SEEDS
from tests.support.example_counts import examples


@st.composite
def spliced(draw: st.DrawFn, name: str) -> bytes:
    """A seed with pieces taken out, put in and said again; or any bytes."""
    data: bytes = draw(st.sampled_from(SEEDS[name]()) | st.binary(max_size=40))
    for _ in range(draw(st.integers(0, 4))):
        data = splice(lambda some: draw(st.sampled_from(some)), data)
    return data


@st.composite
def changed(draw: st.DrawFn, name: str) -> bytes:
    """A seed's JSON in which some values are others, or are not there."""
    document: Any = orjson.loads(
        draw(st.sampled_from([one for one in SEEDS[name]() if one[:1] in FIRST]))
    )
    for _ in range(draw(st.integers(1, 4))):
        document = change(lambda some: draw(st.sampled_from(some)), document)
    return orjson.dumps(document)


@pytest.mark.sampled
@pytest.mark.parametrize("name", PROPERTIES)
def test_any_bytes(name: str) -> None:
    """No bytes make the parser raise what is not ours, or the engine stop, or lose count."""
    strategy = spliced(name) | (changed(name) if name in JSON else spliced(name))

    @settings(max_examples=examples(20))
    @given(strategy)
    def tried(data: bytes) -> None:
        PROPERTIES[name](data)

    tried()


@pytest.mark.parametrize("name", PROPERTIES)
def test_the_seeds_are_good(name: str) -> None:
    """Each property holds of what it begins with, of nothing, and of what is no text."""
    for data in (*SEEDS[name](), b"", b"\xff\xfe", b"null", b"[]", b"{}"):
        PROPERTIES[name](data)
