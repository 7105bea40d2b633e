"""The founding organisation's bad day, as the demo has it, in a journal.

Alerts, words, and a tick each minute until Monday.
"""

from collections.abc import Iterator
from functools import cache

from app.core.state.state import Incident
from app.demo.feed import AFTERWARDS_MS
from app.demo.scenario import MINUTE_MS, MINUTES, START_MS, OperatorWord, bad_day, operator_words
from app.intake.commands import command_of, command_value
from app.intake.normalise import from_list
from models.incident import State, partition_from_id
from models.journal import TICK, encode_alert
from tests.support.fake_log import FakeLog
from tests.support.recorder import Recorder
from tests.support.shipped_policy import shipped


@cache
def bad_day_log(partitions: int = 8) -> FakeLog:
    """The journal of the day. It is shared: nobody may append to it."""
    policy = shipped()
    recorder, deferred_notification, alerts = (
        Recorder(policy, partitions, now_ms=START_MS),
        operator_words(),
        dict(bad_day()),
    )
    for minute in range(MINUTES + AFTERWARDS_MS // MINUTE_MS):
        now_ms = recorder.log.at_ms = START_MS + minute * MINUTE_MS
        recorder.broadcast(TICK)
        while deferred_notification and deferred_notification[0].minute <= minute:
            _say(recorder, deferred_notification.pop(0), now_ms)
        for alert in from_list(alerts.get(now_ms, []), now_ms)[0]:
            recorder.append(
                policy.place(alert.labels, alert.fingerprint).key.encode(), encode_alert(alert)
            )
    return recorder.log


def _say(recorder: Recorder, word: OperatorWord, now_ms: int) -> None:
    for incident in list(_open(recorder)):
        if incident.title.startswith(word.title) and incident.state is not State.RESOLVED:
            teams = recorder.engines[0].policy.policy.teams
            value = command_value(
                incident.id, command_of(word.command), word.body, now_ms, teams, lambda by: by
            )
            recorder.append(incident.id.encode(), value, partition_from_id(incident.id))


def _open(recorder: Recorder) -> Iterator[Incident]:
    for engine in recorder.engines:
        yield from engine.state.incidents.values()
