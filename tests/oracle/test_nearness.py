"""Nearness against its restatement: the same answers for every history, also across restarts."""

import os
from collections import Counter

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.correlation.background import background_hours
from app.core.correlation.near_labels import shared_by
from app.core.correlation.nearness import FiredAlert, Join, on_ended, on_fired
from app.core.rules.near_tuning import Nearby, Tuning
from app.core.state.near_memory import NearMemory
from app.core.state.near_state import NearState
from tests.oracle.nearness import Answer, History

EXAMPLES = int(os.environ.get("TOCSIN_EXAMPLES", "0")) or 60
BEGIN_MS = 1_767_225_600_123
WAITS = (0, 1000, 7000, 40_000, 90_000, 600_000, 900_000, 1_500_000, 3_600_000, 86_400_000)

# Each has its alertname, component, severity and instance.
ALERTS = [
    ("Latency", "api", "warning", "db-1.rack.example.org:9100"),
    ("Latency", "web", "warning", "db-2.rack.example.org:9100"),
    ("Latency", "shop", "critical", "10.0.0.1:80"),
    ("Disk", "api", "warning", "db-1.rack.example.org:9200"),
    ("Disk", "web", "warning", "10.0.0.1:81"),
    ("Down", "mail", "critical", "mail.example.org"),
    ("Noise", "mail", "info", "mail.example.org"),
    ("Noise", "web", "info", ""),
]

numbers = st.integers(0, len(ALERTS) - 1)
steps = st.one_of(
    st.tuples(st.just("fire"), st.sampled_from(WAITS), numbers),
    st.tuples(st.just("fire"), st.sampled_from(WAITS[:6]), numbers),
    st.tuples(st.just("resolve"), st.just(0), numbers),
    st.tuples(st.just("expire"), st.just(0), numbers),
    st.tuples(st.just("hourly"), st.integers(8, 12), numbers),
    st.tuples(st.just("restart"), st.just(0), st.just(0)),
)


class Both:
    """The same history for both."""

    def __init__(self) -> None:
        self.memory, self.history, self.at_ms = NearMemory(), History(), BEGIN_MS
        self.written: dict[bytes, bytes] = {}
        self.memory.groups["near", "all"] = NearState()
        self.begun: list[tuple[int, int]] = []
        self.resolved: set[int] = set()
        self.answers: list[tuple[Answer, Answer]] = []

    def fire(self, wait_ms: int, number: int) -> None:
        """An alert begins to fire."""
        self.at_ms += wait_ms
        kind, component, severity, instance = ALERTS[number]
        labels = {"alertname": kind, "severity": severity, "service": component}
        labels |= {"instance": instance} if instance else {}
        tuning, hours = Tuning(), 0
        if severity != "critical":
            hours = background_hours(self.memory, tuning, str(number), self.at_ms)
        shared = shared_by(component, labels, tuning.place_labels)
        alert = FiredAlert(self.at_ms, str(number), severity, shared, hours)
        join = on_fired(self.memory.groups["near", "all"], tuning, alert)
        chronic = self._is_chronic(number, severity)
        expected = self.history.fire(
            self.at_ms, str(number), component, severity, labels, chronic=chronic
        )
        self.answers.append((expected, _answer(join)))

    def _is_chronic(self, number: int, severity: str) -> bool:
        hour = self.at_ms // 3_600_000
        hours = {one for key, one in self.begun if key == number and hour - 24 < one}
        self.begun.append((number, hour))
        return severity != "critical" and len(hours) >= 8 and number not in self.resolved

    def end(self, number: int, *, resolved: bool) -> None:
        """An alert ends."""
        on_ended(self.memory.groups["near", "all"], str(number), resolved=resolved)
        if resolved:
            self.resolved.add(number)
            self.memory.resolve(str(number))
        self.history.end(str(number), resolved=resolved)

    def restart(self) -> None:
        """The state is written down and read again."""
        for key, value in self.memory.changed_records():
            if value is None:
                del self.written[key]
            else:
                self.written[key] = value
        self.memory = NearMemory()
        for key, value in reversed(self.written.items()):
            load = self.memory.load_begun if key.startswith(b"b/") else self.memory.load_group
            load(key[2:], orjson.loads(value))
        self.memory.end_load()
        self.memory.groups.setdefault(("near", "all"), NearState())
        assert self.memory.number_of_keys == len(self.written) or not self.answers


def _answer(join: Join) -> Answer:
    return Answer(
        join.group, join.reason, join.token, join.apart_ms, join.accident_ppm, join.limit_ppm
    )


def play(story: list[tuple[str, object, object]]) -> Both:
    """Let both live through a story."""
    both = Both()
    for verb, first, second in story:
        match verb, first, second:
            case "fire", int(wait_ms), int(number):
                both.fire(wait_ms, number)
            case "hourly", int(times), int(number):
                for _ in range(times):
                    both.end(number, resolved=False)
                    both.fire(3_600_000, number)
            case "resolve" | "expire", _, int(number):
                both.end(number, resolved=verb == "resolve")
            case "restart", _, _:
                both.restart()
    return both


@settings(max_examples=EXAMPLES, deadline=None, derandomize="TOCSIN_EXAMPLES" not in os.environ)
@given(st.lists(steps, max_size=60))
def test_nearness_is_what_its_restatement_says(story: list[tuple[str, object, object]]) -> None:
    """The group, the reason and the numbers are the same, whatever happened before."""
    both = play(story)

    expected = [expected for expected, _ in both.answers]
    assert expected == [actual for _, actual in both.answers]


def test_histories_come_to_every_reason() -> None:
    """The alerts and waits above are such that each reason decides at times: the comparison is no empty one."""
    story: list[tuple[str, object, object]] = []
    for step in range(400):
        number = step * 7 % len(ALERTS)
        story.append(("fire", WAITS[step * 5 % 7], number))
        if step % 3 == 0:
            story.append((("resolve", "expire")[step % 2], 0, (number + step) % len(ALERTS)))
        if step == 200:
            story += [("hourly", 12, 6), ("hourly", 12, 7), ("fire", 60_000, 6)]
            story += [("fire", 86_400_000, 0), ("fire", 7000, 1), ("fire", 86_400_000, 2)]
    story += [("fire", 86_400_000, 5)] * 30 + [("fire", 900_001, 0), ("fire", 40_000, 2)]
    both = play(story)

    seen = Counter(actual.reason for _, actual in both.answers)
    assert set(Nearby) == set(seen)
    assert [expected for expected, _ in both.answers] == [actual for _, actual in both.answers]
