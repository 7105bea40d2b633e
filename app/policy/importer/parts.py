"""The parts of a policy that an import makes, each with the lines that it comes from.

`writing` writes them.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from app.policy.importer.receivers import Contact
from models.policy.policy import Channel
from models.policy.types import Components
from models.severity import Severity

NAME_CHARACTERS = 80  # of the 100 that a policy allows: what is added fits too
NO_TEXTS = ("null", "true", "false", "yes", "no", "on", "off", "y", "n")  # in YAML, without quotes
Lines = tuple[int, ...]
Selector = list[list[str]]


@dataclass(slots=True)
class Names:
    """Names as a policy wants them, each given once."""

    given: set[str] = field(default_factory=set)

    def make(self, text: str) -> str:
        """A name for a text that no other text has."""
        name = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:NAME_CHARACTERS].strip("-")
        name = name if name[:1].isalpha() and name not in NO_TEXTS else f"x-{name}".strip("-")
        number, made = 2, name
        while made in self.given:
            made, number = f"{name}-{number}", number + 1
        self.given.add(made)
        return made


@dataclass(frozen=True, slots=True)
class Team:
    """A team: whom it is told through, and during which interval; empty is always."""

    contact: str
    hours: str
    lines: Lines


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose alerts are: an entry of `ownership`, or, where it has a name, of `classes`."""

    name: str
    selector: Selector
    team: str
    also: tuple[str, ...]
    waits: dict[str, "Timing"]  # by the policy's key: where they are not those of `notify`
    lines: Lines


@dataclass(frozen=True, slots=True)
class ImportedHeartbeat:
    """A heartbeat, which was a receiver that is pinged."""

    name: str
    selector: Selector
    missing_ms: int
    owner: str
    lines: Lines


@dataclass(frozen=True, slots=True)
class MuteRule:
    """A mute rule."""

    name: str
    selector: Selector
    during: tuple[str, ...]
    lines: Lines


@dataclass(frozen=True, slots=True)
class ImportedInhibition:
    """An inhibition."""

    name: str
    source: list[str]
    target: list[str]
    equal: Sequence[str]
    line: int


@dataclass(frozen=True, slots=True)
class Timing:
    """A duration in milliseconds and its line; 0 is Alertmanager's default."""

    ms: int
    line: int


@dataclass(slots=True)
class Imported:
    """A whole policy."""

    severity_labels: list[str]
    severities: dict[str, tuple[Severity, Lines]]
    components: Components
    contacts: dict[str, Contact]
    teams: dict[str, Team]
    owners: list[Owner]
    default_owner: str
    channels: dict[Severity, list[Channel]]
    resolve_timeout: dict[str, Timing]  # by source
    waits: dict[str, Timing]  # by the policy's key: of whatever no class has its own for
    heartbeats: list[ImportedHeartbeat]
    mutes: list[MuteRule]
    inhibitions: list[ImportedInhibition]
    intervals: dict[str, tuple[int, list[tuple[int, dict[str, Any]]]]]
