"""What an alert shares with others, from good labels and bad ones."""

import pytest

from app.core.correlation.near_labels import (
    LABELS_MAX,
    PARENTS_MAX,
    PLACES_MAX,
    TOKEN_CHARACTERS_MAX,
    kind_of,
    label_digests,
    places_of,
)
from app.core.rules.near_tuning import Tuning

LABELS = Tuning().place_labels


@pytest.mark.parametrize(
    ("value", "places"),
    [
        ("db", ["place db"]),
        ("DB-1.example.org:9100", ["place db-1.example.org", "place example.org"]),
        ("https://user@db.example.org:443/path?q=1", ["place db.example.org", "place example.org"]),
        ("10.0.0.1:9100", ["place 10.0.0.1"]),
        ("[2001:db8::1]:9100", ["place [2001:db8::1]"]),
        ("2001:db8::1", ["place 2001:db8::1"]),
        ("localhost:9090", []),
        ("UNKNOWN", []),
        ("", []),
        ("The database is down. It was last seen at ten. Call us.", None),
        ("a..example.org", ["place a..example.org"]),
    ],
)
def test_places_of_an_instance(value: str, places: list[str] | None) -> None:
    """A host without its port and path, and its parent domains; a sentence is one place and has no parents."""
    expected = [f"place {value.lower()}"] if places is None else places

    assert expected == places_of("", {"instance": value}, LABELS)


def test_a_name_with_10000_parts_is_one_short_token() -> None:
    """It is cut, and two that differ at their ends stay different."""
    names = [".".join(["a"] * 10_000 + [end]) for end in ("one", "two")]
    tokens = [places_of("", {"instance": name}, LABELS) for name in names]

    assert [len(places) for places in tokens] == [1, 1]
    assert all(len(places[0]) <= TOKEN_CHARACTERS_MAX + len("place ") for places in tokens)
    assert tokens[0] != tokens[1]


def test_places_have_a_bound() -> None:
    """Of a deep host name the narrowest parents count, and of many places the first."""
    deep = {label: f"{label}.{'x.' * 40}{label}.org" for label in LABELS}

    places = places_of("component", deep, LABELS)
    assert (len(places), places[0]) == (PLACES_MAX, "place component")
    assert len(places_of("", {"host": deep["host"]}, LABELS)) == 1 + PARENTS_MAX


def test_labels_have_a_bound() -> None:
    """Of 10,000 labels only so many are compared."""
    assert len(label_digests({f"label{n}": "x" for n in range(10_000)})) == LABELS_MAX


def test_no_alertname_is_no_kind() -> None:
    """Strangers without an alertname do not share one."""
    assert (kind_of({}), kind_of({"alertname": "NULL"})) == ("", "")
    assert kind_of({"alertname": "Down"}) == "kind Down"
