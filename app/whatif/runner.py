"""What another policy would have made of a recorded journal: the same alerts, words and minutes, other decisions.

Two runs, or three, take the journal in step: that of the recorded policies, which knows what
commands meant; the one that is compared with, if a policy is named for it; and the one of the new
policy. The journal is only read.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from app.core.rules.compiled_policy import CompiledPolicy
from app.history.policies import UnreadablePolicy, compile_recorded, policy_in_state
from app.transport.log import Readable
from app.whatif.addressees import UnaddressedCommand, address_command, left_out, meaning_of
from app.whatif.inputs import InputKind, InputStep, MergedJournal
from app.whatif.journal_scan import JournalScan, NotReplayable, scan_journal
from app.whatif.run import Run, RunPoisoned
from models.topics import Topics

FAULTS_MAX = 20  # of ours, each of which makes all runs begin anew


@dataclass(slots=True)
class PlayedRuns:
    """What came of it.

    `before` and `after` have ended; `left_out` are the commands that `after` had no incident for.
    """

    survey: JournalScan
    before: Run
    after: Run
    left_out: list[UnaddressedCommand] = field(default_factory=list)
    unknown: int = 0  # commands about incidents that the record does not know
    notes: list[str] = field(
        default_factory=list
    )  # what somebody who reads the comparison has to know


async def play_policies(
    log: Readable,
    topics: Topics,
    partitions: int,
    policy: CompiledPolicy,
    against: CompiledPolicy | None,
    told: Callable[[int, int], None],
) -> PlayedRuns:
    """Run the journal under both policies; `against` None is the recorded ones. Raises NotReplayable and LogUnavailable.

    `told` hears how many records are done, of how many.
    """
    scan = await scan_journal(log, topics.journal, partitions)
    if not scan.records:
        raise NotReplayable(f"{topics.journal} has no records: nothing can be replayed")
    notes: list[str] = []
    first = await _first_policy(log, topics, scan, policy, notes)
    _note_beginning(scan, notes)
    runs = _Runs(scan, first, policy, against)
    while True:
        try:
            played = await _play_runs(MergedJournal(log, topics.journal, scan), scan, runs, told)
        except RunPoisoned as fault:
            runs.skip(fault)
        else:
            played.notes += notes + runs.notes()
            return played


async def _play_runs(
    merged: MergedJournal, scan: JournalScan, runs: "_Runs", told: Callable[[int, int], None]
) -> PlayedRuns:
    recorded, compared = runs.begin()
    played = PlayedRuns(scan, compared[0], compared[-1])
    others = [run for run in compared if run is not recorded]
    done = 0
    await merged.start()
    while steps := await merged.steps():
        for step in steps:
            runs.at = None
            if step.kind is InputKind.COMMAND and recorded is not None:
                _play_command(step, recorded, others, played, runs)
                continue
            for run in runs.all:
                runs.at = run
                run.take(step)
        done += len(steps)
        told(done, scan.records)
    return played


def _play_command(
    step: InputStep, recorded: Run, others: Sequence[Run], played: PlayedRuns, runs: "_Runs"
) -> None:
    meaning = meaning_of(recorded, step)
    if meaning is None:
        for run in runs.all:
            runs.at = run
            run.take(step, (step.partition, step.record.value or b""))
        return
    played.unknown += meaning.incident is None
    for run in others:
        command = address_command(meaning, run)
        if command is None and run is played.after:
            played.left_out.append(left_out(meaning))
        runs.at = run
        run.take(step, command)
    runs.at = recorded
    recorded.take(step, address_command(meaning, recorded))


class _Runs:
    """How the runs are made, and made again where one of them met a fault of ours."""

    def __init__(
        self,
        scan: JournalScan,
        first: CompiledPolicy,
        policy: CompiledPolicy,
        against: CompiledPolicy | None,
    ) -> None:
        self._found, self._first = scan, first
        # The recorded policies first, if anybody needs them: to compare with, or to know what
        # commands meant.
        self._policies: list[CompiledPolicy | None] = (
            [None] if against is None or scan.commands else []
        )
        self._policies += [policy] if against is None else [against, policy]
        self._compared = 2
        self._faults: list[tuple[int, RunPoisoned]] = []  # the number of the run, and what happened
        self.all: list[Run] = []
        self.at: Run | None = None  # the one that is at work

    def begin(self) -> tuple[Run | None, list[Run]]:
        """New runs: that of the recorded policies, and the two that are compared."""
        self.all = [self._make_run(number, policy) for number, policy in enumerate(self._policies)]
        recorded = self.all[0] if self._policies[0] is None else None
        return recorded, self.all[-self._compared :]

    def _make_run(self, number: int, policy: CompiledPolicy | None) -> Run:
        recorded = [document.get("components") for _, _, document in self._found.policies]
        recorded.append(self._first.document["components"])
        rekeyed = policy is not None and any(
            item != policy.document["components"] for item in recorded
        )
        poisons = [
            (fault.partition, fault.poison) for which, fault in self._faults if which == number
        ]
        return Run(policy, self._first, self._found, rekeyed=rekeyed, poisons=poisons)

    def skip(self, fault: RunPoisoned) -> None:
        """Have the run that failed pass over what made it, the next time. Raises NotReplayable."""
        if self.at is None or len(self._faults) >= FAULTS_MAX:
            raise NotReplayable(f"a fault of Tocsin, report it: {fault}") from fault
        self._faults.append((self.all.index(self.at), fault))

    def notes(self) -> list[str]:
        """What is to be said of the faults, and of a record that does not come out as it was."""
        notes = [
            f"passed over, as a dead letter, a fault of Tocsin: {fault.poison.message}"
            for _, fault in self._faults
        ]
        if self._policies[0] is None and self.all[0].empty_slots:
            number, total = self.all[0].empty_slots, len(self._found.causes)
            notes.append(
                f"{number} of the {total} messages between actors in the record do not come about under the recorded policy: "
                "another version of Tocsin made them, or they follow from what was before the record"
            )
        return notes


async def _first_policy(
    log: Readable, topics: Topics, scan: JournalScan, policy: CompiledPolicy, notes: list[str]
) -> CompiledPolicy:
    """The policy that the recorded journal began under.

    It is the first record of each partition, unless that is gone.
    """
    if scan.policies:
        _, (partition, offset), document = min(scan.policies, key=lambda item: item[0])
        if offset > scan.spans[partition].start:
            notes.append(
                f"the policy of before the record {partition}:{offset} is gone: the one in there is taken for it"
            )
        where = f"the policy in the record {partition}:{offset}"
        try:
            return compile_recorded(document, where)
        except UnreadablePolicy as error:
            raise _not_replayable(where, error) from None
    for partition in range(scan.partitions):
        try:
            kept = await policy_in_state(log, topics.state, partition)
        except UnreadablePolicy as error:
            where = f"the policy in the state of partition {partition}"
            raise _not_replayable(where, error) from None
        if kept is not None:
            return kept
    notes.append("the journal tells no policy: the new one is taken for what was in force")
    return policy


def _not_replayable(where: str, error: UnreadablePolicy) -> NotReplayable:
    return NotReplayable(
        f"{where} is not one that this Tocsin reads ({error.key}: {error.problem}): "
        "replay it with the version that wrote it"
    )


def _note_beginning(scan: JournalScan, notes: list[str]) -> None:
    """Say so when the journal's beginning is gone.

    Both runs begin with nothing known, where what is kept begins.
    """
    gone = [
        f"{partition}:{span.start}"
        for partition, span in enumerate(scan.spans)
        if span.start < span.end and span.start
    ]
    if gone:
        since = ", ".join(gone[:8]) + (" and so on" if len(gone) > 8 else "")
        notes.append(
            f"the record has not the journal's beginning, but what is from {since} on: both runs begin there, "
            "and know nothing of alerts, incidents and silences of before"
        )
    if scan.absent:
        absent = ", ".join(str(partition) for partition in sorted(scan.absent))
        notes.append(
            f"the record has not the partitions {absent}: messages from there are taken as they were, those to there are left "
            "out, so what their rules and receivers would have done otherwise is not in the comparison"
        )
