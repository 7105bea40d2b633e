"""Alerts are found by their senders' keys as if every alert that fires were looked at."""

import asyncio

import orjson
from hypothesis import given
from hypothesis import strategies as st

from app.history.alert_keys import KEY, SENDER
from app.history.alert_view import AlertView, FiringAlerts
from app.transport.log import NewRecord
from models.effect import Position
from models.text.json_bytes import json_bytes
from tests.support.fake_log import FakeLog

TOPIC = "tocsin.alerts"
SENDERS, KEYS = ("a", "b"), ("k", 'k"', "l", "")


def record(number: int, sender: str, key: str, name: str, *, fires: bool) -> NewRecord:
    """An alert's record; its fingerprint is made of its labels, as everywhere."""
    labels = (
        {"alertname": name} | ({SENDER: sender} if sender else {}) | ({KEY: key} if key else {})
    )
    state = "active" if fires else "resolved"
    fingerprint = "|".join(labels.values())
    document: dict[str, object] = {"id": f"0-{number}-0", "alert": fingerprint, "state": state}
    document |= {"labels": labels, "annotations": {"x": f'"{KEY}":'}, "follows": ""}
    return NewRecord(fingerprint.encode(), json_bytes(document), (Position(number, 0).header(),))


def slowly(alerts: FiringAlerts, sender: str, key: str) -> set[str]:
    """The fingerprints of all alerts with a key."""
    documents = [orjson.loads(value) for value in alerts.values.values()]
    return {
        document["alert"]
        for document in documents
        if key
        and (document["labels"].get(SENDER, ""), document["labels"].get(KEY)) == (sender, key)
    }


@given(
    st.lists(
        st.tuples(
            st.sampled_from((*SENDERS, "")),
            st.sampled_from(KEYS),
            st.sampled_from(("One", "Two")),
            st.booleans(),
        ),
        max_size=30,
    ),
    st.integers(1, 30),
    st.integers(2, 12),
)
def test_the_index_is_what_a_look_at_all_finds(
    steps: list[tuple[str, str, str, bool]], cut: int, alerts_max: int
) -> None:
    """After any course of alerts, read in two goes, also where the view has no room for all."""
    log = FakeLog()
    view = AlertView(log, TOPIC, 1, alerts_max)
    records = [record(number, *step[:3], fires=step[3]) for number, step in enumerate(steps)]
    for part in (records[:cut], records[cut:]):
        log.put(TOPIC, 0, part)
        alerts = asyncio.run(view.firing())
        for sender in (*SENDERS, ""):
            for key in KEYS:
                known = asyncio.run(view.with_key(sender, key))
                expected = slowly(alerts, sender, key)

                assert (known is None) == (not expected)
                assert known is None or known["alert"] in expected


def test_a_key_is_found_without_a_look_at_the_others() -> None:
    """Of many alerts that fire the one with the key is read, and no other."""
    log = FakeLog()
    view = AlertView(log, TOPIC, 1)
    log.put(TOPIC, 0, [record(n, "s", f"k{n}", "Many", fires=True) for n in range(1000)])
    asyncio.run(view.firing())
    view._firing = dict.fromkeys(view._firing, b"none") | {
        "Many|s|k500": view._firing["Many|s|k500"]
    }

    known = asyncio.run(view.with_key("s", "k500"))

    assert known is not None
    assert known["labels"][KEY] == "k500"
