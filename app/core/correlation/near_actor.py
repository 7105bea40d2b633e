"""Nearness, where the rule's actor is: it finds the root of an incident that opens, and tells it.

The first incident of a group is the root of the others. When it has ended, the next that comes is,
and is told which one it follows.
"""

from typing import Any

from app.core.correlation import nearness
from app.core.correlation.near_labels import (
    LABELS_MAX,
    PLACES_MAX,
    TOKEN_CHARACTERS_MAX,
    Shared,
)
from app.core.correlation.near_sentence import sentence
from app.core.correlation.nearness import FiredAlert
from app.core.rules.nearness_rule import NearnessRule
from app.core.state import signals
from app.core.state.near_memory import HOURS
from app.core.state.near_state import NearState
from app.core.state.signals import Change
from app.core.state.turn import Turn
from app.core.suppression import inhibition
from models.journal import encode_member, encode_suppression, text_of
from models.reason import BadInput, Reason

_TOKEN_MAX = TOKEN_CHARACTERS_MAX + 10  # with what kind of token it is
_DIGEST_END = 2**32


def on_signal(turn: Turn, name: str, group: str, document: dict[str, Any]) -> None:
    """An incident opened or ended. Raises BadInput when the signal is none, or there is no room."""
    change, near = signals.change_from(document), document.get("near")
    if not isinstance(near, dict):
        raise BadInput(Reason.MALFORMED, f"near is {near!r:.100}, must be an object")
    rule = turn.rules.nearness.get(name)
    if rule is None:
        return  # the policy changes: what opens while it does is on its own
    if change.member.firing:
        shared, hours = _shared_from(near)
        state = _state_of(turn, name, group)
        severity = str(change.member.severity)
        alert = FiredAlert(turn.now_ms, change.identity, severity, shared, hours)
        _on_fired(turn, rule, group, state, alert, change)
    elif known := turn.state.near.groups.get((name, group)):
        _on_ended(known, change, resolved=near.get("resolved") is True)


def _state_of(turn: Turn, name: str, group: str) -> NearState:
    groups = turn.state.near.groups
    if (name, group) not in groups:
        inhibition.check_groups(turn)
        groups[name, group] = NearState()
    return groups[name, group]


def _on_fired(
    turn: Turn,
    rule: NearnessRule,
    group: str,
    state: NearState,
    alert: FiredAlert,
    change: Change,
) -> None:
    member = change.member
    join = nearness.on_fired(state, rule.tuning, alert)
    turn.count(f"near.{join.reason}")
    near_group, actor = state.groups[join.group], f"{rule.policy.name}/{group}"
    if not near_group.root:
        near_group.root, near_group.root_key = member.incident, member.place.key
        near_group.first = near_group.first or member.incident
        if near_group.first != member.incident:
            follows = {"follows": near_group.first, "why": sentence(join)}
            answer = encode_suppression(actor, member.incident, member.record, None, near=follows)
            turn.send(member.place.key, answer)
    elif near_group.root != member.incident:
        document = signals.document_of(change.identity, member)
        message = encode_member(near_group.root, actor, document, sentence(join), near=True)
        turn.send(near_group.root_key, message)


def _on_ended(state: NearState, change: Change, *, resolved: bool) -> None:
    nearness.on_ended(state, change.identity, resolved=resolved)
    memory = state.alerts.get(change.identity)
    number = memory.group if memory else 0
    group = state.groups.get(number)
    if group is not None and group.root == change.member.incident:
        group.root = group.root_key = ""
        state.dirty[f"g/{number}"] = None


def _shared_from(near: dict[str, Any]) -> tuple[Shared, int]:
    kind, hours = text_of(near, "kind"), near.get("hours")
    places, labels = _list_of(near.get("places")), _list_of(near.get("labels"))
    fits = (
        len(places) <= PLACES_MAX
        and len(labels) <= LABELS_MAX
        and all(isinstance(text, str) and len(text) <= _TOKEN_MAX for text in (*places, kind))
        and all(type(digest) is int and 0 <= digest < _DIGEST_END for digest in labels)
    )
    if type(hours) is not int or not 0 <= hours <= HOURS or not fits:
        expected = "places and a kind of texts, labels of numbers, and hours"
        raise BadInput(Reason.MALFORMED, f"near is {near!r:.200}, must have {expected}")
    return Shared(tuple(places), kind, tuple(labels)), hours


def _list_of(value: Any) -> list[Any]:
    """The list; one that fits nothing if it is none."""
    return value if isinstance(value, list) else [None]
