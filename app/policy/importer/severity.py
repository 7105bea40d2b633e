"""The severities that a configuration knows, and the channels through which each is told."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from app.policy.importer import label_matchers
from app.policy.importer.notices import FindingKind, Findings
from app.policy.importer.parts import Lines
from app.policy.importer.reader import Configuration
from models.matcher import Matcher
from models.severity import Severity, severity_word

_LABELS = ("severity", "priority", "level")
_ANOTHER = "\N{REPLACEMENT CHARACTER}"  # a severity that nobody has a name for
_UNKNOWN = Severity.P2


@dataclass(frozen=True, slots=True)
class Severities:
    """The labels that have the severity, and what their values mean, each with the lines where the file has it."""

    labels: list[str]
    names: dict[str, tuple[Severity, Lines]]

    def names_of(self, severity: Severity) -> list[str]:
        """The values of this severity that the file has."""
        return [name for name, (item, lines) in self.names.items() if item is severity and lines]

    def possible_values(self, severity: Severity) -> list[str]:
        """The values of the first label that an alert of this severity can have."""
        values = [name for name, (item, _) in self.names.items() if item is severity]
        # A severity may come from another label; one that has no name here, and no severity at all,
        # are P2.
        values += [""] if severity is _UNKNOWN or len(self.labels) > 1 else []
        return [*values, *([_ANOTHER] if severity is _UNKNOWN else [])]


def severities_of(
    configuration: Configuration, usual: Mapping[str, Severity], findings: Findings
) -> Severities:
    """The severities.

    Those that matchers name, then the usual ones. Says which of them are a guess.
    """
    used = [(route.line, route.matchers) for route in configuration.route.all()]
    used += [(rule.line, (*rule.source, *rule.target)) for rule in configuration.inhibitions]
    labels = [
        label
        for label in _LABELS
        if any(matcher.label == label for _, matchers in used for matcher in matchers)
    ]
    lines_of: dict[str, list[int]] = {}
    for line, matchers in used:
        for value in _severity_values(matchers, labels):
            lines_of.setdefault(value, []).append(line)
    names: dict[str, tuple[Severity, Lines]] = {}
    usual_words = {severity_word(name): severity for name, severity in usual.items()}
    for value, lines in lines_of.items():
        severity = usual_words.get(severity_word(value))
        names[value] = (severity or _UNKNOWN, tuple(lines))
        if severity is None:
            why = "nobody says how bad it is; P2 is a guess"
            findings.add(
                FindingKind.FILL_IN,
                f"severity `{value}`",
                lines[0],
                why,
                "P0 to P3 under severities.names",
            )
    names |= {name: (severity, ()) for name, severity in usual.items() if name not in names}
    return Severities(labels or [_LABELS[0]], names)


def _severity_values(matchers: Sequence[Matcher], labels: Sequence[str]) -> list[str]:
    of_label = [matcher for matcher in matchers if matcher.label in labels]
    return [
        value for matcher in of_label for value in label_matchers.named_values(matcher) if value
    ]
