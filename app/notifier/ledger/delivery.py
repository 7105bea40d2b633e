"""What the ledger holds: requests to deliver, how far each of them is, and what a contact has been sent of an incident."""

from dataclasses import dataclass, field

from app.notifier.channel import ChannelKind
from app.notifier.ledger.limits import Limit
from models.effect import Position
from models.events import Action, Notification, Receipt

URGENT = ("P0", "P1")


@dataclass(frozen=True, slots=True)
class Request:
    """A notification that is to be delivered to a contact. `source` and `position` say where it came from."""

    contact: str  # CHANNEL/ADDRESS
    source: int  # the partition of the notifications topic
    position: Position
    notification: Notification

    @property
    def id(self) -> str:
        """The notification's id."""
        return self.notification.id

    @property
    def story(self) -> tuple[str, str]:
        """Contact and incident: what has to stay in order."""
        return (self.contact, self.notification.incident)


@dataclass(frozen=True, slots=True)
class Rules:
    """How receivers are to be treated. Times in milliseconds."""

    kinds: dict[str, ChannelKind]  # of each receiver, by its name
    limits: dict[ChannelKind, tuple[Limit, ...]] = field(default_factory=dict)
    page_deadline_ms: int = (
        60_000  # for a page to be taken, before the contact's next receiver gets it too
    )
    message_deadline_ms: int = 15 * 60_000  # the same for what wakes nobody
    give_up_ms: int = 24 * 60 * 60_000  # after which nothing is tried any more


@dataclass(slots=True, eq=False)
class Leg:
    """The way of a delivery through one receiver."""

    receiver: str
    tries: int = 0
    next_ms: int = 0  # not before
    queued: bool = False
    sending: bool = False
    held: bool = False  # over the contact's limit
    error: str = ""  # the last
    ended: bool = False  # taken, refused or cancelled


@dataclass(slots=True, eq=False)
class Delivery:
    """A request under way. One of its receivers has to take it; `everywhere`: each of those that it is for."""

    request: Request
    through: tuple[str, ...]  # the contact's receivers, in order
    order: int
    arrived_ms: int
    partition: int  # of the deliveries topic
    everywhere: bool = False
    legs: dict[str, Leg] = field(default_factory=dict)
    step: int = 0  # the last of `through` that it was handed to
    step_ms: int = 0  # since when
    taken: list[str] = field(default_factory=list)  # what the receipt says of those that took it
    failure_reported: bool = False
    missed: bool = False  # no receiver took it by its deadline, which was reported
    over: bool = False  # it is not to be tried again
    settled: bool = False
    absorbed: list[tuple[str, str]] = field(
        default_factory=list
    )  # id and incident of those that it stands for

    @property
    def notification(self) -> Notification:
        """What is sent."""
        return self.request.notification

    @property
    def urgent(self) -> bool:
        """Whether a limit must not hold it up."""
        return is_page(self.notification) and self.notification.severity in URGENT

    @property
    def sending(self) -> bool:
        """Whether a receiver is being asked."""
        return any(leg.sending for leg in self.legs.values())

    @property
    def live(self) -> list[Leg]:
        """The ways that may still be taken."""
        return [leg for leg in self.legs.values() if not leg.ended]


def is_page(notification: Notification) -> bool:
    """Whether a notification is to wake somebody."""
    return notification.wakes and notification.action is Action.TRIGGER


@dataclass(slots=True)
class Thread:
    """What one receiver has of an incident."""

    memory: str = ""  # what its channel wants back
    open: bool = False  # it was sent a trigger, and no resolve since
    maybe: bool = False  # it may have been: it did not answer, or we were killed


@dataclass(slots=True)
class Story:
    """What a contact has been sent of an incident, and what waits."""

    partition: int
    threads: dict[str, Thread] = field(default_factory=dict)  # by receiver
    pending: list[Delivery] = field(default_factory=list)
    updated_ms: int = 0

    def thread(self, receiver: str) -> Thread:
        """The receiver's, which is made if there is none."""
        return self.threads.setdefault(receiver, Thread())


@dataclass(frozen=True, slots=True)
class Attempt:
    """Something that is to be sent now. A digest is of several deliveries, all else of one."""

    receiver: str
    deliveries: tuple[Delivery, ...]
    notification: Notification
    memory: str
    sent_ms: int  # when it was begun


@dataclass(slots=True)
class Changes:
    """What has to be written of one partition, and said to the journal."""

    settled: list[str] = field(default_factory=list)  # ids of requests
    stories: set[tuple[str, str]] = field(default_factory=set)
    sends: set[tuple[str, ChannelKind]] = field(default_factory=set)
    receipts: list[Receipt] = field(default_factory=list)

    @property
    def any(self) -> bool:
        """Whether there is something."""
        return bool(self.settled or self.stories or self.sends or self.receipts)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a delivery was, as it is kept."""

    step: int = 0
    step_ms: int = 0
    arrived_ms: int = 0
    failure_reported: bool = False
    missed: bool = False
    receivers: tuple[str, ...] = ()  # of those that have to take it each, who still has to
    taken: tuple[str, ...] = ()
    absorbed: tuple[tuple[str, str], ...] = ()
