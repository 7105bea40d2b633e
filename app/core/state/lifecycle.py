"""The life of an incident: one table. Only `advance` changes a state."""

from enum import StrEnum

from models.incident import State
from models.reason import BadInput, Reason


class Cause(StrEnum):
    """What can move an incident from one state to another."""

    FIRED = "fired"  # an alert of it began to fire
    ENDED = "ended"  # the last of its firing alerts ended
    ACKNOWLEDGE = "acknowledge"  # an operator took it
    RESOLVE = "resolve"  # an operator says that it is over
    REOPEN = "reopen"  # an operator says that it is not
    CLOSE = "close"  # an operator will not wait until it has settled
    FIRED_ANEW = "fired anew"  # an urgent alert that ended fires again, for whoever is on call now
    HANDED_OVER = "handed over"  # it is another team's, which has not acknowledged it
    FORGOTTEN = "forgotten"  # nobody followed the acknowledgement up
    QUIET = "quiet"  # nothing fired for the settle time
    STILL_FIRING = (
        "still firing"  # resolved by an operator, but after the settle time alerts fire on
    )


_OPEN, _ACKNOWLEDGED, _RESOLVED, _CLOSED = (
    State.OPEN,
    State.ACKNOWLEDGED,
    State.RESOLVED,
    State.CLOSED,
)

# State and cause -> state. What is not here is not possible.
TABLE: dict[tuple[State, Cause], State] = {
    (_OPEN, Cause.FIRED): _OPEN,
    (_OPEN, Cause.ENDED): _RESOLVED,
    (_OPEN, Cause.ACKNOWLEDGE): _ACKNOWLEDGED,
    (_OPEN, Cause.RESOLVE): _RESOLVED,
    (_ACKNOWLEDGED, Cause.FIRED): _ACKNOWLEDGED,
    (_ACKNOWLEDGED, Cause.ENDED): _RESOLVED,
    (_ACKNOWLEDGED, Cause.ACKNOWLEDGE): _ACKNOWLEDGED,  # somebody else takes over
    (_ACKNOWLEDGED, Cause.RESOLVE): _RESOLVED,
    (_ACKNOWLEDGED, Cause.FORGOTTEN): _OPEN,
    (_OPEN, Cause.FIRED_ANEW): _OPEN,
    (_ACKNOWLEDGED, Cause.FIRED_ANEW): _OPEN,
    (_OPEN, Cause.HANDED_OVER): _OPEN,
    (_ACKNOWLEDGED, Cause.HANDED_OVER): _OPEN,
    (_RESOLVED, Cause.FIRED): _OPEN,
    (
        _RESOLVED,
        Cause.ENDED,
    ): _RESOLVED,  # an operator was first, then the alerts ended; the quiet counts from here
    (_RESOLVED, Cause.REOPEN): _OPEN,
    (_RESOLVED, Cause.STILL_FIRING): _OPEN,
    (_RESOLVED, Cause.QUIET): _CLOSED,
    (_RESOLVED, Cause.CLOSE): _CLOSED,
}

_COMMANDS = (
    Cause.ACKNOWLEDGE,
    Cause.RESOLVE,
    Cause.REOPEN,
    Cause.CLOSE,
)  # what an operator can do about it


def advance(state: State, cause: Cause) -> State:
    """The state after the cause.

    Raises BadInput when the table has no such change; then nothing has changed.
    """
    after = TABLE.get((state, cause))
    if after is None:
        possible = (
            ", ".join(item for before, item in TABLE if before is state and item in _COMMANDS)
            or "nothing"
        )
        raise BadInput(
            Reason.ILLEGAL_TRANSITION,
            f"the incident is {state}, so {cause} is not possible. Possible: {possible}",
        )
    return after
