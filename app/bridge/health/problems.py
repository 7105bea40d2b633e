"""What makes a Tocsin degraded, as sentences for people and as kinds for programs. Pure.

A bridge that cannot append is not degraded but not ready: senders have to keep what they have.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from app.history.worker_watch import PartitionSign
from models.text.duration import format_ms
from models.text.plural import plural

SILENT_MS = 10_000  # without a checkpoint or a tick of a partition
NEAR = 0.8  # of a bound; P2 and P3 are refused at nine tenths


class ProblemKind(StrEnum):
    """What is wrong. The names stand in metrics and in answers."""

    JOURNAL_AWAY = "journal_away"  # it does not answer who reads
    NO_WORKER = "no_worker"
    NO_TICKS = "no_ticks"
    BEHIND = "behind"
    CLOCK_WRONG = "clock_wrong"
    BOUNDS_NEAR = "bounds_near"
    RECEIVER_DOWN = "receiver_down"
    PARTITIONS_ADDED = "partitions_added"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong. `text` is a sentence without its full stop."""

    kind: ProblemKind
    text: str

    def document(self) -> dict[str, str]:
        """As answers have it."""
        return {"problem": self.kind, "text": self.text}


def worker_problems(
    signs: Sequence[PartitionSign], bounds: Mapping[str, int], silent_ms: int = SILENT_MS
) -> list[Problem]:
    """What the checkpoints of all partitions show. `bounds` are the policy's."""
    return [
        *_no_worker(signs, silent_ms),
        *_no_ticks(signs, silent_ms),
        *_clock(signs),
        *_bounds(signs, bounds),
    ]


def behind(age_ms: int) -> Problem:
    """The workers have not applied what the journal has had for so long."""
    return Problem(ProblemKind.BEHIND, f"The workers are {_shown(age_ms)} behind")


def receivers_down(names: Iterable[str]) -> list[Problem]:
    """Receivers that do not answer the notifier."""
    shown = sorted(set(names))
    if not shown:
        return []
    more = f" and {len(shown) - 5} more" if len(shown) > 5 else ""
    which = "The receiver" if len(shown) == 1 else "The receivers"
    does = "does" if len(shown) == 1 else "do"
    text = f"{which} {', '.join(shown[:5])}{more} {does} not answer"
    return [Problem(ProblemKind.RECEIVER_DOWN, text)]


def partitions_added(counts: Mapping[str, int], partitions: int) -> list[Problem]:
    """Topics that have more partitions than Tocsin reads. `counts` are those of its topics."""
    more = {name: number for name, number in counts.items() if number > partitions}
    if not more:
        return []
    topics = ", ".join(f"{name} ({number})" for name, number in sorted(more.items()))
    text = f"Topics have more partitions than the {partitions} that are read: {topics}"
    return [Problem(ProblemKind.PARTITIONS_ADDED, text)]


def _no_worker(signs: Sequence[PartitionSign], silent_ms: int) -> list[Problem]:
    silent = [sign for sign in signs if sign.checkpoint_age_ms > silent_ms]
    if not silent:
        return []
    longest = _shown(max(sign.checkpoint_age_ms for sign in silent))
    where = f"{len(silent)} of {plural(len(signs), 'partition')}"
    return [Problem(ProblemKind.NO_WORKER, f"No worker has reported for {longest} in {where}")]


def _no_ticks(signs: Sequence[PartitionSign], silent_ms: int) -> list[Problem]:
    """Where checkpoints come and ticks do not: nobody is reminded, and no step is due."""
    still = [sign for sign in signs if sign.tick_age_ms > silent_ms >= sign.checkpoint_age_ms]
    if not still:
        return []
    longest = _shown(max(sign.tick_age_ms for sign in still))
    where = f"{len(still)} of {plural(len(signs), 'partition')}"
    return [Problem(ProblemKind.NO_TICKS, f"Time has stood still for {longest} in {where}")]


def _clock(signs: Sequence[PartitionSign]) -> list[Problem]:
    worst_ms = max((sign.clock_wrong_by_ms for sign in signs), key=abs, default=0)
    if not worst_ms:
        return []
    side = "ahead" if worst_ms > 0 else "behind"
    text = (
        f"The clock that stamps the journal is {_shown(abs(worst_ms))} {side};"
        " time goes on by the worker's own clock"
    )
    return [Problem(ProblemKind.CLOCK_WRONG, text)]


def _bounds(signs: Sequence[PartitionSign], bounds: Mapping[str, int]) -> list[Problem]:
    problems = []
    for name, bound in bounds.items():
        fullest = max(signs, key=lambda sign: sign.sizes.get(name, 0), default=None)
        number = fullest.sizes.get(name, 0) if fullest else 0
        if fullest and number >= bound * NEAR:
            text = f"Partition {fullest.partition} holds {number:,} of {bound:,} (bounds.{name})"
            problems.append(Problem(ProblemKind.BOUNDS_NEAR, text))
    return problems


def _shown(age_ms: int) -> str:
    return format_ms(age_ms // 1000 * 1000)
