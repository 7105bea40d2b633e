"""Silences: an operator knows about it. Nobody is notified of what a silence matches until it ends.

Source: PROCEDURES, "Alert Acknowledgment"; Alertmanager's silences. A silence is about alerts; an
incident is silenced when all that fires in it is, so that silencing one alert never hides another.
Which incidents it acknowledges is in `app.core.suppression.silence_outcome`.
"""

from collections.abc import Sequence
from typing import Any

from app.core.response import acknowledgement
from app.core.state.live_alert import LiveAlert, Suppression
from app.core.state.state import Incident, PartitionState
from app.core.state.timer_kind import TimerKind
from app.core.state.turn import Turn
from app.core.suppression import suppression
from app.core.suppression.silence_outcome import (
    covers,
    emit_outcome,
    left_out,
    objection,
    silence_test,
)
from models.effect import Stream
from models.incident import State
from models.matcher import Matcher, Operator, Test, test_of
from models.reason import BadInput, Reason
from models.silence import Silence
from models.text.duration import format_ms
from models.text.instant import format_instant
from models.text.truncate import truncate


def on_silence(turn: Turn, document: dict[str, Any]) -> None:
    """A silence was made, changed or ended early.

    Raises BadInput. A second copy changes nothing.
    """
    silence = _check_record(document, turn.now_ms)
    known = turn.state.silences.get(silence.id)
    if document.get("preview") is True:
        emit_outcome(turn, silence, preview=True)
        return
    if known == silence:
        turn.count("duplicates")
        return
    number, limit = len(turn.state.silences), turn.rules.policy.bounds.silences
    if known is None and number >= limit:
        retention = _retention_text(turn)
        counted = f"there are {number} silences with those that ended less than {retention} ago"
        raise BadInput(Reason.BOUND_REACHED, f"{counted}, and bounds.silences is {limit}")
    emit_outcome(turn, silence, preview=False)
    turn.state.put_silence(silence)
    if turn.partition == 0:
        turn.emit(Stream.SILENCES, silence.id, "Silence", _silence_snapshot(silence, turn.now_ms))
    # First what it no longer suppresses: else an incident of both would be suppressed for a
    # moment.
    if known is not None:
        _end_silences(
            turn,
            [known],
            unless=silence_test(silence.matchers) if _is_active(silence, turn.now_ms) else None,
        )
    if silence.starts_ms <= turn.now_ms:
        brought_forward = (
            known is not None and known.starts_ms > turn.now_ms and _is_active(silence, turn.now_ms)
        )
        _begin_silences(turn, [silence], acknowledge=known is None or brought_forward)
    watch_silence(turn, silence)


def watch_silence(turn: Turn, silence: Silence) -> None:
    """Set the timers of its beginning, its end, and of when it is forgotten."""
    for at_ms in (silence.starts_ms, silence.ends_ms):
        if at_ms > turn.now_ms:
            turn.state.schedule(at_ms, TimerKind.SILENCE, silence.id)
    turn.state.schedule(_retain_until_ms(turn, silence), TimerKind.SILENCE_RETENTION, silence.id)


def on_timer(turn: Turn, at_ms: int, _: str) -> None:
    """Silences begin and end.

    All that do so in one millisecond do it at once, when the first of their timers fires.
    """
    if at_ms == turn.state.silences_ms:
        return
    turn.state.silences_ms = at_ms
    over, begun = silences_changing(turn.state, at_ms)
    tests = [silence_test(silence.matchers) for silence in begun]
    # First what nothing need keep quiet any more: else an incident of both would be quiet for a
    # moment. But what begins takes over from what ends: else what both match would be loud for one.
    if over:
        _end_silences(
            turn,
            over,
            unless=(lambda labels: any(test(labels) for test in tests)) if begun else None,
        )
    if begun:
        _begin_silences(turn, begun, acknowledge=True)
    if over and begun:
        _end_silences(turn, over)


def silences_changing(state: PartitionState, at_ms: int) -> tuple[list[Silence], list[Silence]]:
    """The silences that end at a time, and those that begin, by id.

    Without those whose timers are passed over.
    """
    known = [
        silence
        for name, silence in sorted(state.silences.items())
        if (TimerKind.SILENCE, name) not in state.quarantined
    ]
    over = [silence for silence in known if silence.starts_ms < silence.ends_ms == at_ms]
    return over, [silence for silence in known if silence.starts_ms == at_ms < silence.ends_ms]


def on_retained(turn: Turn, at_ms: int, subject: str) -> None:
    """Forget a silence that ended long ago."""
    silence = turn.state.silences.get(subject)
    if silence is not None and at_ms == _retain_until_ms(turn, silence):
        turn.state.drop_silence(silence)


def suppressions_on(turn: Turn, alert: LiveAlert) -> dict[str, Suppression] | None:
    """The silences that a new alert is under."""
    suppressions = sorted(
        name
        for name, silence in turn.state.silences_ahead(turn.now_ms).items()
        if _is_active(silence, turn.now_ms) and silence_test(silence.matchers)(alert.labels)
    )
    for name in suppressions[suppression.SUPPRESSIONS_MAX :]:
        turn.refuse("holds", f"silence {name}")
    return {
        _key_of(name): _suppression_by(turn.state.silences[name])
        for name in suppressions[: suppression.SUPPRESSIONS_MAX]
    } or None


