"""What an incident knows of those that it is near: of the root that it belongs to, or as a root."""

from dataclasses import dataclass, field

from models.severity import Severity

MERGED = "merged:"  # how the actor of a merge by a person begins; no rule's name has a colon


@dataclass(slots=True)
class NearPart:
    """As a member it knows its root; as a root it knows which members it explains."""

    times: int = 0  # how often it had begun to fire when a rule was asked last
    actor: str = ""  # rule and group that were asked; empty when none was, and after its end
    alert: str = ""  # the alert by which they know it
    expired: bool = False  # its last alert ended because nobody sent it: nobody knows
    root: str = ""  # the incident that it belongs to
    root_key: str = ""  # the key of messages to that
    roots: list[str] = field(default_factory=list)  # all to which it ever belonged
    because: str = ""  # why its alerts keep quiet; empty when they do not
    severity: Severity = Severity.P0  # an alert that is worse does not keep quiet
    explains: str = ""  # as a root: severity and owner of what keeps quiet; empty is nothing

    @property
    def is_merged(self) -> bool:
        """Whether a person made it a part of its root."""
        return self.actor.startswith(MERGED)
