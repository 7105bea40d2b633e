"""A bounded memory in two generations."""

from app.intake.cache import Generations


def test_what_is_not_asked_for_is_forgotten() -> None:
    """Two generations are kept, however much is put; what is asked for while one fills stays."""
    memory: Generations[str, int] = Generations(10)
    memory.put("asked", -1, 1)
    memory.put("not asked", -2, 1)
    for number in range(100):
        memory.put(str(number), number, 1)
        memory.get("asked")

    assert (memory.get("asked"), memory.get("not asked")) == (-1, None)
    assert (memory.get("79"), memory.get("90"), memory.get("99")) == (None, 90, 99)
    assert len(memory) <= 20


def test_sizes_count() -> None:
    """A generation is full when its values are, not when it has many of them."""
    memory: Generations[str, str] = Generations(10)
    for name in ("a", "b", "c", "d", "e"):
        memory.put(name, name, 10)

    assert [memory.get(name) for name in ("a", "b", "c", "d", "e")] == [None, None, None, "d", "e"]


def test_what_stays_keeps_its_size() -> None:
    """What goes over into the next generation fills it as it filled the one before."""
    memory: Generations[str, str] = Generations(10)
    memory.put("large", "a", 10)
    memory.put("b", "b", 1)
    memory.get("large")
    memory.put("c", "c", 1)
    memory.put("d", "d", 10)
    memory.put("e", "e", 1)

    assert [memory.get(name) for name in ("large", "b", "e", "d", "c")] == [
        None,
        None,
        "e",
        "d",
        "c",
    ]


def test_a_value_takes_the_place_of_the_one_before() -> None:
    """The newest value of a key counts, and its size alone."""
    memory: Generations[str, str] = Generations(10)
    memory.put("other", "other", 1)
    for value in ("first", "second", "third"):
        memory.put("a", value, 8)
    memory.put("b", "b", 1)

    assert (memory.get("other"), memory.get("a"), len(memory)) == ("other", "third", 3)
    assert not memory._older