def review_incident(turn: Turn, incident: Incident) -> None:
    """Suppress an incident that a rule opened while a silence matches all its members, and no longer."""
    if not incident.rule or incident.ended:
        return
    covering = {
        _key_of(name): _suppression_by(silence)
        for name, silence in sorted(turn.state.silences.items())
        if _is_active(silence, turn.now_ms) and covers(silence_test(silence.matchers), incident)
    }
    over = [
        _key_of(name)
        for name in sorted(turn.state.silences)
        if _key_of(name) in incident.suppressions
    ]
    for key, hold in covering.items():
        suppression.suppress_incident(turn, incident, key, hold)
    for key in over:
        if key not in covering:
            suppression.suppress_incident(turn, incident, key, None)


def _begin_silences(turn: Turn, begun: Sequence[Silence], *, acknowledge: bool) -> None:
    """Keep quiet what they match, and acknowledge the open incidents that they are about."""
    incidents = [incident for _, incident in sorted(turn.state.incidents.items())]
    opened = (
        [incident for incident in incidents if incident.state is State.OPEN] if acknowledge else []
    )
    taken = [
        (silence, incident)
        for silence in begun
        for incident in opened
        if _matches(silence, incident) and not objection(turn, silence, incident)
    ]
    active = [silence for silence in begun if _is_active(silence, turn.now_ms)]
    for silence in active:
        test = silence_test(silence.matchers)
        for _, alert in sorted(turn.state.alerts.items()):
            if alert.firing and alert.incident and test(alert.labels):
                suppression.suppress_alert(
                    turn, alert, _key_of(silence.id), _suppression_by(silence)
                )
    for incident in incidents if active else ():
        review_incident(turn, incident)
    for silence, incident in taken:
        if incident.state is State.OPEN:  # else another of them was first
            unacknowledged = left_out(silence, incident)
            acknowledgement.acknowledge(turn, incident, silence.by, silence.comment, unacknowledged)


def _matches(silence: Silence, incident: Incident) -> bool:
    """Whether a silence matches anything that fires in an incident."""
    test = silence_test(silence.matchers)
    if incident.rule:
        return any(member.firing and test(member.labels) for member in incident.members.values())
    return any(alert.firing and test(alert.labels) for alert in incident.alerts.values())


def _end_silences(turn: Turn, over: Sequence[Silence], *, unless: Test | None = None) -> None:
    """Take silences away, but not from what `unless` matches."""
    keys = [_key_of(silence.id) for silence in over]
    for _, alert in sorted(turn.state.alerts.items()):
        lifted = [key for key in keys if key in alert.suppressions] if alert.suppressions else []
        if lifted and not (unless and unless(alert.labels)):
            for key in lifted:
                suppression.suppress_alert(turn, alert, key, None)
    for _, incident in sorted(turn.state.incidents.items()):
        review_incident(turn, incident)


def _is_active(silence: Silence, now_ms: int) -> bool:
    return silence.starts_ms <= now_ms < silence.ends_ms


def _retain_until_ms(turn: Turn, silence: Silence) -> int:
    # One that has ended is kept for a while, so that a late second copy of its record is known.
    return max(silence.ends_ms, silence.at_ms) + turn.rules.policy.incidents.retain_resolved


def _retention_text(turn: Turn) -> str:
    return format_ms(turn.rules.policy.incidents.retain_resolved)


def _suppression_by(silence: Silence) -> Suppression:
    comment = f": {silence.comment}" if silence.comment else ""
    text = f"Silenced by {silence.by} until {format_instant(silence.ends_ms)}{comment}"
    return Suppression(truncate(text, suppression.BECAUSE_CHARACTERS_MAX))


def _key_of(name: str) -> str:
    return f"{suppression.SILENCED}{name}"


def _check_record(document: dict[str, Any], now_ms: int) -> Silence:
    try:
        matchers = tuple(
            Matcher(label, Operator(how), value) for label, how, value in document["matchers"]
        )
        texts = [document[name] for name in ("silence", "by", "comment")]
        times = [document[name] for name in ("starts_ms", "ends_ms")]
        annotations = document.get("annotations", {})
        whole = (
            bool(matchers)
            and all(isinstance(text, str) for text in texts)
            and all(type(time) is int for time in times)
            and all(isinstance(text, str) for text in annotations.values())
        )
        if whole and all(
            isinstance(matcher.label, str) and isinstance(matcher.value, str)
            for matcher in matchers
        ):
            name, by, comment = texts
            starts_ms, ends_ms = times
            silence = Silence(
                *(name, matchers, starts_ms, ends_ms, by, comment, annotations), at_ms=now_ms
            )
            _check_patterns(silence, now_ms)
            return silence
    except (AttributeError, KeyError, TypeError, ValueError):
        pass
    raise BadInput(Reason.MALFORMED, f"a silence is {document!r:.200}: not a silence record")


def _check_patterns(silence: Silence, now_ms: int) -> None:
    """Refuse regular expressions that are none, but let everything end. Raises BadInput."""
    try:
        test_of([silence.matchers])
    except ValueError as error:
        if silence.ends_ms > now_ms:
            message = (
                f"silence {silence.id:.80} has a regular expression that is not valid: {error}"
            )
            raise BadInput(Reason.MALFORMED, message) from None


def _silence_snapshot(silence: Silence, now_ms: int) -> dict[str, Any]:
    return {
        "silence": silence.id,
        "matchers": [
            [matcher.label, matcher.operator, matcher.value] for matcher in silence.matchers
        ],
        "starts_at": format_instant(silence.starts_ms),
        "ends_at": format_instant(silence.ends_ms),
        "by": silence.by,
        "comment": silence.comment,
        "annotations": silence.annotations,
        "updated_at": format_instant(now_ms),
    }
