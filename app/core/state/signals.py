"""What a component tells the actor of a rule about one of its alerts.

An alert as a member of something larger.
"""

from dataclasses import replace
from operator import attrgetter
from typing import Any, NamedTuple

import orjson

from app.core.rules.compiled_policy import CompiledPolicy
from app.core.rules.suppression_graph import RULE_LABEL
from app.core.state.annotations import brief_annotations
from app.core.state.live_alert import LiveAlert
from app.core.state.members import Member
from app.core.state.turn import Turn
from models.journal import encode_signal
from models.place_labels import place_labels
from models.reason import BadInput, Reason
from models.severity import Severity

MEMBER_BYTES_MAX = 4096  # of an alert as a rule's actor knows it, with its group: a rule may keep thousands of them
IDENTITY_CHARACTERS_MAX = 100  # of a fingerprint, or an incident's id
SHOWN_BYTES_MAX = 2048  # of what is only shown of it: more is left out
_FIELDS = ("name", "component", "incident", "severity", "firing", "record", "labels")
_MORE_FIELDS = ("fired_ms", "in_cycle", "known_of")  # these have defaults
_SHOWN = ("scope", "starts_ms", "place_labels", "annotations", "owner")
_KNOWN = (*_FIELDS, *_MORE_FIELDS)
_known_of, _shown_of = attrgetter(*_KNOWN), attrgetter(*_SHOWN)
LEFT_TEXT = "no longer belongs to it: the policy has changed"  # the text for a member that left
_OPTIONAL = (*_MORE_FIELDS, *_SHOWN)
_texts_of = attrgetter("name", "component", "scope", "incident", "record", "owner")
_flags_of = attrgetter("firing", "in_cycle", "known_of")
_times_of = attrgetter("fired_ms", "starts_ms")


class Change(NamedTuple):
    """What an actor is notified of: an alert, or of an incident that a rule opened."""

    identity: str  # a fingerprint, or an incident's id
    member: Member
    left: bool  # it fires on, and takes no part in the rule any more


class ActorAddress(NamedTuple):
    """An actor, and as what an alert takes part in its rule."""

    rule: str
    rule_id: str
    group: str
    role: str


def member_of(turn: Turn, alert: LiveAlert, rules: CompiledPolicy | None = None) -> Member:
    """The alert as the actor needs to know it, under the turn's rules or those of before."""
    asked_for = alert.labels.keys() & (rules or turn.rules).labels_asked_for
    labels = {name: alert.labels[name] for name in sorted(asked_for) if name != RULE_LABEL}
    record = f"{turn.partition}-{alert.fired_offset}"
    place = {name: text for name, text in place_labels(alert.labels).items() if name not in labels}
    annotations = brief_annotations(alert.annotations)
    shown = len(orjson.dumps([place, annotations])) <= SHOWN_BYTES_MAX
    return Member(
        alert.name,
        alert.component,
        alert.incident,
        alert.severity,
        alert.firing,
        record,
        labels | {"component": alert.component},
        scope=alert.scope,
        fired_ms=alert.fired_ms,
        in_cycle=(rules or turn.rules).evaluate(alert.labels).in_cycle,
        known_of=alert.known_of,
        starts_ms=alert.starts_ms,
        place_labels=place if shown else {},
        annotations=annotations if shown else {},
    )


def fits_signal(group: str, member: Member) -> bool:
    """Whether a rule takes an alert.

    Only what stays the same for as long as it is the same alert decides.
    """
    return len(orjson.dumps([group, member.name, *member.place, member.labels])) <= MEMBER_BYTES_MAX


def refuse_signal(turn: Turn, rule: str, member: Member) -> None:
    """Note that an alert is too large for a rule: it takes no part, and is notified on its own."""
    if member.firing:
        text = f"{member.name[:100]}: not used by {rule}. The labels that rules read are too long."
        turn.refuse("signals", text, turn.state.incidents.get(member.incident))


def send_signal(
    turn: Turn, to: ActorAddress, identity: str, member: Member, *, left: bool = False
) -> None:
    """Tell the actor of a rule and group, through the journal. `identity` is a fingerprint, or an incident's id.

    With `left` it fires on, and takes no part in that rule any more: the policy has changed.
    """
    if not fits_signal(to.group, member):
        refuse_signal(turn, to.rule, member)
        return
    member = replace(member, firing=False) if left else member
    value = encode_signal(
        to.rule, to.group, to.role, document_of(identity, member), to.rule_id, left=left
    )
    turn.send(f"rule/{to.rule}/{to.group}", value)


def key_of(member: Member) -> str:
    """The correlation key of what a member belongs to.

    Its place, or the actor that opened it.
    """
    return f"rule/{member.component}" if RULE_LABEL in member.labels else member.place.key


def document_of(identity: str, member: Member) -> dict[str, Any]:
    """The member as it stands in the journal; without what it has none of."""
    known = dict(zip(_KNOWN, _known_of(member), strict=True))
    shown = {name: value for name, value in zip(_SHOWN, _shown_of(member), strict=True) if value}
    return {"alert": identity, **known, **shown}


def change_from(document: dict[str, Any]) -> Change:
    """What a signal says. Raises BadInput."""
    identity, member = member_from(document.get("member"))
    return Change(identity, member, document.get("left") is True and not member.firing)


def member_from(document: Any) -> tuple[str, Member]:
    """The identity and the member in a journal record. Raises BadInput."""
    try:
        identity = document["alert"]
        values = {name: document[name] for name in _FIELDS}
        values |= {name: document[name] for name in _OPTIONAL if name in document}
        values["severity"] = Severity(document["severity"])
        member = Member(**values)
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput(
            Reason.MALFORMED, f"a signal's member is {document!r:.200}: {error!r}"
        ) from None
    texts = [identity, *_texts_of(member)]
    for labels in (member.labels, member.place_labels, member.annotations):
        texts += labels.values() if isinstance(labels, dict) else [None]
    if (
        set(map(type, texts)) != {str}
        or set(map(type, _flags_of(member))) != {bool}
        or set(map(type, _times_of(member))) != {int}
    ):
        expected = (
            "firing, in_cycle and known_of must be true or false, fired_ms and starts_ms times, "
            "labels texts by name, else texts"
        )
        raise BadInput(Reason.MALFORMED, f"a signal's member is {document!r:.200}: {expected}")
    shown_bytes, other_bytes = member.shown_size, member.size_unshown
    if (
        other_bytes > 2 * MEMBER_BYTES_MAX
        or shown_bytes > SHOWN_BYTES_MAX
        or len(identity) > IDENTITY_CHARACTERS_MAX
    ):
        size = other_bytes + shown_bytes
        raise BadInput(Reason.TOO_LARGE, f"a signal's member has {size} bytes: {document!r:.200}")
    return identity, member
