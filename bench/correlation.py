"""How well alerts are grouped, beside naive groupings: `python -m bench.correlation --help`.

An alert that begins to fire (a repeat is none) is given a group by nearness, by each naive grouping
(the same component, the same alertname, any alert; at most so many seconds after the last), and by
a prototype whose path may be given. The groups are compared with the truth:

- ari: the adjusted Rand index (Hubert and Arabie, 1985) over the firings: 1 is equal, 0 is chance
- exact: truths whose firings are one group that has no other; merged: groups with more than one
  truth; split: truths in more than one group; incidents: groups
- joined: the share of firings in a group that has another truth too. Where all alerts are
  independent, this is the share of false joins
- share, purity (with --lines): of the largest truth but the noise, the share of its lines that its
  largest group has, and the share of that group's lines that are its own
- us: processor time for each alert that begins to fire, in microseconds
- messages: notifications, of the engine with a rule of nearness and of the engine without one

A truth file has a line for each line of the alerts, with the name of what the alert belongs to.
"""

import argparse
import csv
import importlib.util
import json
import sys
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from math import comb
from pathlib import Path
from typing import Any, NamedTuple

from app.core.correlation.background import background_hours
from app.core.correlation.near_labels import shared_by
from app.core.correlation.near_sentence import sentence
from app.core.correlation.nearness import FiredAlert, on_ended, on_fired
from app.core.rules.near_tuning import Tuning
from app.core.state.near_memory import NearMemory
from app.core.state.near_state import NearState
from bench.correlation_engine import WEEK_MS, Told, by_engine, policy_with
from bench.correlation_streams import Change, Event, made
from models.text.instant import milliseconds

# As policies/default.yaml has it.
COMPONENT = (
    *("component", "service", "agent_name", "app", "application", "deployment", "statefulset"),
    *("daemonset", "job", "container", "pod", "host", "node", "instance"),
)
URGENT = ("critical", "page", "emergency", "fatal", "high", "major", "error", "P0", "P1")
NOISE = "false_positive"  # as AIT-ADS has it
WINDOWS_S = (300, 900, 3600)


class News(NamedTuple):
    """An alert begins to fire or ends."""

    at_ms: int
    key: str
    labels: dict[str, str]
    change: Change
    truth: str


class Score(NamedTuple):
    """How the groups of a stream compare with its truth."""

    ari: float
    exact: int
    merged: int
    split: int
    incidents: int
    joined: float
    us: float
    messages: int = 0  # of the engine
    share: float = 0.0
    purity: float = 0.0


def main() -> None:
    """Print a table for each stream or file."""
    options = _options()
    groupings = _groupings(options)
    for name, events in _inputs(options):
        news = list(news_of(events, options.expire * 1000 if options.expire else None))
        truths = [item.truth for item in news if item.change is Change.FIRING]
        rows = {}
        for grouping, group in groupings.items():
            began = time.process_time()
            groups = group(news)
            spent = time.process_time() - began
            rows[grouping] = _scored(options, events, news, groups, spent)
        for grouping, rules in (("engine", [{"name": "near"}]), ("engine, no rule", [])):
            began = time.process_time()
            named, messages = by_engine(_told(news), policy_with(rules))
            spent = time.process_time() - began
            numbers = {name: number for number, name in enumerate(dict.fromkeys(named))}
            row = _scored(options, events, news, [numbers[name] for name in named], spent)
            rows[grouping] = row._replace(messages=messages)
        if options.json:
            print(
                json.dumps(
                    {"stream": name, "firings": len(truths)}
                    | {grouping: row._asdict() for grouping, row in rows.items()}
                )
            )
        else:
            _print(name, len(truths), len(set(truths)), rows)


