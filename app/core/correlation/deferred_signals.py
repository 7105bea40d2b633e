"""What fired for a correlation that is not in force here: it counts when it is.

The rule comes with a policy that has reached others before, or is one that the partition's owner
will come back to.
"""

from app.core.correlation import windows
from app.core.rules.compiled_policy import CompiledPolicy, CorrelationRule
from app.core.rules.rule_id import have_same_form
from app.core.state.members import Fired
from app.core.state.signals import Change
from app.core.state.timer_kind import TimerKind
from app.core.state.turn import Turn
from app.core.suppression import inhibition

DEFERRED_MAX = 1000  # firings that are kept, of a partition
# For so long: a change takes seconds, or as long as the slowest worker has another policy file.
DEFERRED_MAX_MS = 86_400_000
FORMER_RULES_MAX = 100  # shapes that rules had; they are asked for only while a change is under way


def defer_signal(turn: Turn, rule_id: str, group: str, change: Change, steps: list[int]) -> None:
    """Keep what fired. Raises BadInput when it would be one group too many."""
    if (rule_id, group) not in turn.state.deferred_signals:
        inhibition.check_groups(turn)
    _add_deferred(turn, rule_id, group, [Fired(turn.now_ms, change.identity, change.member, steps)])


def _add_deferred(turn: Turn, rule_id: str, group: str, fired: list[Fired]) -> None:
    room = DEFERRED_MAX - sum(len(window) for window in turn.state.deferred_signals.values())
    for _ in fired[max(room, 0) :]:
        turn.refuse("deferred_signals", "")
    known, taken = turn.state.deferred_signals.get((rule_id, group), []), fired[: max(room, 0)]
    if taken:
        turn.state.put_deferred_signals(rule_id, group, [*known, *taken])
    if taken and not known:
        watch_deferred(turn, rule_id, group, taken)


def on_ended(turn: Turn, rule_id: str, group: str, change: Change) -> None:
    """An alert ended, or left the rule of this shape.

    It has fired all the same, but is no member of what opens later.
    """
    for (kept, other), window in turn.state.deferred_signals.items():
        if other == group and (not change.left or have_same_form(kept, rule_id)):
            for fired in window:
                if fired.fingerprint == change.identity and fired.member.firing:
                    fired.member.firing = False
                    turn.state.put_deferred_signals(kept, group, window)


def on_deferred_timer(turn: Turn, at_ms: int, subject: str) -> None:
    """Forget what has been kept for long enough."""
    rule_id, group = subject.split("\n", 1)
    window = turn.state.deferred_signals.get((rule_id, group), [])
    left = [fired for fired in window if fired.at_ms + DEFERRED_MAX_MS > at_ms]
    for fired in window[: len(window) - len(left)]:
        if fired.member.firing:
            turn.refuse("deferred_signals", "")
    if len(left) < len(window):
        turn.state.put_deferred_signals(rule_id, group, left)
    if left:
        watch_deferred(turn, rule_id, group, left)


def watch_deferred(turn: Turn, rule_id: str, group: str, window: list[Fired]) -> None:
    """Set the timer that forgets the oldest of what is kept."""
    oldest_ms = min(fired.at_ms for fired in window)
    turn.state.schedule(
        oldest_ms + DEFERRED_MAX_MS, TimerKind.DEFERRED_SIGNAL, f"{rule_id}\n{group}"
    )


def on_policy(turn: Turn, before: CompiledPolicy) -> None:
    """Keep the windows of rules that are gone, and let what was kept count for those that have come."""
    now, former = turn.rules.correlations, dict(turn.state.former_rule_ids)
    for name, rule in before.correlations.items():
        follows = now.get(name)
        if follows is not None and have_same_form(rule.rule_id, follows.rule_id):
            former |= {rule.rule_id: None} if follows.rule_id != rule.rule_id else {}
        else:
            _park_windows(turn, rule)
    in_force = {rule.rule_id for rule in now.values()}
    kept = [rule_id for rule_id in former if rule_id not in in_force][-FORMER_RULES_MAX:]
    if kept != list(turn.state.former_rule_ids):
        turn.state.put_former_rule_ids(kept)
    for rule in now.values():
        if rule.rule_id not in {
            correlation.rule_id for correlation in before.correlations.values()
        }:
            _replay_deferred(turn, rule)


def _park_windows(turn: Turn, rule: CorrelationRule) -> None:
    for name, group in sorted(turn.state.windows):
        if name == rule.policy.name:
            window = turn.state.windows[name, group]
            turn.state.put_window(name, group, [])
            if not rule.local:
                _add_deferred(turn, rule.rule_id, group, window)


def _replay_deferred(turn: Turn, rule: CorrelationRule) -> None:
    if rule.local:
        return
    correlated: dict[str, list[Fired]] = {
        group: [] for name, group in turn.state.windows if name == rule.policy.name
    }
    for rule_id, group in sorted(turn.state.deferred_signals):
        if have_same_form(rule_id, rule.rule_id):
            correlated.setdefault(group, []).extend(turn.state.deferred_signals[rule_id, group])
            turn.state.put_deferred_signals(rule_id, group, [])
    for group, fired in sorted(correlated.items()):
        windows.replay_deferred(turn, rule, group, fired)
