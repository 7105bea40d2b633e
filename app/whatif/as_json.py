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
    tally_pairs,
    team_of,
)
from app.whatif.consequences import ResponseTimes
from models.text.instant import format_instant

_LISTS = ("incidents", "notifications", "escalations")
_COUNTED = (
    "incidents",
    "notifications",
    "pages",
    "escalations",
)  # pages are notifications, too: those by pager


def comparison_json(comparison: Comparison) -> dict[str, Any]:
    """The document.

    Counts and lists of what is added, gone and changed; counts by team and severity; times; what is
    missed.
    """
    return {
        "same": comparison.same,
        **{verdict: _pairs_json(comparison, verdict) for verdict in (ADDED, GONE, CHANGED)},
        "totals": _tallies_json(comparison, lambda _: "all").get("all", {}),
        "by_team": _tallies_json(comparison, team_of),
        "by_severity": _tallies_json(comparison, severity_of),
        "times": {
            label.replace(" ", "_"): _before_after_json(*times)
            for label, times in comparison.times.items()
        },
        "missed": [describe_object(incident) for incident in comparison.missed],
        "unpaged": [describe_object(incident) for incident in comparison.unpaged],
        "dead_letters": {"before": comparison.refused[0], "after": comparison.refused[1]},
    }


def _pairs_json(comparison: Comparison, verdict: str) -> dict[str, Any]:
    lists: dict[str, Sequence[AnyPair]] = {name: getattr(comparison, name) for name in _LISTS}
    document = {
        name: [pair for pair in pairs if pair.verdict == verdict] for name, pairs in lists.items()
    }
    counts = {name: len(pairs) for name, pairs in document.items()}
    pages = sum(pair.verdict == verdict for pair in comparison.pairs("pages"))
    return {
        **counts,
        "pages": pages,
        "details": {name: [_pair_json(pair) for pair in pairs] for name, pairs in document.items()},
    }


def _pair_json(pair: AnyPair) -> dict[str, Any]:
    if pair.before is None or pair.after is None:
        return describe_object(pair.shown)
    changes = [change._asdict() for change in pair.changes]
    return {
        "before": describe_object(pair.before),
        "after": describe_object(pair.after),
        "changes": changes,
    }


def describe_object(fact: Fact) -> dict[str, Any]:
    """One incident, notification or escalation, with its times as people read them."""
    return {
        name.removesuffix("_ms") + "_at"
        if name.endswith("_ms") and name != "at_ms"
        else name.removesuffix("_ms"): (
            format_instant(value) if name.endswith("_ms") and value is not None else value
        )
        for name, value in asdict(fact).items()
        if name != "ends_ms"
    }


def _tallies_json(comparison: Comparison, by: Any) -> dict[str, dict[str, dict[str, int]]]:
    tallies: dict[str, dict[str, dict[str, int]]] = {}
    for kind in _COUNTED:
        for name, counts in tally_pairs(comparison.pairs(kind), by).items():
            tallies.setdefault(name, {})[kind] = counts
    return dict(sorted(tallies.items()))


def _before_after_json(before: ResponseTimes, after: ResponseTimes) -> dict[str, Any]:
    return {"before": before._asdict(), "after": after._asdict()}
