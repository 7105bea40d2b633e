"""What fired for a correlation that is not in force here: it counts when it is.

The rule comes with a policy that has reached others before, or is one that the partition's owner
will come back to.
"""

from app.core.correlation import windows
from app.core.rules.compiled_policy import CorrelationRule, Rulebook
from app.core.rules.rule_id import alike
from app.core.state.members import Fired
from app.core.state.signals import Change
from app.core.state.turn import Turn
from app.core.suppression import inhibition

EARLY = "early"  # the timer
EARLY_MAX = 1000  # firings that are kept, of a partition
# For so long: a change takes seconds, or as long as the slowest worker has another policy file.
EARLY_MAX_MS = 86_400_000
FORMER_MAX = 100  # shapes that rules had; they are asked for only while a change is under way


def keep(turn: Turn, shape: str, group: str, change: Change, steps: list[int]) -> None:
    """Keep what fired. Raises BadInput when it would be one group too many."""
    if (shape, group) not in turn.state.early:
        inhibition.check_groups(turn)
    _add(turn, shape, group, [Fired(turn.now_ms, change.identity, change.member, steps)])


def _add(turn: Turn, shape: str, group: str, fired: list[Fired]) -> None:
    room = EARLY_MAX - sum(len(window) for window in turn.state.early.values())
    for _ in fired[max(room, 0) :]:
        turn.refuse("early", "")
    known, taken = turn.state.early.get((shape, group), []), fired[: max(room, 0)]
    if taken:
        turn.state.put_early(shape, group, [*known, *taken])
    if taken and not known:
        watch(turn, shape, group, taken)


def on_ended(turn: Turn, shape: str, group: str, change: Change) -> None:
    """An alert ended, or left the rule of this shape.

    It has fired all the same, but is no member of what opens later.
    """
    for (kept, other), window in turn.state.early.items():
        if other == group and (not change.left or alike(kept, shape)):
            for fired in window:
                if fired.fingerprint == change.identity and fired.member.firing:
                    fired.member.firing = False
                    turn.state.put_early(kept, group, window)


def on_kept(turn: Turn, at_ms: int, whose: str) -> None:
    """Forget what has been kept for long enough."""
    shape, group = whose.split("\n", 1)
    window = turn.state.early.get((shape, group), [])
    left = [fired for fired in window if fired.at_ms + EARLY_MAX_MS > at_ms]
    for fired in window[: len(window) - len(left)]:
        if fired.member.firing:
            turn.refuse("early", "")
    if len(left) < len(window):
        turn.state.put_early(shape, group, left)
    if left:
        watch(turn, shape, group, left)


def watch(turn: Turn, shape: str, group: str, window: list[Fired]) -> None:
    """Set the timer that forgets the oldest of what is kept."""
    oldest_ms = min(fired.at_ms for fired in window)
    turn.state.schedule(oldest_ms + EARLY_MAX_MS, EARLY, f"{shape}\n{group}")


def on_policy(turn: Turn, before: Rulebook) -> None:
    """Keep the windows of rules that are gone, and let what was kept count for those that have come."""
    now, former = turn.rules.correlations, dict(turn.state.former)
    for name, rule in before.correlations.items():
        follows = now.get(name)
        if follows is not None and alike(rule.shape, follows.shape):
            former |= {rule.shape: None} if follows.shape != rule.shape else {}
        else:
            _put_away(turn, rule)
    in_force = {rule.shape for rule in now.values()}
    kept = [shape for shape in former if shape not in in_force][-FORMER_MAX:]
    if kept != list(turn.state.former):
        turn.state.put_former(kept)
    for rule in now.values():
        if rule.shape not in {one.shape for one in before.correlations.values()}:
            _catch_up(turn, rule)


def _put_away(turn: Turn, rule: CorrelationRule) -> None:
    for name, group in sorted(turn.state.windows):
        if name == rule.policy.name:
            window = turn.state.windows[name, group]
            turn.state.put_window(name, group, [])
            if not rule.local:
                _add(turn, rule.shape, group, window)


def _catch_up(turn: Turn, rule: CorrelationRule) -> None:
    if rule.local:
        return
    found: dict[str, list[Fired]] = {
        group: [] for name, group in turn.state.windows if name == rule.policy.name
    }
    for shape, group in sorted(turn.state.early):
        if alike(shape, rule.shape):
            found.setdefault(group, []).extend(turn.state.early[shape, group])
            turn.state.put_early(shape, group, [])
    for group, fired in sorted(found.items()):
        windows.catch_up(turn, rule, group, fired)
