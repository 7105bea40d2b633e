"""The alerts of one request for one component: one record, decided together.

Each is applied in turn. What is due for their incident comes after the last of them, so one message
names all of them.
"""

from collections.abc import Callable, Mapping
from typing import Any

from app.core.alerts import dedup
from app.core.journal_record import parse_record
from app.core.state.deadletter import dead_letter
from app.core.state.poison import TOGETHER, Poison, refusal_of
from app.core.state.turn import Turn
from models.journal import ALERT_START, FINGERPRINT, alerts_in
from models.reason import BadInput, Reason


def on_alerts(
    turn: Turn,
    value: bytes,
    key: str,
    poisons: Mapping[int | None, Poison],
    finish: Callable[[], None],
) -> None:
    """A record of several alerts. One that is refused is a dead letter, the others count.

    `poisons` are the faults of ours that this record has shown, by part. An alert that raised is
    passed over. When what is due after the alerts raised, `finish` does it after each of them, so
    that the alert at fault is known. Raises BadInput when there are no alerts to be told apart,
    before anything has changed.
    """
    for number, alert in enumerate(alerts_in(value)):
        turn.part = number
        poison = poisons.get(number)
        if poison is not None:
            dead_letter(turn, refusal_of(poison), alert)
        elif not _is_repeat(turn, alert):
            _apply_alert(turn, alert, key)
            if TOGETHER in poisons:
                finish()
    turn.part = TOGETHER


def _apply_alert(turn: Turn, value: bytes, key: str) -> None:
    try:
        dedup.on_alert(turn, _parse_alert(value), key)
    except BadInput as refusal:
        dead_letter(turn, refusal, value)


def _parse_alert(value: bytes) -> dict[str, Any]:
    if not value.startswith(ALERT_START):
        raise BadInput(Reason.MALFORMED, "a part of a record of alerts is no alert")
    return parse_record(value)


def _is_repeat(turn: Turn, value: bytes) -> bool:
    """Whether an alert is said again, which is recognised and counted as in `Engine.apply`."""
    alert = turn.state.alerts.get(value[FINGERPRINT])
    if alert is None or not alert.firing or not value.startswith(alert.repeat):
        return False
    alert.count += 1
    alert.last_ms = turn.now_ms
    turn.state.touch(alert)
    turn.count("repeats")
    turn.count("alerts")
    return True