def _scored(
    options: argparse.Namespace,
    events: list[Event],
    news: list[News],
    groups: list[int],
    spent_s: float,
) -> Score:
    """The score of the firings, or with `--lines` of each line, repeats too."""
    if not options.lines:
        return score([item.truth for item in news if item.change is Change.FIRING], groups, spent_s)
    truths, of_lines = lines_of(events, news, groups)
    if options.one_attack:
        truths = [NOISE if truth == NOISE else "attack" for truth in truths]
    row = score(truths, of_lines, spent_s)
    largest = Counter(truth for truth in truths if truth != NOISE).most_common(1)
    if not largest:
        return row
    (truth, number), pairs = largest[0], Counter(zip(truths, of_lines, strict=True))
    group = max(set(of_lines), key=lambda group: (pairs[truth, group], -group))
    mine = pairs[truth, group]
    purity = mine / of_lines.count(group)
    return row._replace(share=round(mine / number, 3), purity=round(purity, 3))


def lines_of(
    events: list[Event], news: list[News], groups: list[int]
) -> tuple[list[str], list[int]]:
    """The truth and the group of each line that fires: the group in which its alert fires then."""
    fired = [item for item in news if item.change is Change.FIRING]
    begins: dict[str, deque[tuple[int, int]]] = defaultdict(deque)
    for item, group in zip(fired, groups, strict=True):
        begins[item.key].append((item.at_ms, group))
    truths, of_lines, now = [], [], dict[str, int]()
    for event in events:
        if event.change is not Change.FIRING:
            continue
        key = json.dumps(event.labels, sort_keys=True)
        while begins[key] and begins[key][0][0] <= event.at_ms:
            now[key] = begins[key].popleft()[1]
        truths.append(event.truth)
        of_lines.append(now[key])
    return truths, of_lines


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--alerts", type=Path, help="JSON lines of alerts as Alertmanager has them")
    parser.add_argument("--truth", type=Path, help="a line for each line of --alerts")
    parser.add_argument("--ait", type=Path, help="the folder with the samples of AIT-ADS")
    parser.add_argument("--stream", default="", help="only the made streams whose name has this")
    parser.add_argument("--prototype", type=Path, help="a Python file with a class Nearness")
    parser.add_argument("--expire", type=int, help="seconds after which an unheard alert expires")
    parser.add_argument("--why", action="store_true", help="print the sentences of nearness too")
    parser.add_argument("--lines", action="store_true", help="score every line, repeats too")
    parser.add_argument("--one-attack", action="store_true", help="all that is no noise is one")
    parser.add_argument("--json", action="store_true", help="one JSON line for each stream")
    return parser.parse_args()


def _inputs(options: argparse.Namespace) -> Iterator[tuple[str, list[Event]]]:
    if options.alerts:
        yield options.alerts.name, from_lines(options.alerts, options.truth)
    elif options.ait:
        yield from _of_ait(options.ait)
    else:
        for name, stream in made().items():
            if options.stream in name:
                yield name, stream()


def from_lines(alerts: Path, truth: Path) -> list[Event]:
    """The events of a file of alerts and its truths, in the order of their times."""
    lines, truths = alerts.read_text().splitlines(), truth.read_text().splitlines()
    if len(lines) != len(truths):
        sys.exit(f"{truth} has {len(truths)} lines, must have {len(lines)}, as many as {alerts}")
    events = []
    for line, name in zip(lines, truths, strict=True):
        alert = json.loads(line)
        resolved = alert.get("status") == "resolved"
        at = alert.get("updatedAt") or alert["endsAt" if resolved else "startsAt"]
        change = Change.RESOLVED if resolved else Change.FIRING
        events.append(Event(milliseconds(at), change, alert["labels"], name))
    return sorted(events, key=lambda event: event.at_ms)


def _of_ait(folder: Path) -> Iterator[tuple[str, list[Event]]]:
    quiet = _rows(folder / "sample_russellmitchell_first2000.csv")
    storm = _rows(folder / "sample_russellmitchell_storm.csv")
    yield "AIT-ADS first 2,000", quiet
    yield "AIT-ADS storm, nothing before", storm
    span_ms = quiet[-1].at_ms - quiet[0].at_ms + 60_000
    repeats = (storm[0].at_ms - quiet[0].at_ms) // span_ms + 1
    before = [
        event._replace(at_ms=event.at_ms + span_ms * number)
        for number in range(repeats)
        for event in quiet
    ]
    yield (
        "AIT-ADS storm after 3 days of the first 2,000 again and again",
        sorted([*before, *storm], key=lambda event: event.at_ms),
    )


