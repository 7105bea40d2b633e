"""A deadline of an incident: when, and what is done then.

Deadlines are not kept. They are a function of the incident's state and the policy, found anew
whenever one of them changes; so they survive restarts and follow policy changes, and what is done
at one has to move it or end it.
"""

from collections.abc import Callable
from typing import NamedTuple

from app.core.state.state import Incident
from app.core.state.turn import Turn


class Deadline(NamedTuple):
    """One deadline. `at_ms` is engine time; one in the past is due at once."""

    at_ms: int
    handle: Callable[[Turn, Incident, str], None]
    detail: str = ""  # which clock, which rule
    kind: str = ""  # what it is, for people
    since_ms: int = 0  # since when it runs
