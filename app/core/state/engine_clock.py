"""Engine time, when ticks tell of which run of a worker they are and for how long it has run.

A record's time is when it was appended, by a clock that may be wrong; and nobody may have listened
for a while. Ticks come each second. Within a run of a worker they show how much time has really
passed. So engine time follows the append times while these agree with the ticks, else the ticks.
Ten seconds without a tick are a *gap*: a stop, an outage, a worker that was away. While it lasts,
records are applied, but no deadline passes and nobody is notified.

A tick that tells no run (a driven clock, a replayed recording) decides nothing: then engine time is
the append time.
"""

from dataclasses import astuple, dataclass

from models.policy.time_interval import NEVER_MS
from models.reason import BadInput, Reason

GAP_MS = (
    10_000  # without a tick; also, by how much append times may be off before they are not used
)
# In a gap a record may move the time so far past the one before it. More is a clock that is wrong.
TRUSTED_STEP_MS = 300_000
SLEW = 32  # while the clock is wrong, engine time nears the append times by one part in so many
RUN_CHARACTERS = 64


@dataclass(slots=True)
class EngineClock:
    """What the newest tick said, and what follows from it. Times are engine time in ms; 0 is never."""

    run: str = ""  # of the newest tick; empty before the first that tells one
    elapsed_ms: int = 0  # how long that run had lasted
    tick_ms: int = 0  # when that tick was
    wrong_by_ms: int = 0  # by how much append times are ahead, while they are not used
    gap_ms: int = 0  # the last tick before the gap that lasts
    listening_ms: int = 0  # when the newest gap ended

    @property
    def free_until_ms(self) -> int:
        """Up to here append times are believed without another tick."""
        if not self.run:
            return NEVER_MS
        return 0 if self.wrong_by_ms or self.gap_ms else self.tick_ms + GAP_MS

    def time_of(self, now_ms: int, at_ms: int) -> int:
        """Engine time at a record that was appended later than what is believed. A gap begins."""
        if self.wrong_by_ms:
            return now_ms
        self.gap_ms = self.gap_ms or self.tick_ms
        return at_ms if at_ms - now_ms <= TRUSTED_STEP_MS else now_ms

    def on_tick(self, run: str, elapsed_ms: int, now_ms: int, at_ms: int) -> tuple[int, int]:
        """Take a tick over; engine time at it, and the last tick before a gap that it ends, or 0."""
        before_ms, began = self.tick_ms, bool(self.run)
        if run == self.run and elapsed_ms >= self.elapsed_ms:
            passed_ms = elapsed_ms - self.elapsed_ms
            expected_ms = before_ms + passed_ms
            off_ms = at_ms - expected_ms
            wrong_by_ms = off_ms if abs(off_ms) > GAP_MS else 0
            slewed_ms = passed_ms // SLEW if off_ms > 0 else -(passed_ms // SLEW)
            time_ms = expected_ms + slewed_ms if wrong_by_ms else at_ms
        else:  # what passed between two runs is known by the append times only
            passed_ms = at_ms - before_ms
            wrong_by_ms = at_ms - now_ms if now_ms - at_ms > GAP_MS else 0
            time_ms = at_ms
        time_ms = max(time_ms, now_ms)
        is_gap = began and passed_ms > GAP_MS and time_ms > before_ms + GAP_MS
        self.run, self.elapsed_ms, self.tick_ms = run, elapsed_ms, time_ms
        self.wrong_by_ms = wrong_by_ms
        return time_ms, before_ms if is_gap else 0

    def kept(self) -> list[str | int]:
        """As it stands in the changelog."""
        return list(astuple(self))


def clock_from(kept: object) -> EngineClock:
    """The clock of the changelog. Raises AssertionError when it is damaged."""
    assert isinstance(kept, list), kept
    run, *times = kept
    assert len(times) == 5, kept
    assert isinstance(run, str), kept
    assert all(type(time) is int and abs(time) <= NEVER_MS for time in times), kept
    return EngineClock(run, *times)


def tick_from(document: dict[str, object]) -> tuple[str, int] | None:
    """The run that a tick tells, and for how long it has lasted; None of one that tells none. Raises BadInput."""
    if "run" not in document:
        return None
    run, elapsed_ms = document["run"], document.get("elapsed_ms")
    if not isinstance(run, str) or not 0 < len(run) <= RUN_CHARACTERS:
        raise BadInput(Reason.MALFORMED, f"a tick's run is {run!r:.60}, must be a name")
    if type(elapsed_ms) is not int or not 0 <= elapsed_ms <= NEVER_MS:
        raise BadInput(
            Reason.MALFORMED, f"a tick's elapsed_ms is {elapsed_ms!r:.60}, must be 0 or more"
        )
    return run, elapsed_ms
