"""From a body of any shape to alerts: what they mean, and what is refused, by path and reason."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.intake import normalise
from app.intake.normalise import (
    ALERTS_MAX,
    HOLD_MAX_MS,
    alert_of,
    alerts_from,
    from_list,
    from_webhook,
    in_webhook,
    parse_json,
)
from app.intake.salvage import BYTES_MAX
from models.alert import Alert
from models.policy.policy import ResolveTimeout
from models.reason import BadInput, Reason

NOW_MS = 1_776_000_000_000  # 2026-04-12T13:20:00Z
LABELS = {"alertname": "A"}
FINGERPRINT = "d2c6efc389df0927"
YEAR_1 = "0001-01-01T00:00:00Z"


def firing(starts_ms: int = NOW_MS, ttl_ms: int = 300_000, *, webhook: bool = False) -> Alert:
    """The alert of LABELS, firing; through a webhook, until its end is said, or for a day."""
    return Alert(
        FINGERPRINT,
        LABELS,
        {},
        firing=True,
        starts_ms=starts_ms,
        ends_ms=0,
        ttl_ms=86_400_000 if webhook else ttl_ms,
        until_resolved=webhook,
    )


def resolved(starts_ms: int, ends_ms: int) -> Alert:
    """The alert of LABELS, ended."""
    return Alert(
        FINGERPRINT, LABELS, {}, firing=False, starts_ms=starts_ms, ends_ms=ends_ms, ttl_ms=0
    )


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, firing()),
        ({"startsAt": YEAR_1, "endsAt": YEAR_1}, firing()),
        ({"startsAt": "2026-04-12T13:00:00Z"}, firing(starts_ms=NOW_MS - 1_200_000)),
        ({"startsAt": "2026-04-12T14:00:00Z"}, firing(starts_ms=NOW_MS + 2_400_000)),
        ({"endsAt": "2026-04-12T13:20:00.001Z"}, firing(ttl_ms=10_000)),
        ({"endsAt": "2026-04-12T13:24:00Z"}, firing(ttl_ms=240_000)),
        ({"endsAt": "2026-04-12T13:24:00.001Z"}, firing(ttl_ms=250_000)),
        ({"endsAt": "2026-04-12T15:24:00+02:00"}, firing(ttl_ms=240_000)),
        ({"endsAt": "9999-12-31T23:59:59Z"}, firing(ttl_ms=HOLD_MAX_MS)),
        ({"endsAt": "2026-04-12T13:20:00Z"}, resolved(NOW_MS, NOW_MS)),
        ({"endsAt": "2026-04-12T13:10:00Z"}, resolved(NOW_MS - 600_000, NOW_MS - 600_000)),
        ({"endsAt": "1970-01-01T00:00:00Z"}, resolved(0, 0)),
        (
            {"startsAt": "2026-04-12T13:00:00Z", "endsAt": "2026-04-12T13:10:00Z"},
            resolved(NOW_MS - 1_200_000, NOW_MS - 600_000),
        ),
        (
            {"startsAt": "2026-04-12T13:10:00Z", "endsAt": "2026-04-12T13:10:00Z"},
            resolved(NOW_MS - 600_000, NOW_MS - 600_000),
        ),
        ({"status": "resolved"}, resolved(NOW_MS, NOW_MS)),
        ({"status": "resolved", "endsAt": "2026-04-12T13:30:00Z"}, resolved(NOW_MS, NOW_MS)),
        (
            {"status": "resolved", "endsAt": "2026-04-12T13:10:00Z"},
            resolved(NOW_MS - 600_000, NOW_MS - 600_000),
        ),
        ({"status": "firing", "endsAt": "2026-04-12T13:10:00Z"}, firing()),
        (
            {"status": {"state": "suppressed"}, "endsAt": "2026-04-12T13:24:00Z"},
            firing(ttl_ms=240_000),
        ),
    ],
)
def test_times_mean_what_they_mean_in_alertmanager(fields: dict[str, Any], expected: Alert) -> None:
    """An end in the past resolves, an end ahead holds, none holds for the resolve timeout.

    A status in words decides.
    """
    alerts, refused = from_list([{"labels": LABELS} | fields], NOW_MS)

    assert ([expected], []) == (alerts, refused)


def test_repeats_are_alike() -> None:
    """Ends that wander within a step from one evaluation to the next give the same alert."""
    first = {
        "labels": LABELS,
        "startsAt": "2026-04-12T13:00:00Z",
        "endsAt": "2026-04-12T13:23:59.017Z",
    }
    again = first | {"endsAt": "2026-04-12T13:24:58.512Z"}

    assert from_list([first], NOW_MS) == from_list([again], NOW_MS + 60_000)


def test_reads_what_alertmanager_gives() -> None:
    """An alert as GET /api/v2/alerts answers it, with all its other fields."""
    body = orjson.dumps(
        [
            {
                "annotations": {"summary": "down"},
                "endsAt": "2026-04-12T13:24:00.000Z",
                "fingerprint": "ignored, since it is computed",
                "receivers": [{"name": "web"}],
                "startsAt": "2026-04-12T13:00:00.000Z",
                "status": {"inhibitedBy": [], "silencedBy": [], "state": "active"},
                "updatedAt": "2026-04-12T13:20:00.000Z",
                "generatorURL": "http://prometheus/graph",
                "labels": LABELS | {"empty": ""},
            }
        ]
    )
    expected = Alert(
        FINGERPRINT,
        LABELS,
        {"summary": "down"},
        firing=True,
        starts_ms=NOW_MS - 1_200_000,
        ends_ms=0,
        ttl_ms=240_000,
        url="http://prometheus/graph",
    )

    assert ([expected], []) == alerts_from(body, NOW_MS)


def test_reads_a_webhook_message() -> None:
    """The webhook's version 4: each alert's own status counts, not the group's."""
    body = orjson.dumps(
        {
            "version": "4",
            "groupKey": "{}:{}",
            "truncatedAlerts": 0,
            "status": "firing",
            "receiver": "tocsin",
            "groupLabels": {},
            "commonLabels": LABELS,
            "commonAnnotations": {},
            "externalURL": "http://alertmanager",
            "alerts": [
                {
                    "status": "firing",
                    "labels": LABELS,
                    "startsAt": "2026-04-12T13:00:00Z",
                    "endsAt": YEAR_1,
                },
                {
                    "status": "resolved",
                    "labels": LABELS,
                    "startsAt": "2026-04-12T13:00:00Z",
                    "endsAt": "2026-04-12T13:10:00Z",
                },
            ],
        }
    )
    starts_ms = NOW_MS - 1_200_000

    assert (
        [firing(starts_ms, webhook=True), resolved(starts_ms, NOW_MS - 600_000)],
        [],
    ) == alerts_from(body, NOW_MS)


