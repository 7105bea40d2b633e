"""What somebody who made a typing mistake probably meant."""

from collections.abc import Iterable
from difflib import get_close_matches

_WORD_CHARACTERS = 100  # a longer one is no typing mistake, and comparing takes quadratic time
_KNOWN = 1000


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`; did you mean 'settle'?` for the known word that is nearest; empty when none is near."""
    if len(word) > _WORD_CHARACTERS:
        return ""
    candidates = [item for item in known if len(item) <= _WORD_CHARACTERS][:_KNOWN]
    by_small = {candidate.lower(): candidate for candidate in reversed(candidates)}
    near = get_close_matches(word.lower(), by_small, 1, cutoff=0.7)
    return f"; did you mean {by_small[near[0]]!r}?" if near else ""
