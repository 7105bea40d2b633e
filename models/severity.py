"""The four severities of the incident procedure."""

from enum import StrEnum
from functools import lru_cache


class Severity(StrEnum):
    """P0 is the worst. The values sort from worst to mildest, so the worse of two is `min`."""

    P0 = "P0"
    P1 = "P1"
    P2 = "P2"
    P3 = "P3"

    @property
    def is_urgent(self) -> bool:
        """Whether each alert of it has to be named to somebody: P0 and P1."""
        return self in (Severity.P0, Severity.P1)


@lru_cache(maxsize=64)  # there are a few names, and each alert asks for its own
def severity_word(name: str) -> str:
    """A severity's name as it is compared: without case and punctuation ("Very-High" is "veryhigh").

    A name that has neither letters nor digits is compared as it is.
    """
    return "".join(sign for sign in name.casefold() if sign.isalnum()) or name