def test_reads_a_single_alert() -> None:
    """A producer of the raw topic may write one alert a record, without a list around it."""
    assert ([firing()], []) == alerts_from(b'{"labels": {"alertname": "A"}}', NOW_MS)


@pytest.mark.parametrize(
    ("entry", "reason", "message"),
    [
        (7, Reason.MALFORMED, "[1]: is a number, must be an alert"),
        (None, Reason.MALFORMED, "[1]: is null, must be an alert"),
        ([], Reason.MALFORMED, "[1]: is a list, must be an alert"),
        ({}, Reason.NO_LABELS, "[1].labels: has no label, must have at least one with a value"),
        (
            {"labels": {"a": ""}},
            Reason.NO_LABELS,
            "[1].labels: has no label, must have at least one with a value",
        ),
        ({"labels": {"a": 1}}, Reason.BAD_LABEL, "[1].labels.a: is 1, must be a text"),
        (
            {"labels": {"a": "x" * 2**20}},
            Reason.TOO_LARGE,
            "[1].labels: has 1048577 bytes, must have at most 65536",
        ),
        (
            {"labels": LABELS, "annotations": []},
            Reason.MALFORMED,
            "[1].annotations: is a list, must be an object of texts",
        ),
        (
            {"labels": LABELS, "startsAt": "yesterday"},
            Reason.BAD_TIME,
            "[1].startsAt: is 'yesterday', must be an RFC 3339 time",
        ),
        (
            {"labels": LABELS, "endsAt": 0},
            Reason.BAD_TIME,
            "[1].endsAt: is 0, must be an RFC 3339 time",
        ),
        (
            {
                "labels": LABELS,
                "startsAt": "2026-04-12T13:10:00Z",
                "endsAt": "2026-04-12T13:09:59Z",
            },
            Reason.BAD_TIME,
            "[1].endsAt: is '2026-04-12T13:09:59Z', must not be before startsAt, '2026-04-12T13:10:00Z'",
        ),
        (
            {"labels": LABELS, "generatorURL": {}},
            Reason.MALFORMED,
            "[1].generatorURL: is an object, must be a text",
        ),
        (
            {"labels": LABELS, "status": "ok"},
            Reason.MALFORMED,
            "[1].status: is 'ok', must be 'firing' or 'resolved'",
        ),
        (
            {"labels": LABELS, "status": 1},
            Reason.MALFORMED,
            "[1].status: is 1, must be 'firing' or 'resolved'",
        ),
    ],
)
def test_refuses_an_alert_and_takes_its_neighbours(
    entry: Any, reason: Reason, message: str
) -> None:
    """A bad alert is refused by path; the alerts before and after it are taken."""
    good = {"labels": LABELS}
    alerts, refused = from_list([good, entry, good], NOW_MS)

    assert ([firing(), firing()], [(reason, message)]) == (
        alerts,
        [(one.reason, one.message) for one in refused],
    )


