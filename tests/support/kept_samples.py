"""Samples of what Tocsin keeps in format 1: the state of a partition, and a journal record of each kind.

    python -m tests.support.kept_samples

writes them anew into tests/data. From the first release on that is wrong: they are what was written
once, and every later version has to read them.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import orjson

from app.core.rules.compiled_policy import CompiledPolicy
from app.core.state import signals
from app.core.state.changelog import POLICY
from app.core.state.members import Member
from app.core.state.poison import DueTimer, Poison
from app.intake.commands import resubmitted_record
from app.policy.simulator import Stage
from app.transport.log import Headers, StoredRecord
from models.alert import Alert, fingerprint
from models.journal import (
    TICK,
    Source,
    encode_alert,
    encode_alerts,
    encode_command,
    encode_expected,
    encode_member,
    encode_page,
    encode_policy,
    encode_receipt,
    encode_refused,
    encode_signal,
    encode_silence,
    encode_suppression,
)
from models.matcher import parse_matcher
from models.severity import Severity
from models.silence import Silence
from tests.support.scenario import keep, records_of
from tests.support.shipped_policy import shipped

DATA = Path(__file__).parents[1] / "data"
STATE = DATA / "state_format_1.json"
JOURNAL = DATA / "journal_format_1.jsonl"
NOW_MS = 1_776_000_000_000
INCIDENT = "INC-20260412T132000Z-000"

# Everything that a partition can know of: see `app.core.state.changelog` for the kinds of keys.
STORY = """
0s   fire alertname=HighErrorRate component=api severity=critical
1m   acknowledge INC-20250615T150640Z-000 ann "on it"
2m   end alertname=HighErrorRate component=api severity=critical
30m  fire alertname=Watchdog component=prometheus severity=none
30m  fire alertname=SlowDisk component=db severity=high
30m  silence s1 6h ann alertname=SlowDisk
30m  fire alertname=HostDown component=n1 instance=n1 severity=high
30m  fire alertname=DiskFull component=app instance=n1 severity=warning summary="90 % full"
30m  fire alertname=OllamaDown component=ollama severity=critical
31m  fire alertname=AgentDown agent_name=planner severity=warning
31m  fire alertname=AgentDown agent_name=critic severity=warning
31m  fire alertname=AgentDown agent_name=tutor severity=warning
32m  fire alertname=BruteForce component=vpn severity=high
33m  fire alertname=Odd component=e severity=strange
34m  fire alertname=A component=a namespace=shop severity=warning
34m  fire alertname=B component=b severity=warning
34m  fire alertname=C component=c severity=warning
34m  fire alertname=D component=d severity=warning
34m  fire alertname=F component=f severity=warning
34m  fire alertname=G component=g severity=warning
34m  fire alertname=LowDisk component=h severity=info
35m  acknowledge INC-20250615T153640Z-00B ann "on it"
35m  assign INC-20250615T153640Z-00B ann to=on-call-sre "the host's owner"
35m  assess INC-20250615T153640Z-00B ann verdict=genuine scope="a tenth of the users"
35m  update INC-20250615T153640Z-00B ann "the host is replaced" eta=20m
35m  complaint INC-20250615T153640Z-00B ann number=2
35m  mitigate INC-20250615T153640Z-00B ann "moved to n2"
35m  root-cause INC-20250615T153640Z-00B ann "a power supply"
35m  end alertname=B component=b severity=warning
35m  fire alertname=B component=b severity=warning
36m  policy POLICY
37m  fire alertname=K component=k severity=warning
37m  fire alertname=L component=l severity=warning
37m  fire alertname=CacheDown component=cache severity=critical
38m  end alertname=CacheDown component=cache severity=critical
39m  fire alertname=CacheDown component=cache severity=critical
40m  end alertname=CacheDown component=cache severity=critical
41m  fire alertname=CacheDown component=cache severity=critical
42m  end alertname=CacheDown component=cache severity=critical
43m  fire alertname=CacheDown component=cache severity=critical
43m  resolve INC-20250615T154040Z-001H ann "over"
43m  fire alertname=N component=n severity=warning
43m  fire alertname=O component=o severity=warning
43m  fire alertname=P component=p severity=warning
43m  fire alertname=R component=r severity=warning
44m  tick
"""


def state_sample() -> dict[bytes, bytes]:
    """The changelog of a partition that knows something of every kind, without the policy."""
    policy = shipped()
    stage = Stage(policy)
    story = STORY.replace("POLICY", orjson.dumps(_change(policy)).decode())
    for record in records_of(story, policy):
        stage.append(record)
    at_ms = stage.engine.state.now_ms
    for role in ("0", "source", "target"):
        stage.append(_early_signal(role, at_ms))
    stage.append(
        StoredRecord(-1, at_ms, None, encode_silence(_noted("s2", 'alertname="Z"', at_ms)))
    )
    expected = encode_expected("alerting-silent", {"alertname": "Watchdog"}, received=False)
    stage.append(StoredRecord(-1, at_ms, None, expected))
    incident = next(iter(stage.engine.state.incidents.values()))
    incident.refused = 1
    stage.engine.state.put_incident(incident)
    _quarantine_next(stage)
    items: dict[bytes, bytes] = {}
    keep(items, stage.engine)
    return {key: value for key, value in items.items() if key != POLICY}


def _noted(name: str, matcher: str, at_ms: int) -> Silence:
    """A silence of a minute with an annotation."""
    times = at_ms, at_ms + 60_000
    return Silence(name, (parse_matcher(matcher),), *times, "ann", "known", {"ticket": "OPS-17"})


def _change(policy: CompiledPolicy) -> dict[str, object]:
    """A rule in another form, nearness, digests soon, and hours in which the cache notifies nobody."""
    rules = [
        rule | ({"count": 4} if rule["name"] == "agents-down" else {})
        for rule in policy.document["correlations"]
    ]
    mute = {"name": "migration", "match": ['component="cache"'], "during": ["window"]}
    window = [{"times": [{"start_time": "15:00", "end_time": "17:00"}]}]
    return {
        "correlations": rules,
        "time_intervals": {"window": window},
        "notify": {"digest": {"messages": 3}, "mute": [mute]},
        "nearness": [{"name": "near"}],
    }


def _early_signal(role: str, at_ms: int) -> StoredRecord:
    """What another partition says of a rule that is not in force here yet."""
    labels = {"alertname": "Early", "component": "c", "role": role}
    member = Member("Early", "c", INCIDENT, Severity.P2, firing=True, record="1-1", labels=labels)
    document = signals.document_of(fingerprint(labels), member)
    value = encode_signal("early", "[]", role, document, "0123456789ab")
    return StoredRecord(-1, at_ms, None, value)


def _quarantine_next(stage: Stage) -> None:
    """Let the next timer be one that made the engine raise."""
    engine = stage.engine
    timer = DueTimer(*engine.state.timers[0])
    engine.skip([Poison(len(stage.journal), timer.at_ms, timer, ValueError())])
    stage.append(StoredRecord(-1, timer.at_ms, None, TICK))


def journal_sample() -> dict[str, tuple[bytes, Headers]]:
    """A record of each kind, value and headers, as this version writes it."""
    labels = {"alertname": "A", "component": "c", "severity": "high"}
    identity = fingerprint(labels)
    member = Member(
        "A", "c", INCIDENT, Severity.P2, firing=True, record="0-1", labels={"component": "c"}
    )
    known = signals.document_of(identity, member)
    silence = _noted("s", 'alertname=~"B.*"', NOW_MS)
    letter = {
        "reason": "malformed",
        "message": "no",
        "topic": "raw",
        "partition": 0,
        "offset": 7,
        "encoding": "utf-8",
    }
    body = {
        "channel": "chat",
        "receiver": "Ops Team",
        "address": "#ops",
        "incident": INCIDENT,
        "title": "t",
    }
    firing = Alert(
        identity,
        labels,
        {"summary": "é"},
        firing=True,
        starts_ms=NOW_MS,
        ends_ms=0,
        ttl_ms=300_000,
        url="u",
    )
    other_labels = {**labels, "alertname": "Other"}
    other = replace(firing, labels=other_labels, fingerprint=fingerprint(other_labels))
    ended = Alert(
        identity, labels, {}, firing=False, starts_ms=NOW_MS, ends_ms=NOW_MS + 1, ttl_ms=0
    )
    actor, raw = (Source("journal", 1, 15, 2).header(),), (Source("raw", 0, 7, 0).header(),)
    _, resubmitted = resubmitted_record("0-15-0", {"by": "ann"}, 1, lambda by: by)
    team = {"contact": {"name": "T", "chat": "#t"}, "chain": ["one"]}
    policy = {
        "version": 1,
        "contacts": {"one": {"name": "One", "pager": "p"}},
        "teams": {"t": team},
        "default_owner": "t",
        "severities": {
            "labels": ["severity"],
            "names": {"high": "P1"},
            "unknown": "P2",
            "missing": "P2",
        },
        "components": {"labels": ["component"]},
        "incidents": {"close_after": "5m", "retain_resolved": "1h"},
        "notify": {"channels": {"P0": ["pager"], "P1": ["chat"], "P2": ["chat"], "P3": []}},
    }
    return {
        "alert": (encode_alert(firing), ()),
        "alerts": (encode_alerts([encode_alert(firing), encode_alert(other)]), ()),
        "raw alert": (encode_alert(firing), raw),
        "command": (encode_command("note", INCIDENT, "ann", text="hm"), ()),
        "receipt": (encode_receipt("0-15-2", INCIDENT, "delivered", "ok"), ()),
        "signal": (encode_signal("node-down", '["n1"]', "target", known), actor),
        "suppression": (
            encode_suppression("r/g", identity, "0-1", {"text": "t", "parent": INCIDENT}),
            actor,
        ),
        "member": (encode_member(INCIDENT, "r", known), actor),
        "expected": (encode_expected("r", {"cluster": "eu"}, received=True), actor),
        "page": (encode_page("P2", "opened", body), actor),
        "silence": (encode_silence(silence), ()),
        "refused": (encode_refused(letter | {"value": "{"}), raw),
        "resubmitted": (resubmitted.value or b"", resubmitted.headers),
        "policy": (encode_policy("0123456789ab", policy), ()),
        "tick": (TICK, ()),
        "ended": (encode_alert(ended), ()),
    }


def kept_state() -> dict[bytes, bytes]:
    """The sample of the state as it was written, with the policy that ships."""
    document: Mapping[str, object] = orjson.loads(STATE.read_bytes())
    items = {key.encode(): orjson.dumps(value) for key, value in document.items()}
    return items | {POLICY: orjson.dumps(shipped().document)}


def kept_journal() -> list[tuple[bytes, Headers]]:
    """The sample of the journal's records as they were written: values and headers."""
    records: list[tuple[bytes, Headers]] = []
    for line in JOURNAL.read_bytes().splitlines():
        header, _, value = line[1:].partition(b" ") if line.startswith(b"@") else (b"", b"", line)
        name, _, text = header.partition(b"=")
        records.append((value, ((name.decode(), text),) if header else ()))
    return records


def _write() -> None:
    lines = [
        f"{orjson.dumps(key.decode()).decode()}:{value.decode()}"
        for key, value in sorted(state_sample().items())
    ]
    STATE.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    JOURNAL.write_bytes(
        b"".join(
            b"".join(b"@%s=%s " % (name.encode(), text) for name, text in headers) + value + b"\n"
            for value, headers in journal_sample().values()
        )
    )


if __name__ == "__main__":
    _write()
