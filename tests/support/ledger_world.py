"""Notifications for tests, and a ledger's world: time that a test moves, and receivers that answer as it says."""

from collections.abc import Mapping
from typing import Any

from app.notifier.channel import ChannelKind
from app.notifier.ledger.delivery import Attempt, Request, Rules
from app.notifier.ledger.ledger import Failure, Ledger
from app.notifier.ledger.limits import DEFAULT
from app.notifier.runtime.decoding import from_document
from models.effect import Position
from models.events import Notification

START_MS = 1_776_000_000_000
INCIDENT = "INC-20260412T031502Z-00K3F"


def document(number: int = 0, **fields: Any) -> dict[str, Any]:
    """A notification as its topic has it; `number` makes its id and its position."""
    given = {"incident": INCIDENT, "action": "trigger", "episode": 1, "channel": "pager"} | fields
    return {
        "id": f"0-{number}-0",
        "kind": "opened",
        "at": "2026-04-12T03:15:02.000Z",
        "policy": "0123456789abcdef",
        "wakes": given["action"] == "trigger" and given["channel"] == "pager",
        "dedup_key": f"{given['incident']}/{given['episode']}",
        "severity": "P0",
        "owner": "ai",
        "component": "ollama",
        "title": "OllamaDown: ollama",
        "text": "1 of 1 alerts firing",
        "next_step": None,
        "receiver": "On-call SRE",
        "address": "ops-primary",
        "reason": {"rule": "", "step": 1, "steps": 3, "text": "first on call"},
        "started_at": "2026-04-12T03:15:02.000Z",
        "alerts": [],
        "alerts_omitted": 0,
        "alerts_firing": 1,
        "alerts_total": 1,
        "common_labels": {},
        "links": {},
    } | given


def notification(number: int = 0, **fields: Any) -> Notification:
    """The same, read."""
    return from_document(document(number, **fields))


KINDS = {"pd": ChannelKind.PAGERDUTY, "sms": ChannelKind.TWILIO_SMS, "ntfy": ChannelKind.NTFY}


class World:
    """A ledger, and what its receivers are told.

    `answers` says of a receiver what it answers: None is that it takes everything, a Failure that it
    does not, and "hang" that it never answers.
    """

    def __init__(self, kinds: Mapping[str, ChannelKind] = KINDS) -> None:
        limits = {kind: tuple(limits) for kind, limits in DEFAULT.items()}
        self.ledger = Ledger(Rules(dict(kinds), limits), lambda: 1.0)
        self.answers: dict[str, Failure | str | None] = {}
        self.now_ms = START_MS
        self.told: list[tuple[str, str, str]] = []  # receiver, action, id
        self.titles: list[str] = []
        self.hanging: list[Attempt] = []
        self.receipts: list[tuple[str, str, str]] = []  # id, state, detail
        self.settled: list[str] = []

    def tell(
        self, number: int, through: tuple[str, ...] = ("pd", "sms", "ntfy"), **fields: Any
    ) -> None:
        """A notification comes, and everything that is due is done."""
        note = notification(number, **fields)
        request = Request(f"{note.channel}/{note.address}", 0, Position(number, 0), note)
        self.ledger.accept(request, through, 0, self.now_ms)
        self.run()

    def run(self, seconds: float = 0) -> None:
        """Do what is due now, and in so many seconds from now on."""
        until_ms = self.now_ms + int(seconds * 1000)
        while True:
            while attempts := self.ledger.due(self.now_ms):
                for attempt in attempts:
                    self._answer(attempt)
            next_ms = self.ledger.next_ms(self.now_ms)
            if next_ms is None or next_ms > until_ms:
                break
            assert next_ms > self.now_ms, "the ledger asks to be asked again at once"
            self.now_ms = next_ms
        self.now_ms = until_ms
        for changes in self.ledger.take_changes().values():
            self.settled += changes.settled
            self.receipts += [(one.notification, one.state, one.detail) for one in changes.receipts]

    def _answer(self, attempt: Attempt) -> None:
        answer = self.answers.get(attempt.receiver)
        if answer == "hang":
            self.hanging.append(attempt)
            return
        note = attempt.notification
        if isinstance(answer, Failure):
            self.ledger.failed(attempt, answer, self.now_ms)
        else:
            self.told.append((attempt.receiver, note.action, note.id))
            self.titles.append(note.title)
            self.ledger.sent(attempt, "their-id", "remember", self.now_ms)