def test_paths_in_a_webhook_begin_with_its_field() -> None:
    """In a webhook message the path says which list the number counts in."""
    _, refused = from_webhook(
        {"version": "4", "alerts": [{"labels": LABELS, "startsAt": "yesterday"}]}, NOW_MS
    )

    assert [one.message for one in refused] == [
        "alerts[0].startsAt: is 'yesterday', must be an RFC 3339 time"
    ]


@pytest.mark.parametrize(
    ("body", "reason", "message"),
    [
        (b"7", Reason.MALFORMED, "the body is a number, must be a list of alerts"),
        (b'"alert"', Reason.MALFORMED, "the body is a text, must be a list of alerts"),
        (b"null", Reason.MALFORMED, "the body is null, must be a list of alerts"),
        (b"true", Reason.MALFORMED, "the body is a boolean, must be a list of alerts"),
        (b'{"alerts": []}', Reason.UNSUPPORTED_VERSION, "version: is None, must be '4' or '1'"),
        (
            b'{"version": "5", "alerts": []}',
            Reason.UNSUPPORTED_VERSION,
            "version: is '5', must be '4' or '1'",
        ),
        (
            b'{"version": 4, "alerts": []}',
            Reason.UNSUPPORTED_VERSION,
            "version: is 4, must be '4' or '1'",
        ),
        (
            b'{"version": "4", "alerts": {}}',
            Reason.MALFORMED,
            "alerts: is an object, must be a list of alerts",
        ),
        (
            b'{"version": "4", "alerts": null}',
            Reason.MALFORMED,
            "alerts: is null, must be a list of alerts",
        ),
        (
            b"[" + b"0," * ALERTS_MAX + b"0]",
            Reason.TOO_LARGE,
            f"the body has {ALERTS_MAX + 1} alerts, must have at most {ALERTS_MAX}",
        ),
    ],
)
def test_refuses_a_body(body: bytes, reason: Reason, message: str) -> None:
    """A body that is no known shape is refused as a whole."""
    with pytest.raises(BadInput) as refusal:
        alerts_from(body, NOW_MS)

    assert (reason, message) == (refusal.value.reason, refusal.value.message)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[1,]",
        b"[NaN]",
        b"[Infinity]",
        b'[{"labels": {"a": "\\ud800"}}]',
        b'[{"labels": {"\\udfff": "a"}}]',
        b'[{"labels": {"a": "\xff"}}]',
        b'[{"labels": {"a": "\xed\xa0\x80"}}]',
        b"[" * 100_000 + b"]" * 100_000,
        b'{"a":' * 100_000,
        b"\x1f\x8b\x08\x00",
    ],
)
def test_refuses_what_is_not_json(body: bytes) -> None:
    """NaN, lone surrogates, bytes that are not UTF-8 and endless nesting are no JSON that Tocsin reads."""
    with pytest.raises(BadInput) as refusal:
        parse_json(body)

    assert (refusal.value.reason, refusal.value.message[:22]) == (
        Reason.MALFORMED,
        "the body is not JSON: ",
    )


