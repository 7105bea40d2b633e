"""Silences over HTTP, as Alertmanager's API has them: version 2, and version 1 as the procedures' curl uses it.

A silence is a record in every partition of the journal. What there is, is read back from `tocsin.silences`, which the engine
of partition 0 writes; until it has, this bridge's own ones are shown as it wrote them.
"""

import uuid
from collections.abc import Mapping
from typing import Any

import orjson
from aiohttp import web

from app.transport.log import Log
from models.instant import format_instant
from models.matcher import Matcher, Operator, parse_matcher, test_of
from models.reason import BadInput, Reason
from models.silence import Silence
from models.wire import SilenceRequest, instant_ms, moment_ms

ACTIVE_MAX = 1000  # silences that have not ended
KEPT_MS = 5 * 86_400_000  # after its end a silence is listed for so long, as Alertmanager does


class Silences:
    """The silences that there are, by id."""

    def __init__(self, log: Log, topic: str) -> None:
        self._log, self._topic = log, topic
        self._offset: int | None = None
        self._known: dict[str, tuple[Silence, str]] = {}  # with the instant of the last change

    async def all(self) -> list[tuple[Silence, str]]:
        """Those that have not ended long ago, each with the instant of its last change."""
        offset = self._offset
        if offset is None:
            offset = await self._log.start_offset(self._topic, 0)
        while records := await self._log.read(self._topic, 0, offset):
            offset = records[-1].offset + 1
            for record in records:
                if record.value:
                    document = orjson.loads(record.value)
                    self._known[document["silence"]] = _from_snapshot(document), document["updated_at"]
        self._offset = offset
        since_ms = self._log.now_ms() - KEPT_MS
        self._known = {name: one for name, one in self._known.items() if one[0].ends_ms >= since_ms}
        return list(self._known.values())

    async def get(self, name: str) -> Silence | None:
        """The silence of that id."""
        return next((silence for silence, _ in await self.all() if silence.id == name), None)

    def note(self, silence: Silence) -> None:
        """Remember what was just written."""
        self._known[silence.id] = silence, format_instant(self._log.now_ms())

    async def check_room(self) -> None:
        """Raise BadInput when there are as many as there may be."""
        now_ms = self._log.now_ms()
        active = sum(silence.ends_ms > now_ms for silence, _ in await self.all())
        if active >= ACTIVE_MAX:
            raise BadInput(
                Reason.BOUND_REACHED, f"there are {active} silences, must be at most {ACTIVE_MAX}: expire some"
            )


def silence_of(document: Any, now_ms: int, *, past: bool) -> Silence:
    """The silence of a request, with a new id if it has none. One that is over is refused unless `past`. Raises BadInput."""
    body = SilenceRequest.of(document)
    matchers = body.parts()
    starts_ms = moment_ms(body.starts_at, "startsAt", now_ms)
    ends_ms = moment_ms(body.ends_at, "endsAt", now_ms)
    if ends_ms is None:
        raise BadInput(Reason.BAD_TIME, f"endsAt: is {body.ends_at!r:.60}, must be an RFC 3339 time")
    starts_ms = now_ms if starts_ms is None else starts_ms
    if ends_ms <= starts_ms:
        raise BadInput(Reason.BAD_TIME, f"endsAt: is {body.ends_at!r}, must be after startsAt, {body.starts_at!r}")
    if ends_ms <= now_ms and not past:
        found = f"endsAt: is {body.ends_at!r}, which is past: it is {format_instant(now_ms)}"
        raise BadInput(Reason.BAD_TIME, found)
    return Silence(body.id or str(uuid.uuid4()), matchers, starts_ms, ends_ms, body.by, body.comment or "")


def as_v2(silence: Silence, updated_at: str, now_ms: int) -> dict[str, Any]:
    """A silence as Alertmanager's API v2 gives it."""
    state = "expired" if silence.ends_ms <= now_ms else "pending" if silence.starts_ms > now_ms else "active"
    return {
        "id": silence.id,
        "status": {"state": state},
        "matchers": [
            {
                "name": one.label,
                "value": one.value,
                "isRegex": one.operator in (Operator.REGEX, Operator.NOT_REGEX),
                "isEqual": one.operator in (Operator.EQUAL, Operator.REGEX),
            }
            for one in silence.matchers
        ],
        "startsAt": format_instant(silence.starts_ms),
        "endsAt": format_instant(silence.ends_ms),
        "updatedAt": updated_at,
        "createdBy": silence.by,
        "comment": silence.comment,
    }


def fits(silence: Silence, filters: list[str]) -> bool:
    """Whether a silence is about what the `filter` parameters ask for: each names a label as one of its matchers does."""
    values: Mapping[str, str] = {one.label: one.value for one in silence.matchers}
    try:
        return all(test_of([[parse_matcher(text)]])(values) for text in filters)
    except ValueError as error:
        raise BadInput(Reason.MALFORMED, f"filter: {error}") from None


def check_sender(request: web.Request) -> None:
    """Refuse a web page. Raises BadInput.

    The procedures' curl sends its JSON as a form, and so could any page that a browser shows, unasked. But a browser says
    where the page is from, and curl does not.
    """
    site = request.headers.get("Sec-Fetch-Site", "none")
    if "Origin" in request.headers or site not in ("none", "same-origin"):
        raise BadInput(Reason.MALFORMED, "a web page must not send this as a form; send application/json")


def _from_snapshot(document: dict[str, Any]) -> Silence:
    matchers = tuple(Matcher(label, Operator(how), value) for label, how, value in document["matchers"])
    starts_ms, ends_ms = (instant_ms(document[name], name) or 0 for name in ("starts_at", "ends_at"))
    return Silence(document["silence"], matchers, starts_ms, ends_ms, document["by"], document["comment"])
