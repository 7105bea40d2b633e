"""The parameters of a request, checked: what is not known, or not allowed, is refused by name."""

from collections.abc import Mapping, Sequence

from models.matcher import Matcher, parse_matcher
from models.reason import BadInput, Reason
from models.text.suggest import did_you_mean

LIMIT, LIMIT_MAX = 100, 1000  # items of a page: without `limit`, and at the most
MATCHERS_MAX = 64

Values = Mapping[str, Sequence[str]]


def check_names(query: Values, known: Sequence[str]) -> None:
    """Refuse a parameter that there is not. Raises BadInput."""
    for name in query:
        if name not in known:
            must = ", ".join(known) or "none"
            text = f"parameter {name!r:.60}: is not known, must be one of {must}"
            raise BadInput(Reason.MALFORMED, f"{text}{did_you_mean(name, known)}")


def text_of(query: Values, name: str) -> str:
    """The value of a parameter that may be given once; empty when it is not. Raises BadInput."""
    values = query.get(name, ())
    if len(values) > 1:
        raise BadInput(Reason.MALFORMED, f"{name}: is given {len(values)} times, must be once")
    return values[0].strip() if values else ""


def choices_of(query: Values, name: str, allowed: Sequence[str]) -> list[str]:
    """The values of a parameter, separated by commas or given several times. Raises BadInput."""
    words = [word.strip() for text in query.get(name, ()) for word in text.split(",")]
    chosen = [word for word in words if word]
    for word in chosen:
        if word not in allowed:
            must = ",".join(allowed)
            raise BadInput(Reason.MALFORMED, f"{name}: is {word!r:.60}, must be some of {must}")
    return chosen


def limit_of(query: Values) -> int:
    """How many items are wanted. Raises BadInput."""
    return number_of(query, "limit", LIMIT, LIMIT_MAX)


def number_of(query: Values, name: str, usual: int, most: int) -> int:
    """A whole number from 1 to `most`; `usual` when it is not given. Raises BadInput."""
    text = text_of(query, name)
    if not text:
        return usual
    if not (text.isascii() and text.isdecimal() and len(text) < 6 and 1 <= int(text) <= most):
        message = f"{name}: is {text!r:.60}, must be a whole number from 1 to {most}"
        raise BadInput(Reason.MALFORMED, message)
    return int(text)


def matchers_of(query: Values, name: str) -> list[Matcher]:
    """The label matchers of a parameter that may be given several times. Raises BadInput."""
    texts = query.get(name, ())
    if len(texts) > MATCHERS_MAX:
        message = f"{name}: is given {len(texts)} times, must be at most {MATCHERS_MAX}"
        raise BadInput(Reason.TOO_LARGE, message)
    try:
        return [parse_matcher(text) for text in texts]
    except ValueError as error:
        raise BadInput(Reason.MALFORMED, f"{name}: {error}") from None


def cursor_of(query: Values) -> tuple[str, ...]:
    """Behind which item a page begins; empty for the first page. Raises BadInput."""
    text = text_of(query, "cursor")
    parts = tuple(text.split("~")) if text else ()
    if text and (len(parts) != 2 or len(text) > 1024):
        message = f"cursor: is {text!r:.60}, must be the `next` of the page before"
        raise BadInput(Reason.MALFORMED, message)
    return parts
