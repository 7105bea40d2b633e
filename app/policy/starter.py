"""A policy and a receivers file for one team, from the answers to five questions.

The rules are those of the policy that ships. Contacts, teams, hours and the pace of escalation
are the answers'.
"""

import json
import re
from dataclasses import dataclass

ROLES = ("first", "second", "manager")
_TITLES = {"first": "On call, first", "second": "On call, second", "manager": "Manager"}
_ID = re.compile(r"[^a-z0-9]+")
# YAML reads these as truth values or as nothing.
_WORDS_OF_YAML = ("y", "n", "yes", "no", "on", "off", "true", "false", "null")
_OWNER = re.compile(r"\bowner: (?!\{)[a-z-]+")
_KUBERNETES = re.compile(
    r"  # On Kubernetes [^\n]*\n|  - name: kubernetes.*?(?=\n  - name: (?!kube))\n", re.DOTALL
)


@dataclass(frozen=True, slots=True)
class Answers:
    """What was answered.

    A role's reach has the keys `pager`, `email` and `chat`. `hours` is a start, an end and a zone.
    """

    team: str
    reach: dict[str, dict[str, str]]
    hours: tuple[str, str, str]
    kubernetes: bool
    next_after_min: int

    @property
    def team_id(self) -> str:
        """The team's name as policies name teams."""
        name = _ID.sub("-", self.team.lower()).strip("-")
        return name if name[0].isalpha() and name not in _WORDS_OF_YAML else f"team-{name}"


def policy_text(answers: Answers, shipped: str) -> str:
    """The policy file's text, from the text of the policy that ships."""
    blocks = {
        "contacts": _contacts(answers),
        "teams": _teams(answers),
        "ownership": "ownership: []\n",
        "default_owner": f"default_owner: {answers.team_id}\n\n",
        "escalate_after": _pace(answers.next_after_min),
        "time_intervals": _hours(answers),
    }
    text = re.sub(r"\A# yaml-language-server[^\n]*\n", "", shipped)
    for key, block in blocks.items():
        text = _with_block(text, key, block)
    text = _OWNER.sub(f"owner: {answers.team_id}", text)
    text = re.sub(r"also_notify: \[[^\]]*\]", "also_notify: [manager]", text)
    text = re.sub(r"^  also_notify: \{P0.*\n", "", text, flags=re.MULTILINE)
    text = text.replace("the CISO and the legal team told", "the manager told")
    text = text.replace("See that the CISO and the legal team know;", "See that the manager knows;")
    text = text.replace("AI agents down", "agents down")
    return text if answers.kubernetes else _KUBERNETES.sub("", text)


def _with_block(text: str, key: str, block: str) -> str:
    """The text with another value of a key of the first level, and the blank line behind it."""
    start = text.index(f"\n{key}:") + 1
    end = re.compile(r"^[a-z#]", re.MULTILINE).search(text, start + 1)
    return text[:start] + block + (text[end.start() :] if end else "")


def receivers_text(answers: Answers) -> str:
    """The receivers file's text: each address, at first through a line of the log."""
    lines = [
        "# How messages reach people. As it stands each is printed as a line by the notifier.",
        "# docs/NOTIFIER_CHANNELS.md has the settings of PagerDuty, Twilio (phone), mail, Slack and",
        "# others: add a receiver, and name it in `through`.",
        "version: 1",
        "receivers:",
        "  log: {terminal: {}}",
        "contacts:",
    ]
    places = dict.fromkeys(
        (channel, address) for role in ROLES for channel, address in answers.reach[role].items()
    )
    lines += [
        f"  - {{channel: {channel}, address: {json.dumps(address)}, through: [log]}}"
        for channel, address in places
    ]
    lines += [
        f"  - {{channel: {channel}, through: [log]}}" for channel in ("pager", "email", "chat")
    ]
    return "\n".join(lines) + "\n"


def _contacts(answers: Answers) -> str:
    lines = [f"  {role}: {_contact(_TITLES[role], answers.reach[role])}" for role in ROLES]
    return "\n".join(["contacts:", *lines]) + "\n\n"


def _teams(answers: Answers) -> str:
    """The one team; its own contact hears by mail and chat, of whoever has them first."""
    shared: dict[str, str] = {}
    for role in ROLES:
        for channel, address in answers.reach[role].items():
            shared.setdefault(channel, address)
    contact = _contact(answers.team, shared)
    return (
        f"teams:\n  {answers.team_id}:\n    contact: {contact}\n"
        f"    chain: [{', '.join(ROLES)}]\n    hours: business-hours\n\n"
    )


def _contact(name: str, reach: dict[str, str]) -> str:
    pairs = [f"name: {json.dumps(name)}", *(f"{key}: {json.dumps(reach[key])}" for key in reach)]
    return "{" + ", ".join(pairs) + "}"


def _pace(minutes: int) -> str:
    """P1 waits at least a quarter of an hour, and P2 an hour, as the shipped policy's do."""
    paces = {"P0": minutes, "P1": max(15, 3 * minutes), "P2": max(60, 12 * minutes)}
    lines = [f"  {name}: [{first}m, {2 * first}m]" for name, first in paces.items()]
    return "\n".join(["escalate_after:", *lines]) + "\n\n"


def _hours(answers: Answers) -> str:
    start, end, zone = answers.hours
    return (
        'time_intervals:\n  business-hours:\n    - weekdays: ["monday:friday"]\n'
        f'      times: [{{start_time: "{start}", end_time: "{end}"}}]\n'
        f"      location: {json.dumps(zone)}\n\n"
    )