def _rows(path: Path) -> list[Event]:
    """The rows as app/demo/recorded.py reads them."""
    signs = ("Att", "Sus", "Ssh", "Nmp", "Mul", "Fbd")
    events = []
    for row in csv.DictReader(path.read_text(errors="replace").splitlines()):
        labels = {"alertname": row["short"], "host": row["host"], "instance": row["ip"]}
        labels["severity"] = "warning" if any(sign in row["short"] for sign in signs) else "notice"
        events.append(
            Event(int(float(row["time"]) * 1000), Change.FIRING, labels, row["time_label"])
        )
    return sorted(events, key=lambda event: event.at_ms)


def news_of(events: Iterable[Event], expire_ms: int | None) -> Iterator[News]:
    """What is new: the begin and the end of alerts, not their repeats. Each alert ends once."""
    heard: dict[str, Event] = {}  # what fires, the one that was not heard of for longest first
    for event in events:
        key = json.dumps(event.labels, sort_keys=True)
        while expire_ms is not None and heard:
            oldest, last = next(iter(heard.items()))
            if event.at_ms - last.at_ms <= expire_ms:
                break
            del heard[oldest]
            at_ms = last.at_ms + expire_ms
            yield News(at_ms, oldest, last.labels, Change.EXPIRED, last.truth)
        known = heard.pop(key, None)
        firing = event.change is Change.FIRING
        if firing:
            heard[key] = event
        if firing == (known is None):
            yield News(event.at_ms, key, event.labels, event.change, event.truth)


def _told(news: list[News]) -> list[Told]:
    """The same for the engine. An alert that nobody resolves lives until it expires."""
    told, ends = [], dict[str, int]()
    for item in reversed(news):
        if item.change is Change.EXPIRED:
            ends[item.key] = item.at_ms
            continue
        firing = item.change is Change.FIRING
        end_ms = ends.pop(item.key, 0) if firing else 0
        ttl_ms = max(end_ms - item.at_ms, 1) if end_ms else WEEK_MS if firing else 0
        told.append(Told(item.at_ms, item.labels, firing, ttl_ms))
    return told[::-1]


def _groupings(options: argparse.Namespace) -> dict[str, Callable[[list[News]], list[int]]]:
    groupings: dict[str, Callable[[list[News]], list[int]]] = {
        "nearness": lambda news: by_nearness(news, why=options.why)
    }
    if options.prototype:
        make = _prototype(options.prototype)
        groupings["prototype"] = lambda news: by_prototype(news, make())
    for name, shared in (
        ("component", component),
        ("alertname", lambda labels: labels.get("alertname", "")),
        ("time", lambda _labels: ""),
    ):
        for window_s in WINDOWS_S:
            groupings[f"{name} {window_s} s"] = partial(
                naive, shared=shared, window_ms=window_s * 1000
            )
    return groupings


def component(labels: dict[str, str]) -> str:
    """The first of the labels that says something."""
    return next((labels[name] for name in COMPONENT if labels.get(name)), "")


def by_nearness(
    news: Iterable[News], *, why: bool = False, tuning: Tuning | None = None
) -> list[int]:
    """The group of each firing, by nearness."""
    state, tuning, groups, memory = NearState(), tuning or Tuning(), [], NearMemory()
    for item in news:
        if item.change is not Change.FIRING:
            on_ended(state, item.key, resolved=item.change is Change.RESOLVED)
            if item.change is Change.RESOLVED:
                memory.resolve(item.key)
            continue
        severity = item.labels.get("severity", "")
        at_ms, hours = max(item.at_ms, state.now_ms), 0
        if severity not in URGENT:
            hours = background_hours(memory, tuning, item.key, at_ms)
        shared = shared_by(component(item.labels), item.labels, tuning.place_labels)
        alert = FiredAlert(at_ms, item.key, severity, shared, hours)
        join = on_fired(state, tuning, alert)
        groups.append(join.group)
        if why:
            print(
                item.at_ms, join.group, join.reason, sentence(join), item.truth, item.key, sep="\t"
            )
    return groups


