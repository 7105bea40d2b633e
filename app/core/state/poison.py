"""What made the engine raise, a fault of ours, and how the next engine passes over it so that the rest goes on.

A record or a deadline that raises may have changed half of what it was about to change, so its
engine is of no more use. Whoever drives the engine makes another one from the last checkpoint,
tells it what to pass over, and applies the same records again: the effects are those of a journal
in which a dead letter stands where the fault is. The fault is a function of the journal and of this
code, so every replay passes over the same records and gives the same bytes.

A deadline is tried again after an hour, since it belongs to something that lives on, and a fix may
have come by then.

Of a record of several alerts only the alert that raised is passed over. When what is due after them
raised, each alert is applied as a record of its own, and so the one at fault is known.
"""

from collections.abc import Mapping
from typing import NamedTuple

import orjson

from app.core.state.deadletter import dead_letter
from app.core.state.timer_kind import TimerKind
from app.core.state.turn import Turn
from models.reason import BadInput, Reason
from models.text.instant import format_instant

RETRY_MS = 3_600_000  # until a deadline that raised is tried again
TOGETHER = -1  # the part of a record of several alerts that is no alert: what is due after them
QUARANTINED_MAX = 1000  # deadlines passed over at a time; more than so many are no isolated fault, and the worker stops


class DueTimer(NamedTuple):
    """A timer: when, of what kind, whose. It orders as timers do."""

    at_ms: int
    kind: TimerKind
    subject: str


class Poison(Exception):
    """The engine raised.

    `place` tells where: the record's offset, the engine's time, and the deadline if one raised.
    `part` is the number of the alert in a record of several, TOGETHER after the last of them, and
    None for every other record.
    """

    def __init__(
        self,
        offset: int,
        now_ms: int,
        deadline: DueTimer | None,
        error: Exception,
        part: int | None = None,
    ) -> None:
        cause = f"the record at offset {offset}"
        if deadline is not None:
            cause = f"a deadline before offset {offset}, {deadline}"
        elif part is not None and part != TOGETHER:
            cause = f"alert {part + 1} of {cause}"
        super().__init__(f"{cause} made the engine raise {describe_place(error)}")
        self.offset, self.now_ms, self.part = offset, now_ms, part
        self.place = (offset, now_ms, deadline, part)
        self.deadline = deadline
        self.message = describe_fault(error)


class Faults:
    """What an engine has to pass over, each where it comes up."""

    def __init__(self) -> None:
        self._records: dict[int, dict[int | None, Poison]] = {}  # by offset and part
        self._deadlines: dict[tuple[int, int, DueTimer], Poison] = {}

    def add(self, poison: Poison, quarantined: int) -> None:
        """Pass over another one, beside the deadlines that are quarantined.

        Raises the Poison if they are too many.
        """
        if poison.deadline is None:
            self._records.setdefault(poison.offset, {})[poison.part] = poison
        else:
            self._deadlines[poison.offset, poison.now_ms, poison.deadline] = poison
        if quarantined + len(self._deadlines) > QUARANTINED_MAX:
            raise poison

    def of_record(self, offset: int) -> Mapping[int | None, Poison]:
        """What a record is known to have raised, by part."""
        return self._records.get(offset, {})

    def of_deadline(self, offset: int, now_ms: int, deadline: DueTimer) -> Poison | None:
        """What a deadline is known to have raised before the record at this offset."""
        return self._deadlines.get((offset, now_ms, deadline))


def describe_fault(error: Exception) -> str:
    """What a dead letter says of an error that is ours."""
    return f"it made Tocsin fail with {describe_place(error)}: a bug in Tocsin, please report it"


def describe_place(error: Exception) -> str:
    """The error's type and the place where it was raised.

    Its text may tell addresses, which differ from run to run.
    """
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = (
        ""
        if trace is None
        else f" in {trace.tb_frame.f_globals['__name__']}, line {trace.tb_lineno}"
    )
    return f"{type(error).__name__}{place}"


def refusal_of(poison: Poison) -> BadInput:
    """Why the record is refused."""
    return BadInput(Reason.POISON, poison.message)


def quarantine(turn: Turn, poison: Poison) -> None:
    """Pass over a deadline, and over all of its kind and name for a while.

    Leave a dead letter for it.
    """
    deadline = poison.deadline
    assert deadline is not None
    until_ms = turn.now_ms + RETRY_MS
    turn.state.quarantine(deadline.kind, deadline.subject, until_ms)
    value = orjson.dumps(
        {
            "deadline": deadline.kind.label,
            "of": deadline.subject,
            "at_ms": deadline.at_ms,
        }
    )
    message = f"{poison.message}. It is retried at {format_instant(until_ms)}"
    dead_letter(turn, BadInput(Reason.POISON, message), value, topic="deadline")
