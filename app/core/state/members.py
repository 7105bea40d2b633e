"""Alerts as rules across components know them.

Members of incidents, what fired in windows, sources and targets.
"""

from dataclasses import dataclass, field

import orjson

from models.place import Place
from models.severity import Severity

MEMBER_BYTES = (
    384  # of a member in the changelog beside its texts: the fields' names, and what it is kept by
)
VIA_MAX = 4  # rules by which one alert depends on one incident
PARTS_BYTES_MAX = (
    8 * 1024 * 1024
)  # of an incident's members, or a link's sources and targets: they stand in one record


@dataclass(slots=True)
class Member:
    """An alert of another component in a correlated incident, as its signal told."""

    name: str
    component: str
    incident: str
    severity: Severity
    firing: bool
    record: str  # the position of the record that made it fire
    labels: dict[str, str] = field(default_factory=dict)  # that a silence may ask for
    scope: str = ""
    fired_ms: int = 0  # since when it fires
    in_cycle: bool = False  # only what has fired longer keeps it quiet
    known_of: bool = False  # somebody knows of it: it was named, silenced, or is explained itself
    starts_ms: int = 0  # since when it fires, for messages, as what follows
    place_labels: dict[str, str] = field(default_factory=dict)  # more labels
    annotations: dict[str, str] = field(default_factory=dict)
    # Of the rule that opened the incident, or near it; else it depends on the incident.
    own: bool = True
    owner: str = ""  # whose its incident is, of one that is near
    hidden: bool = False  # its incident was told to keep quiet, of one that is near
    via: list[str] = field(
        default_factory=list
    )  # the shapes of the rules by which it depends on the incident

    def is_same_time(self, later: "Member") -> bool:
        """Whether the later word about it only says that somebody knows of it now, or does not."""
        return self.record == later.record and self.known_of != later.known_of

    @property
    def place(self) -> Place:
        """Where it is."""
        return Place(self.component, self.scope)

    @property
    def size(self) -> int:
        """How many bytes it has in the changelog, about.

        Never fewer. The same for as long as it is the same alert.
        """
        return self.size_unshown + self.shown_size

    @property
    def size_unshown(self) -> int:
        """How many bytes those are without what is only shown."""
        texts = [
            self.name,
            self.component,
            self.scope,
            self.incident,
            self.record,
            self.labels,
            self.owner,
        ]
        return MEMBER_BYTES + len(orjson.dumps(texts))

    @property
    def shown_size(self) -> int:
        """How many bytes of those are of what is only shown."""
        return len(orjson.dumps([self.place_labels, self.annotations]))


@dataclass(slots=True)
class Fired:
    """An alert in a window."""

    at_ms: int
    fingerprint: str
    member: Member
    steps: list[int] = field(default_factory=list)  # of a sequence, that it can be


@dataclass(slots=True)
class Target:
    """An alert that keeps quiet while a source of its rule fires."""

    at_ms: int
    member: Member
    root: Member | None = None  # the source that it keeps quiet for

    @property
    def size(self) -> int:
        """As a member's."""
        return self.member.size + (self.root.size if self.root else 0)


@dataclass(slots=True)
class InhibitionGroup:
    """What an actor knows of the sources and targets of an inhibition or a dependency, by fingerprint."""

    sources: dict[str, Member] = field(default_factory=dict)
    targets: dict[str, Target] = field(default_factory=dict)
    last: Member | None = (
        None  # of the sources, the last that ended, while its targets have their grace
    )
    ended_ms: int = 0
    bytes: int = 0  # of the sources and targets

    def has_room(self, more: Member, number_max: int) -> bool:
        """Whether one more source or target fits."""
        return (
            len(self.sources) + len(self.targets) < number_max
            and self.bytes + 2 * more.size <= PARTS_BYTES_MAX
        )

    def put_source(self, identity: str, source: Member | None) -> Member | None:
        """Add, renew or (None) take away a source; the one that was there."""
        known = self.sources.get(identity)
        self.bytes -= known.size if known else 0
        if known is not None and not (source and known.is_same_time(source)):
            del self.sources[identity]  # so that it is the last when it is added
        if source is not None:
            self.sources[identity] = source
            self.bytes += source.size
        return known

    def put_target(self, identity: str, target: Target | None) -> Target | None:
        """The same of a target."""
        known = self.targets.pop(identity, None)
        self.bytes -= known.size if known else 0
        if target is not None:
            self.targets[identity] = target
            self.bytes += target.size
        return known

    def give_root(self, target: Target, root: Member | None) -> None:
        """Note what explains a target."""
        self.bytes -= target.size
        target.root = root
        self.bytes += target.size
