"""The table of commands: what there is, in the order in which help shows it.

A command's module is imported when that command is asked for. It has
`add_arguments(parser, name)`, which adds the command's arguments and sets `run`.
"""

from typing import NamedTuple

INCIDENT = "INC-20260412T031502Z-00K3F"  # in examples
PART = "INC-20260412T031630Z-00K41"


class CommandEntry(NamedTuple):
    """A command: its name of one or two words, its help, and an example without `tocsin`."""

    name: str
    help: str
    module: str
    example: str
    alias: str = ""


class Section(NamedTuple):
    """Commands that somebody uses for one purpose."""

    title: str
    commands: tuple[CommandEntry, ...]


_OPERATE, _SILENCE, _INCIDENTS = "app.cli.incident_commands", "app.cli.silence", "app.cli.incidents"
_REPORT, _LETTERS = "app.cli.report", "app.cli.deadletters"

_LOOK = Section(
    "Look",
    (
        CommandEntry(
            "incidents list",
            "list the incidents that are not closed",
            _INCIDENTS,
            "incidents list --all --json",
        ),
        CommandEntry(
            "incidents show",
            "show one incident and its timeline",
            _INCIDENTS,
            f"incidents show {INCIDENT}",
        ),
        CommandEntry(
            "timeline",
            "draw one incident: alerts, people, escalations, messages",
            "app.cli.timeline",
            f"timeline {INCIDENT} --html postmortem.html",
        ),
        CommandEntry(
            "report",
            "write the incident report, in Markdown or JSON",
            _REPORT,
            f"report {INCIDENT}",
        ),
        CommandEntry("followups", "list what closed incidents left to do", _REPORT, "followups"),
        CommandEntry(
            "availability",
            "show how much of a month services were up",
            _REPORT,
            "availability --month 2026-11",
        ),
        CommandEntry(
            "explain",
            "explain why somebody was paged, or nobody was",
            "app.cli.explain",
            f"explain {INCIDENT}",
        ),
    ),
)

_ACT = Section(
    "Act on an incident",
    (
        CommandEntry(
            "open",
            "open an incident by hand",
            "app.cli.open_incident",
            'open "checkout is slow" --team platform --severity P1',
        ),
        CommandEntry(
            "acknowledge",
            "take an incident, which stops its escalation",
            _OPERATE,
            f'ack {INCIDENT} "looking into it"',
            "ack",
        ),
        CommandEntry(
            "assign",
            "give an incident to a person or another team",
            _OPERATE,
            f"assign {INCIDENT} bob --team data",
        ),
        CommandEntry(
            "assess",
            "record whether it is genuine, and what is affected",
            _OPERATE,
            f'assess {INCIDENT} genuine --scope "a tenth of the users"',
        ),
        CommandEntry(
            "note",
            "write a note into the timeline",
            _OPERATE,
            f'note {INCIDENT} "replica 2 is back"',
        ),
        CommandEntry(
            "root-cause",
            "record the root cause, also after the incident is closed",
            _OPERATE,
            f'root-cause {INCIDENT} "a migration held a lock"',
        ),
        CommandEntry(
            "mitigate",
            "record that the worst is over",
            _OPERATE,
            f'mitigate {INCIDENT} "traffic moved to the other region"',
        ),
        CommandEntry(
            "update",
            "send an update to those who wait",
            _OPERATE,
            f'update {INCIDENT} "restarting replicas" --eta 30m',
        ),
        CommandEntry(
            "complaint",
            "count complaints of customers",
            _OPERATE,
            f"complaint {INCIDENT} --number 3",
        ),
        CommandEntry(
            "escalate",
            "notify the next step of the chain, or the one named",
            _OPERATE,
            f'escalate {INCIDENT} --step 4 "we need a decision"',
        ),
        CommandEntry(
            "resolve",
            "mark an incident as resolved",
            _OPERATE,
            f'resolve {INCIDENT} "rolled back"',
        ),
        CommandEntry(
            "reopen", "open a resolved incident again", _OPERATE, f'reopen {INCIDENT} "it is back"'
        ),
        CommandEntry(
            "merge",
            "make another incident a part of this one",
            _OPERATE,
            f'merge {INCIDENT} {PART} "the same cause"',
        ),
        CommandEntry(
            "split",
            "let a part of an incident stand alone again",
            _OPERATE,
            f"split {INCIDENT} checkout",
        ),
        CommandEntry("close", "close a resolved incident now", _OPERATE, f"close {INCIDENT}"),
        CommandEntry(
            "done",
            "mark a follow-up task as done",
            _OPERATE,
            f'done {INCIDENT}.review "held on Tuesday"',
        ),
    ),
)

_SILENCES = Section(
    "Silences",
    (
        CommandEntry(
            "silence add",
            "suppress matching alerts for a time",
            _SILENCE,
            "silence add alertname=SlowDisk --for 2h",
        ),
        CommandEntry(
            "silence list",
            "list the silences that have not ended",
            _SILENCE,
            "silence list --json",
        ),
        CommandEntry(
            "silence expire",
            "end a silence now",
            _SILENCE,
            "silence expire 3b241101-e2bb-4255-8caf-4136c566a962",
        ),
    ),
)