def _prototype(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location("prototype", path)
    if spec is None or spec.loader is None:
        sys.exit(f"{path} is no Python file, must be one with a class Nearness")
    module = importlib.util.module_from_spec(spec)
    sys.modules["prototype"] = module
    spec.loader.exec_module(module)
    return module.Nearness


def by_prototype(news: Iterable[News], prototype: Any) -> list[int]:
    """The group of each firing, by an object with `fire` and `end` that takes seconds."""
    groups = []
    for item in news:
        if item.change is Change.FIRING:
            groups.append(prototype.fire(item.at_ms / 1000, item.key, item.labels))
        else:
            prototype.end(item.at_ms / 1000, item.key, item.change is Change.RESOLVED)
    return groups


def naive(
    news: Iterable[News], shared: Callable[[dict[str, str]], str], window_ms: int
) -> list[int]:
    """The group of each firing: that of the last one with the same value, if it is not too long ago."""
    last: dict[str, tuple[int, int]] = {}
    groups: list[int] = []
    for item in news:
        if item.change is not Change.FIRING:
            continue
        value = shared(item.labels)
        number, at_ms = last.get(value, (0, -window_ms - 1))
        if item.at_ms - at_ms > window_ms:
            number = len(groups) + 1
        last[value] = number, item.at_ms
        groups.append(number)
    return groups


def score(truths: list[str], groups: list[int], spent_s: float) -> Score:
    """Compare the groups of firings with their truths."""
    pairs = Counter(zip(truths, groups, strict=True))
    of_truth, of_group = Counter(truths), Counter(groups)
    groups_of, truths_of = defaultdict(set), defaultdict(set)
    for truth, group in pairs:
        groups_of[truth].add(group)
        truths_of[group].add(truth)
    exact = sum(
        len(found) == 1 and len(truths_of[next(iter(found))]) == 1 for found in groups_of.values()
    )
    joined = sum(of_group[group] for group, found in truths_of.items() if len(found) > 1)
    return Score(
        round(_rand(pairs, of_truth, of_group), 3),
        exact,
        sum(len(found) > 1 for found in truths_of.values()),
        sum(len(found) > 1 for found in groups_of.values()),
        len(of_group),
        round(joined / max(len(truths), 1), 4),
        round(spent_s / max(len(truths), 1) * 1e6, 1),
    )


def _rand(pairs: Counter[Any], of_truth: Counter[Any], of_group: Counter[Any]) -> float:
    total = comb(of_truth.total(), 2)
    both = sum(comb(number, 2) for number in pairs.values())
    truth, group = (sum(comb(n, 2) for n in of.values()) for of in (of_truth, of_group))
    expected = truth * group / total if total else 0
    most = (truth + group) / 2
    return 1.0 if most == expected else (both - expected) / (most - expected)


def _print(name: str, firings: int, truths: int, rows: dict[str, Score]) -> None:
    print(f"\n{name}: {firings} firings, {truths} truths")
    print(
        f"{'':18}{'ari':>7}{'exact':>7}{'merged':>8}{'split':>7}{'incidents':>11}{'joined':>9}{'us':>8}{'messages':>10}{'share':>8}{'purity':>8}"
    )
    for grouping, row in rows.items():
        print(
            f"{grouping:18}{row.ari:7.3f}{row.exact:7}{row.merged:8}{row.split:7}"
            f"{row.incidents:11}{row.joined:9.2%}{row.us:8.1f}{row.messages or '':>10}{row.share:8.3f}{row.purity:8.3f}"
        )


if __name__ == "__main__":
    main()
