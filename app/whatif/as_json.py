"""A comparison as one JSON document, for programs."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from app.whatif.compare import (
    ADDED,
    CHANGED,
    GONE,
    AnyPair,
    Comparison,
    Fact,
    severity_of,
    tally,
    team_of,
)
from app.whatif.consequences import Times
from models.instant import format_instant

_LISTS = ("incidents", "notifications", "escalations")
_COUNTED = (
    "incidents",
    "notifications",
    "pages",
    "escalations",
)  # pages are notifications, too: those by pager


def document(comparison: Comparison) -> dict[str, Any]:
    """The document.

    Counts and lists of what is added, gone and changed; counts by team and severity; times; what is
    missed.
    """
    return {
        "same": comparison.same,
        **{verdict: _of(comparison, verdict) for verdict in (ADDED, GONE, CHANGED)},
        "totals": _tallies(comparison, lambda _: "all").get("all", {}),
        "by_team": _tallies(comparison, team_of),
        "by_severity": _tallies(comparison, severity_of),
        "times": {
            what.replace(" ", "_"): _both(*times) for what, times in comparison.times.items()
        },
        "missed": [described(one) for one in comparison.missed],
        "unpaged": [described(one) for one in comparison.unpaged],
        "dead_letters": {"before": comparison.refused[0], "after": comparison.refused[1]},
    }


def _of(comparison: Comparison, verdict: str) -> dict[str, Any]:
    lists: dict[str, Sequence[AnyPair]] = {name: getattr(comparison, name) for name in _LISTS}
    found = {
        name: [pair for pair in pairs if pair.verdict == verdict] for name, pairs in lists.items()
    }
    counts = {name: len(pairs) for name, pairs in found.items()}
    pages = sum(pair.verdict == verdict for pair in comparison.pairs("pages"))
    return {
        **counts,
        "pages": pages,
        "details": {name: [_detail(one) for one in pairs] for name, pairs in found.items()},
    }


def _detail(pair: AnyPair) -> dict[str, Any]:
    if pair.before is None or pair.after is None:
        return described(pair.one)
    changes = [change._asdict() for change in pair.changes]
    return {"before": described(pair.before), "after": described(pair.after), "changes": changes}


def described(one: Fact) -> dict[str, Any]:
    """One incident, notification or escalation, with its times as people read them."""
    return {
        name.removesuffix("_ms") + "_at"
        if name.endswith("_ms") and name != "at_ms"
        else name.removesuffix("_ms"): (
            format_instant(value) if name.endswith("_ms") and value is not None else value
        )
        for name, value in asdict(one).items()
        if name != "ends_ms"
    }


def _tallies(comparison: Comparison, by: Any) -> dict[str, dict[str, dict[str, int]]]:
    found: dict[str, dict[str, dict[str, int]]] = {}
    for kind in _COUNTED:
        for name, counts in tally(comparison.pairs(kind), by).items():
            found.setdefault(name, {})[kind] = counts
    return dict(sorted(found.items()))


def _both(before: Times, after: Times) -> dict[str, Any]:
    return {"before": before._asdict(), "after": after._asdict()}