def in_list(*entries: bytes) -> bytes:
    """A list of JSON texts."""
    return b"[" + b", ".join(entries) + b"]"


ALERT = b'{"labels": {"alertname": "A"}}'
NOT_JSON = (
    "is not JSON: it has a NaN, an Infinity, half of a surrogate pair, or bytes that are not UTF-8"
)


@pytest.mark.parametrize(
    "bad",
    [
        b'{"labels": {"alertname": "\\ud800"}}',
        b'{"labels": {"\\udfff": "A"}}',
        b'{"labels": {"alertname": "A"}, "annotations": {"summary": "\\ud83d"}}',
        b'{"labels": {"alertname": "A\xff"}}',
        b'{"labels": {"alertname": "\xed\xa0\x80"}}',
        b'{"labels": {"alertname": "A"}, "value": NaN}',
        b'{"labels": {"alertname": "A"}, "more": [{"value": -Infinity}]}',
        b"NaN",
    ],
)
@pytest.mark.parametrize(
    "shape", [b"%s", b'{"version": "4", "alerts": %s}'], ids=["list", "webhook"]
)
def test_what_is_not_json_spoils_nothing_else(shape: bytes, bad: bytes) -> None:
    """One alert that no JSON parser may read is refused in its place, and its neighbours are taken."""
    found = alerts_from(shape % in_list(ALERT, bad, ALERT), NOW_MS)

    where = "[1]" if shape == b"%s" else "alerts[1]"
    assert found[0] == [firing(webhook=shape != b"%s")] * 2
    assert [(one.reason, one.message) for one in found[1]] == [
        (Reason.MALFORMED, f"{where}: {NOT_JSON}")
    ]


def test_what_is_not_json_elsewhere_spoils_nothing() -> None:
    """Of a webhook message only the alerts are used."""
    body = (
        b'{"version": "4", "commonLabels": {"a": "\\ud800"}, "more": NaN, "alerts": [%s]}' % ALERT
    )

    assert alerts_from(body, NOW_MS) == ([firing(webhook=True)], [])


@pytest.mark.parametrize(
    "body",
    [
        b"NaN",
        b'{"labels": {"alertname": "\\ud800"}}',
        b'{"version": "4", "alerts": NaN}',
        b"[NaN",
        b"[NaN,]",
        b'["\n", NaN]',
        b"\xef\xbb\xbf[NaN]",
        b"[" * 100_000 + b"NaN",
        b"[NaN]".ljust(BYTES_MAX + 1),
        "[NaN]".encode("utf-16"),
    ],
)
def test_what_is_not_json_as_a_whole(body: bytes) -> None:
    """Where there is no list to be read, or it is a large one, it is told where it ceases to be JSON."""
    with pytest.raises(BadInput, match="the body is not JSON: ") as caught:
        alerts_from(body, NOW_MS)

    assert caught.value.reason is Reason.MALFORMED


def test_a_body_that_is_just_small_enough() -> None:
    """The bound is the largest that is read with care."""
    found = alerts_from(in_list(ALERT, b"NaN").ljust(BYTES_MAX), NOW_MS)

    assert (found[0], len(found[1])) == ([firing()], 1)


