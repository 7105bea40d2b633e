"""Alerts as rules across components know them.

Members of incidents, what fired in windows, sources and targets.
"""

from dataclasses import dataclass, field

import orjson

from models.severity import Severity

MEMBER_BYTES = (
    256  # of a member in the changelog beside its texts: the fields' names, and what it is kept by
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
    own: bool = True  # of the rule that opened the incident; else it depends on the incident, which can end without it
    via: list[str] = field(
        default_factory=list
    )  # the shapes of the rules by which it depends on the incident

    @property
    def size(self) -> int:
        """How many bytes it has in the changelog, about.

        Never fewer. The same for as long as it is the same alert.
        """
        texts = [self.name, self.component, self.incident, self.record, self.labels]
        return MEMBER_BYTES + len(orjson.dumps(texts))


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
        known = self.sources.pop(identity, None)
        self.bytes -= known.size if known else 0
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
