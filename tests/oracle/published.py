"""What `tocsin.alerts` has of each alert in the end, and what the oracle believes of it."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import orjson

from models.effect import Effect, Stream
from tests.oracle.facts import Known, urgent

if TYPE_CHECKING:
    from tests.oracle.oracle import Naive

# Silences, rules, and whether a P0 or P1 was named before; None of an alert that ended.
Fact = tuple[list[str], list[str], bool] | None

ENDED = ("resolved", "expired", "lost", "replaced")


def published(effects: Iterable[Effect]) -> dict[str, Fact]:
    """The newest record of each key that is not forgotten. At most one of a key is of one record."""
    newest: dict[str, dict[str, Any]] = {}
    seen = set[tuple[int, bytes | None]]()
    for effect in effects:
        if effect.stream is not Stream.ALERTS:
            continue
        place = (effect.position.offset, effect.key)
        assert place not in seen, f"two records of {effect.key!r} at {effect.position}"
        seen.add(place)
        key = (effect.key or b"").decode()
        if effect.value:
            newest[key] = orjson.loads(effect.value)
        else:
            del newest[key]
    return {key: _fact(body) for key, body in newest.items()}


def _fact(body: dict[str, Any]) -> Fact:
    if body["state"] in ENDED:
        assert body["ended_at"] is not None
        assert body["suppressed_by"] == []
        return None
    by = [(one["kind"], one["name"]) for one in body["suppressed_by"]]
    assert body["state"] == ("suppressed" if by else "active")
    silences = sorted(name for kind, name in by if kind == "silence")
    rules = sorted(name for kind, name in by if kind not in ("silence", "mute"))
    named = body["severity"] in ("P0", "P1") and body["reason"] is None
    return silences, rules, named and bool(silences or rules)


def believed(naive: "Naive") -> dict[str, Fact]:
    """The same, as the oracle has it."""
    facts = {alert.fingerprint: _of_alert(naive, alert) for alert in naive.alerts}
    beats: dict[str, Fact] = {
        beat.fingerprint: ([], [], False) for beat in naive.beats.values() if beat.heard
    }
    silent: dict[str, Fact] = {
        beat.fingerprint: None for beat in naive.beats.values() if not beat.heard
    }
    return facts | silent | beats


def _of_alert(naive: "Naive", alert: Known) -> Fact:
    if not alert.firing:
        return None
    silences = sorted(
        name
        for name, silence in naive.known_silences().items()
        if silence.is_active(naive.now_ms) and silence.covers([alert.labels])
    )
    by = [key.split("/")[0] for key in alert.suppressed_by]
    rules = sorted("merged" if key.startswith("by a person") else key for key in by)
    named = alert.named and urgent(alert.severity)
    return silences, rules, named and bool(silences or rules)
