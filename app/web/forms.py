"""What somebody can do with an incident: a form each, with its fields."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from app.core.rules.compiled_policy import CompiledPolicy
from models.command import Command, Verdict
from models.events_other import TaskState
from models.incident import State

Document = dict[str, Any]


class FieldKind(StrEnum):
    """How a field is filled in."""

    TEXT = "text"
    LINES = "lines"
    CHOICE = "choice"
    NUMBER = "number"


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a form."""

    name: str
    label: str
    kind: FieldKind = FieldKind.TEXT
    required: bool = False
    hint: str = ""
    choices: tuple[tuple[str, str], ...] = ()  # value and words


@dataclass(frozen=True, slots=True)
class ActForm:
    """A command as a form. `key` is what a keyboard opens it with."""

    command: Command
    verb: str
    does: str  # a sentence
    states: frozenset[State]  # in which it is offered
    fields: tuple[Field, ...] = ()
    key: str = ""
    main: tuple[State, ...] = ()  # in which it is the next thing to do


_ALIVE = frozenset({State.OPEN, State.ACKNOWLEDGED})
_NOT_CLOSED = _ALIVE | {State.RESOLVED}
_TEXT = Field("text", "Comment", hint="optional")
_FIELD_NUMBERS = ("step", "number")


def _text(label: str, *, required: bool = True) -> Field:
    return Field("text", label, FieldKind.LINES, required=required)


FORMS: tuple[ActForm, ...] = (
    ActForm(
        Command.ACKNOWLEDGE,
        "Acknowledge",
        "States that you are working on it. Escalation stops.",
        _ALIVE,
        (_TEXT,),
        "a",
        (State.OPEN,),
    ),
    ActForm(
        Command.UPDATE,
        "Update",
        "Sends an update to the team.",
        _NOT_CLOSED,
        (_text("How it goes"), Field("eta", "Over in", hint="such as 30m; optional")),
        "u",
    ),
    ActForm(
        Command.NOTE,
        "Note",
        "Adds a note to the timeline. Nobody is notified.",
        _NOT_CLOSED,
        (_text("Note"),),
        "n",
    ),
    ActForm(
        Command.ASSIGN,
        "Assign",
        "Gives it to a person, to another team, or to both.",
        _ALIVE,
        (
            Field("to", "Person", FieldKind.CHOICE),
            Field("team", "Team", FieldKind.CHOICE),
            _TEXT,
        ),
        "g",
    ),
    ActForm(
        Command.ASSESS,
        "Assess",
        "States whether it is genuine, and what is affected.",
        _NOT_CLOSED,
        (
            Field(
                "verdict",
                "It is",
                FieldKind.CHOICE,
                required=True,
                choices=tuple(
                    (verdict.value, verdict.value.replace("-", " ")) for verdict in Verdict
                ),
            ),
            Field("scope", "What is affected", hint="optional"),
        ),
    ),
    ActForm(
        Command.MITIGATE,
        "Mitigated",
        "The impact has ended. The cause may remain.",
        _ALIVE,
        (_TEXT,),
        "m",
    ),
    ActForm(
        Command.ROOT_CAUSE,
        "Root cause",
        "States what caused it.",
        frozenset(State),
        (_text("Root cause"),),
        "c",
    ),
    ActForm(
        Command.ESCALATE,
        "Escalate",
        "Calls the next step of the chain, or the step that you choose.",
        _ALIVE,
        (Field("step", "Whom", FieldKind.CHOICE), _TEXT),
        "e",
    ),
    ActForm(
        Command.COMPLAINT,
        "Complaints",
        "Counts complaints of customers.",
        _ALIVE,
        (Field("number", "How many", FieldKind.NUMBER, required=True),),
    ),
    ActForm(
        Command.RESOLVE,
        "Resolve",
        "Marks the incident as resolved.",
        _ALIVE,
        (_TEXT,),
        "r",
        (State.ACKNOWLEDGED,),
    ),
    ActForm(
        Command.REOPEN,
        "Reopen",
        "Opens the resolved incident again.",
        frozenset({State.RESOLVED}),
        (_TEXT,),
        "o",
    ),
    ActForm(
        Command.CLOSE,
        "Close",
        "Closes the incident now, without waiting for close_after.",
        frozenset({State.RESOLVED}),
        (_TEXT,),
        "x",
        (State.RESOLVED,),
    ),
    ActForm(
        Command.MERGE,
        "Merge",
        "Makes it a part of another incident. It keeps quiet while somebody is notified of that.",
        _ALIVE,
        (Field("into", "Into", required=True, hint="the id of the other incident"), _TEXT),
    ),
    ActForm(
        Command.SPLIT,
        "Split off",
        "Lets it stand alone again. It is notified like an opening if nobody was.",
        _ALIVE,
        (_TEXT,),
    ),
    ActForm(
        Command.DONE,
        "Task done",
        "Marks a follow-up task as done.",
        frozenset(State),
        (Field("task", "Task", FieldKind.CHOICE, required=True), _TEXT),
        "d",
    ),
)
FORM_OF = {form.command: form for form in FORMS}


