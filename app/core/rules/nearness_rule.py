"""Nearness, compiled: which alerts a rule is about, in which group, and its constants."""

from dataclasses import dataclass

from app.core.rules.near_tuning import Tuning
from app.core.rules.rule_id import rule_id_of
from models.alert import Labels
from models.matcher import Test, test_of
from models.place import Place
from models.policy.nearness import NearBackground, NearKind, Nearness, NearPlace

PPM = 10_000  # parts in a million of a per cent


@dataclass(frozen=True, slots=True)
class NearnessRule:
    """A rule of kind nearness."""

    policy: Nearness
    test: Test
    tuning: Tuning
    background: bool
    rule_id: str  # which rule of this name it is (`app.core.rules.rule_id`)

    def group(self, place: Place, owner: str, labels: Labels) -> str | None:
        """The values of `by` in one string, or None when the alert takes no part."""
        known = {"component": place.group, "owner": owner}
        values = [known.get(name) or labels.get(name, "") for name in self.policy.by]
        return (", ".join(values) or "all") if all(values) else None


def compile_nearness(rule: Nearness) -> NearnessRule:
    """The rule as the engine asks it."""
    form = [rule.name, rule.by, rule.within]  # what is counted depends on these
    rule_id = rule_id_of("nearness", rule, form)
    background = bool(rule.background)
    return NearnessRule(rule, test_of(rule.match), _tuning_of(rule), background, rule_id)


def _tuning_of(rule: Nearness) -> Tuning:
    background = rule.background or NearBackground()
    place, kind = rule.place or NearPlace(), rule.kind or NearKind()
    return Tuning(
        again=rule.again,
        place=bool(rule.place),
        kind=bool(rule.kind),
        near_ms=rule.within,
        same_severity_ms=kind.same_severity,
        other_severity_ms=kind.other_severity,
        expired_ms=kind.expired,
        chance_ppm=rule.chance * PPM,
        false_share_ppm=rule.false_joins * PPM,
        place_share_ppm=place.share * PPM,
        kind_share_ppm=kind.share * PPM,
        background_hours=background.hours,
        place_labels=tuple(place.labels),
    )
