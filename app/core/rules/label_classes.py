"""Values of a label that a policy cannot tell apart: all its matchers answer alike for them.

A policy asks for components by name, and most components are in none of its rules. A decision that
was found for one of these holds for all, so an alert on a component that was never seen before costs
the matchers of that one label, and not the whole policy.
"""

from collections.abc import Iterable

from models.matcher import Matcher, test_of

VALUES_MAX = 10_000  # of a label, whose classes are remembered
VALUE_CHARACTERS_MAX = 200  # of such a value


class LabelClasses:
    """The classes of one label's values, by the matchers that a policy has for the label."""

    __slots__ = ("_classes", "_tests", "label")

    def __init__(self, label: str, matchers: Iterable[Matcher]) -> None:
        asked = dict.fromkeys(matchers)
        assert all(matcher.label == label for matcher in asked), label
        self.label = label
        self._tests = [test_of([[matcher]]) for matcher in asked]
        self._classes: dict[str, int] = {}

    def class_of(self, value: str) -> int:
        """The class: a bit for each matcher, set where it fits. An absent label is an empty value."""
        known = self._classes.get(value)
        if known is None:
            labels = {self.label: value}
            known = sum(test(labels) << number for number, test in enumerate(self._tests))
            if len(self._classes) >= VALUES_MAX:
                self._classes.clear()
            if len(value) <= VALUE_CHARACTERS_MAX:
                self._classes[value] = known
        return known