@dataclass(frozen=True, slots=True)
class FilledForm:
    """A form of one incident, with what somebody has filled in, and what is wrong with it."""

    form: ActForm
    fields: tuple[Field, ...]
    values: Mapping[str, str] = field(default_factory=dict)
    problem: str = ""


def forms_for(
    snapshot: Document, policy: CompiledPolicy, tasks: Sequence[Document] = ()
) -> list[FilledForm]:
    """The forms that the incident's state and its tasks allow, in their order."""
    state = State(snapshot["state"])
    has_open_task = any(task["state"] == TaskState.OPEN for task in tasks)
    return [
        fill(form, snapshot, policy, tasks)
        for form in FORMS
        if state in form.states
        and (form.command is not Command.DONE or has_open_task)
        and (form.command is not Command.SPLIT or snapshot["parents"])
    ]


def fill(
    form: ActForm,
    snapshot: Document,
    policy: CompiledPolicy,
    tasks: Sequence[Document] = (),
    values: Mapping[str, str] | None = None,
    problem: str = "",
) -> FilledForm:
    """A form with the choices that an incident's policy and its tasks leave."""
    choices = _choices(snapshot, policy, tasks)
    fields = tuple(
        replace(field_, choices=field_.choices or choices.get(field_.name, ()))
        for field_ in form.fields
    )
    return FilledForm(form, fields, values or {}, problem)


def _choices(
    snapshot: Document, policy: CompiledPolicy, tasks: Sequence[Document]
) -> dict[str, tuple[tuple[str, str], ...]]:
    owner = policy.owner_known(snapshot["owner"])
    contacts = policy.policy.contacts
    chain = policy.policy.teams[owner].chain
    people = [*chain, *(name for name in contacts if name not in chain)]
    return {
        "to": (("", "nobody"), *((name, contacts[name].name) for name in people)),
        "team": (("", f"as it is ({owner})"), *((team, team) for team in policy.policy.teams)),
        "step": (
            ("", "the next step"),
            *((str(n), f"{n}. {contacts[name].name}") for n, name in enumerate(chain, start=1)),
        ),
        "task": tuple(
            (task["name"], task["title"]) for task in tasks if task["state"] == TaskState.OPEN
        ),
    }


def document_of(form: ActForm, values: Mapping[str, str], by: str) -> Document:
    """The body of the command, as the API takes it. An empty field is left out."""
    document: Document = {"by": by}
    for item in form.fields:
        text = values.get(item.name, "").replace("\r\n", "\n").strip()
        if item.name in _FIELD_NUMBERS and text.isascii() and text.isdecimal() and len(text) < 10:
            document[item.name] = int(text)
        elif text:
            document[item.name] = text
    return document