@given(
    st.lists(
        st.sampled_from(
            [b"NaN", ALERT, b'"\\ud800"', b"{}", b'{"labels": {"a": "\\ud83d\\ude00"}}']
        )
    )
)
def test_each_alone_is_as_in_company(entries: list[bytes]) -> None:
    """What becomes of an alert does not depend on its neighbours."""
    alerts, refused = alerts_from(in_list(*entries), NOW_MS)

    alone = [alerts_from(in_list(entry), NOW_MS) for entry in entries]
    assert alerts == [alert for found, _ in alone for alert in found]
    assert [(one.reason, one.message.partition("]")[2]) for one in refused] == [
        (one.reason, one.message.partition("]")[2]) for _, found in alone for one in found
    ]


@pytest.mark.parametrize("depth", [200, 1000])
def test_what_is_nested_as_deep_as_json_may_be_is_refused(depth: int) -> None:
    """A message about something that `repr` cannot show is a message all the same, and the neighbours are taken."""
    deep = b"[" * depth + b"]" * depth
    alerts, refused = alerts_from(
        in_list(ALERT, b'{"labels": {"a": "b"}, "status": %s}' % deep), NOW_MS
    )
    with pytest.raises(BadInput) as caught:
        alerts_from(b'{"version": %s, "alerts": []}' % deep, NOW_MS)

    assert alerts == [firing()]
    assert [one.message for one in refused] == [
        "[1].status: is a list, must be 'firing' or 'resolved'"
    ]
    assert caught.value.message == "version: is a list, must be '4' or '1'"


def test_a_null_label_is_no_label() -> None:
    """Null labels and annotations count as absent; what is no text is refused as before."""
    sent = {"labels": {**LABELS, "extra": None}, "annotations": {"summary": None}}

    alerts, refused = from_list([sent, {"labels": {**LABELS, "extra": 1, "other": None}}], NOW_MS)

    assert alerts == [firing()]
    assert [one.message for one in refused] == ["[1].labels.extra: is 1, must be a text"]


def test_grafanas_webhook() -> None:
    """Grafana's message has version 1 and fields of its own; its alerts are taken."""
    entry = {
        "status": "firing",
        "labels": LABELS,
        "startsAt": "2026-04-12T13:20:00Z",
        "endsAt": YEAR_1,
        "silenceURL": "http://grafana.example/s",
        "values": {"B": 22.5},
    }
    message = {"version": "1", "orgId": 1, "state": "alerting", "title": "t", "alerts": [entry]}

    assert from_webhook(message, NOW_MS) == ([firing(webhook=True)], [])


def test_the_policy_says_how_long_an_alert_lives_without_news() -> None:
    """By its source; one through a webhook fires until its end is said, whatever end is ahead."""
    timeouts = ResolveTimeout.model_validate({"alerts": "7m", "webhook": "2h"})
    message = {"version": "4", "alerts": []}
    entry = {"labels": LABELS, "status": "firing", "endsAt": "2026-04-12T13:24:00Z"}

    lifetimes = [given.lifetime(timeouts) for given in (normalise.in_list([]), in_webhook(message))]

    assert [alert_of({"labels": LABELS}, NOW_MS, one).ttl_ms for one in lifetimes] == [
        420_000,
        7_200_000,
    ]
    assert [alert_of(entry, NOW_MS, one).ttl_ms for one in lifetimes] == [240_000, 7_200_000]
    assert [one.until_resolved for one in lifetimes] == [False, True]


def test_a_p0_is_not_refused_for_its_text() -> None:
    """Annotations and a URL that are too large are cut, and the alert is taken."""
    texts = {"summary": "down", "log": "x" * 2**20}
    sent = {"labels": LABELS, "annotations": texts, "generatorURL": "y" * 2**15}

    alerts, refused = from_list([sent], NOW_MS)

    [alert] = alerts
    assert (refused, alert.annotations["summary"], alert.labels) == ([], "down", LABELS)
    assert alert.annotations["log"].endswith("x... (cut: it had 1048576 bytes)")
    assert alert.url.endswith("y... (cut: it had 32768 bytes)")
