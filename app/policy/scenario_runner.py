"""A scenario, played.

Its steps become journal records on virtual time, and what came of them is compared.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from app.core.rules.compiled_policy import CompiledPolicy
from app.intake.commands import command_value
from app.policy.actual import Body, Incident, ScenarioOutcome, bodies_of
from app.policy.comparison import Difference, compare_outcome
from app.policy.simulator import Stage
from app.transport.log import StoredRecord
from models.alert import Alert, Labels, fingerprint
from models.journal import encode_alert, encode_silence
from models.policy.scenario import DAYS_MAX, Scenario, Step
from models.policy.types import Where
from models.reason import BadInput
from models.silence import Silence
from models.wire import labels_of

HOLD_MS = 2 * DAYS_MAX * 86_400_000  # of what fires until its end: longer than any scenario


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a scenario failed: where in it, and lines for people."""

    where: Where
    lines: list[str]


class _Unplayable(Exception):
    """A step that cannot be done."""


def play_scenario(
    policy: CompiledPolicy, scenario: Scenario
) -> tuple[list[Problem], ScenarioOutcome]:
    """What is not as the scenario expects, and all that came of it."""
    cast = _ScenarioStage(policy, scenario)
    problems: list[Problem] = []
    for number, step in enumerate(scenario.do):
        where: Where = ("do", number)
        try:
            cast.do(step)
        except (_Unplayable, BadInput) as error:
            text = error.message if isinstance(error, BadInput) else str(error)
            return [
                *problems,
                Problem(where, [text, "what follows was not played"]),
            ], cast.outcome()
        if step.expect is not None:
            problems += _describe_problems(
                (*where, "expect"), compare_outcome(step.expect, cast.outcome())
            )
    if scenario.expect is not None:
        problems += _describe_problems(
            ("expect",), compare_outcome(scenario.expect, cast.outcome())
        )
    return problems, cast.outcome()


def _describe_problems(where: Where, differences: list[Difference]) -> Iterator[Problem]:
    for difference in differences:
        yield Problem((*where, *difference.where), difference.lines)


class _ScenarioStage:
    """A stage, and who was on it so far."""

    def __init__(self, policy: CompiledPolicy, scenario: Scenario) -> None:
        self._policy = policy
        self._stage = Stage(policy)
        self._start_ms = round(scenario.start.timestamp() * 1000)
        self._since_ms: dict[
            str, int
        ] = {}  # of what fires: a sender repeats an alert with its first start
        self._silences = 0
        self._bodies: list[Body] = []
        self._read = 0  # effects whose bodies are known

    def outcome(self) -> ScenarioOutcome:
        """What came of it until now."""
        self._bodies += bodies_of(self._stage.effects[self._read :])
        self._read = len(self._stage.effects)
        return ScenarioOutcome(self._bodies, self._start_ms)

    def do(self, step: Step) -> None:
        """Let time pass until the step, and do it. Raises BadInput and _Unplayable."""
        at_ms = self._start_ms + step.at
        self._stage.wait_until(at_ms)
        for labels in step.fire or ():
            self._append_record(at_ms, *self._alert_record(step, at_ms, labels, firing=True))
        for labels in step.end or ():
            self._append_record(at_ms, *self._alert_record(step, at_ms, labels, firing=False))
        if step.silence is not None:
            self._silences += 1
            name = f"silence-{self._silences}"
            silence = Silence(
                name, tuple(step.silence), at_ms, at_ms + step.lasts, step.by, step.text or ""
            )
            self._append_record(at_ms, None, encode_silence(silence))
        if step.command is not None:
            self._append_record(at_ms, *self._command_record(step, at_ms))

    def _append_record(self, at_ms: int, key: bytes | None, value: bytes) -> None:
        self._stage.append(StoredRecord(-1, at_ms, key, value))

    def _alert_record(
        self, step: Step, at_ms: int, labels: Labels, *, firing: bool
    ) -> tuple[bytes, bytes]:
        known = labels_of(dict(labels), "fire" if firing else "end")
        identity = fingerprint(known)
        since_ms = self._since_ms.setdefault(identity, at_ms)
        if not firing:
            del self._since_ms[identity]
        ttl_ms = HOLD_MS if step.ttl is None else step.ttl
        annotations = {"summary": step.summary} if step.summary else {}
        ends_ms, ttl_ms = (0, ttl_ms) if firing else (at_ms, 0)
        alert = Alert(identity, known, annotations, firing, since_ms, ends_ms, ttl_ms)
        return self._policy.place(known, identity).key.encode(), encode_alert(alert)

    def _command_record(self, step: Step, at_ms: int) -> tuple[bytes, bytes]:
        name = step.command
        assert name is not None
        reference = step.reference(name)
        assert reference is not None
        incident = self._resolve_reference(name, reference)
        details = {
            item: getattr(step, item)
            for item in ("text", "to", "team", "scope", "eta", "number", "step", "task")
        }
        if step.into is not None:
            details["into"] = self._resolve_reference("into", step.into).id
        body = {"by": step.by, "verdict": step.verdict and str(step.verdict), **details}
        given = {item: value for item, value in body.items() if value is not None}
        teams = self._policy.policy.teams
        return incident.id.encode(), command_value(
            incident.id, name, given, at_ms, teams, lambda by: by
        )

    def _resolve_reference(self, name: str, reference: int | str) -> Incident:
        known = self.outcome().incidents
        for incident in reversed(known):
            if incident.fits(reference):
                return incident
        opened = ", ".join(map(str, known)) or "none has opened"
        raise _Unplayable(
            f"{name}: is {reference!r}, must be an incident that has opened by then: {opened}"
        )
