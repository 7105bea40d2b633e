"""`tocsin record --from-alertmanager-events`: a recording of what an Alertmanager did, and what it cannot tell."""

import argparse
import asyncio
import json
import shlex
import sys
from pathlib import Path

from app import settings
from app.core.rules.compiled_policy import CompiledPolicy
from app.files import policy_file
from app.history.not_retained import NotRetained
from app.replay.alertmanager_events import span_text, unknown_lines
from app.replay.events_recording import EventsRecording, lines_of, record_events
from app.replay.events_topic import is_topic, read_topic
from app.settings import Settings
from models.text.sanitize import inert

_OF_A_JOURNAL = ("partition", "first", "end", "incident", "journal")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `record` that are about an Alertmanager's events."""
    parser.add_argument(
        "--from-alertmanager-events",
        metavar="EVENTS",
        action="append",
        dest="events",
        help="JSON lines of an Alertmanager's event recorder, instead of a journal; several of a cluster; "
        "a file, or kafka://HOST:PORT/TOPIC",
    )
    parser.add_argument(
        "--policy",
        metavar="FILE",
        help="with --from-alertmanager-events: the policy of the recording",
    )


def run(arguments: argparse.Namespace, path: Path) -> int:
    """Write the recording. Raises NotRetained and BadFile."""
    given = [name for name in _OF_A_JOURNAL if getattr(arguments, name)]
    if given:
        names = {"first": "from", "end": "to"}
        raise NotRetained(
            f"--{names.get(given[0], given[0])} is of a journal: leave it out with --from-alertmanager-events"
        )
    config = settings.from_environment()
    named = arguments.policy or config.policy_file
    policy = policy_file.load_policy(Path(named)) if named else policy_file.load_policy()
    lines = asyncio.run(_read_events(arguments.events, config))
    done = record_events(arguments.events, lines, policy, path)
    _print_summary(done, path, policy, as_json=arguments.json)
    return 0


async def _read_events(names: list[str], config: Settings) -> list[bytes]:
    """The events in files and topics. Raises NotRetained and LogUnavailable."""
    lines: list[bytes] = []
    for name in names:
        lines += await read_topic(name, config) if is_topic(name) else lines_of(Path(name))
    return lines


def _print_summary(
    done: EventsRecording, path: Path, policy: CompiledPolicy, *, as_json: bool
) -> None:
    counts, out = done.counts, sys.stderr if as_json else sys.stdout
    events = ", ".join(f"{number} {kind}" for kind, number in sorted(counts.kinds.items()))
    told = ", ".join(
        f"{receiver} {number}" for receiver, number in counts.notifications.most_common(20)
    )
    lines = [
        f"{path}: {len(done.records):,} records, {done.size:,} bytes, {span_text(done.records)}; {counts.alerts} alerts fired",
        f"Events: {events}",
        f"Alertmanager notified: {told or 'nobody'}",
        "What the stream cannot tell:",
        *(f"- {line}" for line in unknown_lines(counts)),
        f"Try a policy on it: tocsin replay --journal {shlex.quote(str(path))} --policy my-policy.yaml",
    ]
    for line in lines:
        print(inert(line), file=out)
    if as_json:
        document = {
            "records": len(done.records),
            "bytes": done.size,
            "alerts": counts.alerts,
            "still_firing": counts.still_firing,
            "refused": counts.refused,
            "events": dict(counts.kinds),
            "notifications": dict(counts.notifications),
            "policy": policy.fingerprint,
        }
        print(json.dumps(document))