_REFUSED = Section(
    "Refused records",
    (
        CommandEntry(
            "deadletters list",
            "list what was refused, the newest last",
            _LETTERS,
            "deadletters list --reason malformed",
        ),
        CommandEntry(
            "deadletters show",
            "show one dead letter",
            _LETTERS,
            "deadletters show 3-1234-0 --raw > record",
        ),
        CommandEntry(
            "deadletters resubmit",
            "send refused alerts to the bridge again; they count as received now",
            "app.cli.deadletters_resubmit",
            "deadletters resubmit --reason bound_reached --dry-run",
        ),
    ),
)

_POLICY = Section(
    "Policy",
    (
        CommandEntry(
            "policy check",
            "check a policy file: every mistake, and what is doubtful",
            "app.cli.policy_check",
            "policy check --strict policies/default.yaml",
        ),
        CommandEntry(
            "policy test",
            "run policy tests on virtual time (docs/POLICY_TESTS.md)",
            "app.cli.policy_test",
            "policy test policies/tests/ --junit results.xml",
        ),
        CommandEntry(
            "policy explain",
            "show what the policy decides about an alert, and by which line",
            "app.cli.policy_explain",
            "policy explain --labels severity=critical,component=postgres"
            " --at 2026-12-25T03:00:00+01:00",
        ),
        CommandEntry(
            "policy diff",
            "compare two policies by meaning; status 0 if equal, 1 if not, 2 in trouble",
            "app.cli.policy_diff",
            "policy diff policies/default.yaml my-policy.yaml --alerts alerts.jsonl",
        ),
        CommandEntry(
            "policy routes",
            "draw the policy: severities, channels, teams and their chains",
            "app.cli.policy_routes",
            "policy routes policies/default.yaml --html routes.html",
        ),
        CommandEntry(
            "policy schema",
            "print the JSON Schema of a policy, for editors",
            "app.cli.policy_schema",
            "policy schema > policy.schema.json",
        ),
        CommandEntry(
            "policy init",
            "ask five questions, and write a policy and a receivers file",
            "app.cli.policy_init",
            "policy init my-policy.yaml",
        ),
        CommandEntry(
            "policy import",
            "make a policy of an Alertmanager configuration",
            "app.cli.policy_import",
            "policy import alertmanager.yml --output my-policy.yaml",
        ),
        CommandEntry(
            "compare-alertmanager",
            "compare whom an Alertmanager and Tocsin notify now",
            "app.cli.compare_alertmanager",
            "compare-alertmanager http://localhost:9093",
        ),
    ),
)

_JOURNAL = Section(
    "Journal",
    (
        CommandEntry(
            "record",
            "write the journal, or a part of it, into one file",
            "app.cli.replay",
            f"record night.tocsin --incident {INCIDENT}",
        ),
        CommandEntry(
            "replay",
            "feed a journal to the engine again, and compare the result",
            "app.cli.replay",
            "replay --journal night.tocsin --verify",
        ),
    ),
)

_NOTIFY = Section(
    "Notifications",
    (
        CommandEntry(
            "notify check",
            "check a receivers file: every mistake, and secrets that are missing",
            "app.cli.notify",
            "notify check receivers.yaml",
        ),
        CommandEntry(
            "notify test",
            "send one test message to a contact, through each of its receivers",
            "app.cli.notify",
            "notify test ops-primary",
        ),
        CommandEntry(
            "notify preview",
            "show the newest message about an incident, as a receiver gets it",
            "app.cli.notify",
            f"notify preview {INCIDENT} --channel slack",
        ),
        CommandEntry(
            "notify schema",
            "print the JSON Schema of a receivers file, for editors",
            "app.cli.notify",
            "notify schema > receivers.schema.json",
        ),
    ),
)

_RUN = Section(
    "Run",
    (
        CommandEntry("up", "run worker, bridge and notifier in one process", "app.cli.serve", "up"),
        CommandEntry(
            "worker",
            "run a worker: journal to effects",
            "app.cli.serve",
            "worker",
        ),
        CommandEntry("bridge", "run a bridge: HTTP to journal", "app.cli.serve", "bridge"),
        CommandEntry(
            "notifier",
            "run a notifier: notifications to PagerDuty, Slack, mail and other receivers",
            "app.cli.serve",
            "notifier --dry-run",
        ),
        CommandEntry(
            "backup",
            "copy an embedded journal into one file, while it is used",
            "app.cli.backup",
            "backup /var/backups/tocsin-2026-11-30.db",
        ),
        CommandEntry(
            "restore",
            "put a backup into a folder that has no journal",
            "app.cli.backup",
            "restore /var/backups/tocsin-2026-11-30.db --to /var/lib/tocsin",
        ),
        CommandEntry(
            "doctor",
            "check an installation: what is wrong, and what to do; status 1 if something is",
            "app.cli.doctor",
            "doctor --json",
        ),
        CommandEntry(
            "demo",
            "play a bad day and a storm, without a broker",
            "app.cli.demo",
            "demo --input alerts.jsonl",
        ),
    ),
)

SECTIONS = (_RUN, _LOOK, _ACT, _SILENCES, _NOTIFY, _REFUSED, _POLICY, _JOURNAL)
COMMANDS = {entry.name: entry for section in SECTIONS for entry in section.commands}
ALIASES = {entry.alias: entry.name for entry in COMMANDS.values() if entry.alias}
