"""Silences as Alertmanager's API has them: version 2, and version 1 as the procedures' curl uses it.

A silence is a record in every partition of the journal. What there is, is read back from
`tocsin.silences`, which the engine of partition 0 writes; until it has, this bridge's own ones are
shown as it wrote them.
"""

from dataclasses import replace
from typing import Any, NamedTuple

import orjson
from aiohttp import web

from app.history.topic_reader import TopicReader, Turnstile
from app.transport.log import Log
from models.matcher import Matcher, Operator, matcher_document, parse_matcher
from models.reason import BadInput, Reason
from models.silence import Silence
from models.text.instant import format_instant
from models.wire import SilenceRequest, instant_ms, moment_ms

LIVE_MAX = 5000  # silences that have not ended; a new alert is compared with each, in 3 us
KEPT_MS = 5 * 86_400_000  # a silence is listed for so long after its end, as Alertmanager does
ENDED_MAX = 10_000  # of those, the ones that changed last

STATES = ("active", "pending", "expired")


class StoredSilence(NamedTuple):
    """A silence, when it was last changed, and for what we wrote its offset in the journal's partition 0."""

    silence: Silence
    updated_ms: int
    offset: int = -1


class Silences:
    """The silences that there are, by id."""

    def __init__(self, log: Log, topic: str) -> None:
        self._log, self._reader, self._turnstile = log, TopicReader(log, topic, 1), Turnstile()
        self._told: dict[
            str, StoredSilence
        ] = {}  # as the engine tells them, in the order of their changes
        self._own: dict[str, StoredSilence] = {}  # as we wrote them, until the engine tells of them

    async def all(self) -> dict[str, StoredSilence]:
        """Those that have not ended long ago, by id."""
        async with self._turnstile as needed:
            while needed and (news := await self._reader.next_chunk(0)) is not None:
                for item in news:
                    document = orjson.loads(item.value)
                    self._told.pop(document["silence"], None)
                    self._told[document["silence"]] = _from_snapshot(document)
            self._forget_ended()
            return self._told | self._own

    def note(self, silence: Silence, offset: int) -> None:
        """Show what was written at an offset of the journal's partition 0 until the engine has told of it.

        What the engine tells carries the offset of its cause, so that one is not shown instead of a
        newer one.
        """
        if offset > self._reader.seen[0].offset:
            self._own[silence.id] = StoredSilence(silence, self._log.now_ms(), offset)

    def _forget_ended(self) -> None:
        now_ms, applied = self._log.now_ms(), self._reader.seen[0].offset
        self._told = _without_old(self._told, now_ms)
        self._own = _without_old(
            {name: silence for name, silence in self._own.items() if silence.offset > applied},
            now_ms,
        )


def _without_old(known: dict[str, StoredSilence], now_ms: int) -> dict[str, StoredSilence]:
    # What was over when it was made, as the procedures' curl makes it, is listed for as long as
    # others.
    known = {
        name: silence
        for name, silence in known.items()
        if max(silence.silence.ends_ms, silence.updated_ms) + KEPT_MS > now_ms
    }
    over = [name for name, silence in known.items() if silence.silence.ends_ms <= now_ms]
    for name in over[: max(len(over) - ENDED_MAX, 0)]:
        del known[name]
    return known


def silence_of(body: SilenceRequest, known: Silence | None, now_ms: int, *, past: bool) -> Silence:
    """The silence of a request, with the id that it has. Raises BadInput; so it does for one that is over, unless `past`.

    Without a start it begins now, or when the `known` one of its id began.
    """
    matchers = body.parts()
    starts_ms = moment_ms(body.starts_at, "startsAt", now_ms)
    ends_ms = moment_ms(body.ends_at, "endsAt", now_ms)
    if ends_ms is None:
        raise BadInput(
            Reason.BAD_TIME,
            f"endsAt: is {body.ends_at!r:.60}, must be an RFC 3339 time or a duration",
        )
    over = ends_ms <= now_ms
    if over and not past:
        message = f"endsAt: is {body.ends_at!r}, which is past, must be ahead: it is {format_instant(now_ms)}"
        raise BadInput(Reason.BAD_TIME, message)
    if starts_ms is None:
        starts_ms = known.starts_ms if known else min(now_ms, ends_ms - 1)
    if ends_ms <= starts_ms:
        message = (
            f"endsAt: is {body.ends_at!r}, must be after startsAt, {format_instant(starts_ms)}"
        )
        raise BadInput(Reason.BAD_TIME, message)
    texts = body.by, body.comment or "", body.noted()
    return Silence(body.id or "", matchers, starts_ms, ends_ms, *texts)


def end_silence(silence: Silence, now_ms: int) -> Silence:
    """The silence, ended now; one that had not begun never begins."""
    return replace(
        silence, starts_ms=min(silence.starts_ms, now_ms), ends_ms=min(silence.ends_ms, now_ms)
    )


def can_update_in_place(old: Silence, new: Silence, now_ms: int) -> bool:
    """Whether a silence can be changed in its place. If not, it ends and another begins.

    Source: Alertmanager's `canUpdate`. What an active one has silenced so far is not to be denied,
    so that its matchers and the second of its start stay, and it is not ended in the past.
    """
    if set(old.matchers) != set(new.matchers) or new.ends_ms < now_ms:
        return False
    match _silence_state(old, now_ms):
        case "active":
            return old.starts_ms // 1000 == new.starts_ms // 1000
        case "pending":
            return new.starts_ms >= now_ms
        case _:
            return False


def as_v2(kept: StoredSilence, now_ms: int) -> dict[str, Any]:
    """A silence as Alertmanager's API gives it, in both versions."""
    silence = kept.silence
    return {
        "id": silence.id,
        "status": {"state": _silence_state(silence, now_ms)},
        "matchers": [matcher_document(matcher) for matcher in silence.matchers],
        "startsAt": format_instant(silence.starts_ms),
        "endsAt": format_instant(silence.ends_ms),
        "updatedAt": format_instant(kept.updated_ms),
        "createdBy": silence.by,
        "comment": silence.comment,
        "annotations": silence.annotations,
    }


def in_listing_order(known: dict[str, StoredSilence], now_ms: int) -> list[StoredSilence]:
    """As Alertmanager lists them.

    The active that end first, the pending that begin first, the expired that ended last.
    """

    def place(kept: StoredSilence) -> tuple[int, int, str]:
        silence, state = kept.silence, _silence_state(kept.silence, now_ms)
        when_ms = {"active": silence.ends_ms, "pending": silence.starts_ms}.get(
            state, -silence.ends_ms
        )
        return STATES.index(state), when_ms, silence.id

    return sorted(known.values(), key=place)


def filters_of(texts: list[str]) -> frozenset[Matcher]:
    """The matchers of `filter` parameters. Raises BadInput."""
    try:
        return frozenset(parse_matcher(text) for text in texts)
    except ValueError as error:
        raise BadInput(Reason.MALFORMED, f"filter: {error}") from None


def matches_filters(silence: Silence, filters: frozenset[Matcher]) -> bool:
    """Whether a silence has all of these matchers.

    Label, operator and value, as Alertmanager compares them.
    """
    return filters <= set(silence.matchers)


def check_sender(request: web.Request) -> None:
    """Refuse a form that a browser may have sent for a web page. Raises BadInput.

    The procedures' curl calls its JSON a form, and so could any page of any site, which a browser
    lets post forms to the loopback without asking. But browsers name the page's origin in every
    POST, as `null` where they hide it, and newer ones say whose page it is; curl does neither.
    """
    site = request.headers.get("Sec-Fetch-Site", "none")
    if "Origin" in request.headers or site not in ("none", "same-origin"):
        raise BadInput(
            Reason.MALFORMED, "a web page must not send this as a form; send application/json"
        )


def _silence_state(silence: Silence, now_ms: int) -> str:
    if silence.ends_ms <= now_ms:
        return "expired"
    return "pending" if silence.starts_ms > now_ms else "active"


def _from_snapshot(document: dict[str, Any]) -> StoredSilence:
    matchers = tuple(
        Matcher(label, Operator(how), value) for label, how, value in document["matchers"]
    )
    names = ("starts_at", "ends_at", "updated_at")
    starts_ms, ends_ms, updated_ms = (instant_ms(document[name], name) or 0 for name in names)
    texts = document["by"], document["comment"], document.get("annotations", {})
    silence = Silence(document["silence"], matchers, starts_ms, ends_ms, *texts)
    return StoredSilence(silence, updated_ms)
