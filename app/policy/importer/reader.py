"""An Alertmanager configuration, read: routes, receivers, inhibition and time intervals, each with its line.

What Alertmanager would refuse about these (a receiver or an interval that is not there, a key that
it does not know, a regular expression that is none) is refused here. How receivers reach their
services is not looked into: `app.policy.importer.receivers` says what becomes of that. Source:
Alertmanager's documentation, "Configuration".
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from app.files.yaml_file import BadFile
from app.policy.importer import enclosed, label_matchers, nodes
from app.policy.importer.nodes import Node, list_items
from models.matcher import Matcher, Operator
from models.policy.time_interval import TimeSpan

_TOP = (
    *(
        "global",
        "templates",
        "route",
        "receivers",
        "inhibit_rules",
        "mute_time_intervals",
        "time_intervals",
    ),
    *("tracing", "event_recorder"),  # since 0.29, 0.33
)
_ROUTE = (
    *("receiver", "group_by", "continue", "match", "match_re", "matchers", "routes"),
    *(
        "group_wait",
        "group_interval",
        "repeat_interval",
        "mute_time_intervals",
        "active_time_intervals",
    ),
    "labels",  # since 0.34
)
_INHIBIT = tuple(
    f"{side}_{key}" for side in ("source", "target") for key in ("match", "match_re", "matchers")
)
_SPAN = ("times", "weekdays", "days_of_month", "months", "years", "location")
_DEFAULTS_MS = {"group_wait": 30_000, "group_interval": 300_000, "repeat_interval": 14_400_000}
_OTHERS = {
    "groups": "a file of Prometheus rules",
    "scrape_configs": "the configuration of Prometheus",
    "teams": "a policy of Tocsin's already",
    "spec": "a Kubernetes resource; what it wants is the file in Alertmanager's secret, alertmanager.yaml",
}


@dataclass(frozen=True, slots=True)
class Times:
    """A route's waiting times in milliseconds, inherited, and the lines on which they stand.

    0 is nowhere.
    """

    group_wait: int
    group_interval: int
    repeat_interval: int
    lines: dict[str, int]


@dataclass(frozen=True, slots=True, eq=False)
class Route:
    """A node of the routing tree."""

    line: int
    receiver: str
    matchers: tuple[Matcher, ...]
    goes_on: bool  # `continue`
    group_by: tuple[str, ...]
    group_by_line: int
    times: Times
    mute: tuple[str, ...]
    active: tuple[str, ...]
    routes: tuple["Route", ...]

    def all(self) -> Iterator["Route"]:
        """The route and all below it."""
        yield self
        for route in self.routes:
            yield from route.all()


@dataclass(frozen=True, slots=True)
class InhibitRule:
    """An inhibition."""

    line: int
    source: tuple[Matcher, ...]
    target: tuple[Matcher, ...]
    equal: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Interval:
    """A named time interval: its spans as they are written, each with its line."""

    line: int
    spans: tuple[tuple[int, dict[str, Any]], ...]


@dataclass(slots=True)
class Configuration:
    """A whole file."""

    name: str  # of the file, and of what it is in
    route: Route
    receivers: dict[str, Node] = field(default_factory=dict)
    inhibitions: list[InhibitRule] = field(default_factory=list)
    intervals: dict[str, Interval] = field(default_factory=dict)
    settings: dict[str, Node] = field(default_factory=dict)  # of `global`
    others: list[Node] = field(default_factory=list)  # templates, tracing


def read_configuration(path: Path) -> Configuration:
    """The configuration in a file, or in a Secret in it.

    Raises BadFile, with all problems and their lines.
    """
    named, data = enclosed.read_enclosed(path)
    try:
        return _read(
            nodes.read_top_node(named, "an Alertmanager configuration: route, receivers", data)
        )
    except BadFile as refusal:
        raise enclosed.with_template_hint(refusal, named, data) from None


def _read(top: Node) -> Configuration:
    if "route" not in top.value:
        looks = next(
            (f"; it looks like {product}" for key, product in _OTHERS.items() if key in top.value),
            "",
        )
        top.say(f"is no Alertmanager configuration, which has a route and receivers{looks}")
        nodes.raise_problems(top)
    parts = top.parts(_TOP, "a configuration of Alertmanager 0.34")
    configuration = Configuration(
        name=top.path.name,
        route=_read_route(parts["route"], None) if "route" in parts else _NO_ROUTE,
        receivers=_named_items(parts, "receivers"),
        inhibitions=[_read_inhibition(node) for node in list_items(parts, "inhibit_rules")],
        intervals=_read_intervals(parts),
        settings=parts["global"].parts() if "global" in parts else {},
        others=[parts[key] for key in ("templates", "tracing", "event_recorder") if key in parts],
    )
    if "route" in parts:
        _check_root(parts["route"])
        _check_names(parts["route"], configuration)
    else:
        top.say("has an empty route, must have one with a receiver")
    nodes.raise_problems(top)
    return configuration


def _named_items(parts: dict[str, Node], key: str) -> dict[str, Node]:
    by_name: dict[str, Node] = {}
    for node in list_items(parts, key):
        named = node.parts().get("name")
        name = named.text() if named else ""
        if not name:
            node.say("has no name")
        elif name in by_name:
            node.say(f"is called {name!r:.100}, as another of the {key} is")
        else:
            by_name[name] = node
    return by_name


def _read_route(node: Node, parent: Route | None) -> Route:
    parts = node.parts(_ROUTE, "a route of Alertmanager 0.34")
    receiver = parts["receiver"].text() if "receiver" in parts else ""
    by = parts.get("group_by")
    itself = Route(
        line=node.line,
        receiver=receiver or (parent.receiver if parent else ""),
        matchers=_read_matchers(parts, ""),
        goes_on="continue" in parts and parts["continue"].is_true(),
        group_by=tuple(item.text() for item in by.items())
        if by
        else parent.group_by
        if parent
        else (),
        group_by_line=by.line if by else parent.group_by_line if parent else 0,
        times=_read_times(parts, parent.times if parent else None),
        mute=tuple(item.text() for item in list_items(parts, "mute_time_intervals")),
        active=tuple(item.text() for item in list_items(parts, "active_time_intervals")),
        routes=(),
    )
    below = tuple(_read_route(item, itself) for item in list_items(parts, "routes"))
    return Route(
        **{name: getattr(itself, name) for name in Route.__dataclass_fields__ if name != "routes"},
        routes=below,
    )


def _read_times(parts: dict[str, Node], parent: Times | None) -> Times:
    times = {
        name: getattr(parent, name) if parent else default for name, default in _DEFAULTS_MS.items()
    }
    lines = dict(parent.lines) if parent else {}
    for name in _DEFAULTS_MS:
        if name in parts:
            times[name], lines[name] = parts[name].duration_ms(), parts[name].line
            if times[name] == 0 and name != "group_wait":
                parts[name].say("is 0, must be more")
    return Times(**times, lines=lines)


def _read_matchers(parts: dict[str, Node], side: str) -> tuple[Matcher, ...]:
    matchers: list[Matcher] = []
    for key, operator in ((f"{side}match", Operator.EQUAL), (f"{side}match_re", Operator.REGEX)):
        for label, value in parts[key].pairs() if key in parts else ():
            # Without a value, `match` asks for a label that is absent, and Alertmanager refuses
            # `match_re`.
            text = "" if value.value is None and operator is Operator.EQUAL else value.text()
            try:
                matchers.append(label_matchers.make_matcher(label, operator, text))
            except ValueError as error:
                value.say(str(error))
    for line in list_items(parts, f"{side}matchers"):
        try:
            matchers += label_matchers.read_matchers(line.text())
        except ValueError as error:
            line.say(str(error))
    return tuple(dict.fromkeys(matchers))


def _read_inhibition(node: Node) -> InhibitRule:
    parts = node.parts((*_INHIBIT, "equal", "name"), "an inhibition of Alertmanager 0.34")
    equal = tuple(item.text() for item in list_items(parts, "equal"))
    return InhibitRule(
        node.line, _read_matchers(parts, "source_"), _read_matchers(parts, "target_"), equal
    )


def _read_intervals(parts: dict[str, Node]) -> dict[str, Interval]:
    intervals: dict[str, Interval] = {}
    for key in ("mute_time_intervals", "time_intervals"):
        for name, node in _named_items(parts, key).items():
            if name in intervals:
                node.say(f"is called {name!r:.100}, as another time interval is")
            spans = list_items(
                node.parts(("name", "time_intervals"), "a time interval"), "time_intervals"
            )
            intervals[name] = Interval(
                node.line, tuple((span.line, _read_span(span)) for span in spans)
            )
    return intervals


def _read_span(node: Node) -> dict[str, Any]:
    parts = node.parts(_SPAN, "a time interval")
    document: dict[str, Any] = {
        key: [item.text() for item in list_items(parts, key)] for key in _SPAN[1:-1] if key in parts
    }
    if "weekdays" in document:
        document["weekdays"] = [
            part for days in document["weekdays"] for part in _split_weekdays(days)
        ]
    if "times" in parts:
        times = [
            item.parts(("start_time", "end_time"), "a range of times")
            for item in parts["times"].items()
        ]
        document["times"] = [{key: value.text() for key, value in time.items()} for time in times]
    if "location" in parts:
        document["location"] = parts["location"].text()
    checked = document | ({"location": "UTC"} if document.get("location") == "Local" else {})
    try:
        span = TimeSpan.model_validate(checked)
    except ValidationError as error:
        for details in error.errors():
            where = ".".join(str(part) for part in details["loc"])
            node.say(f"{where}: {details['msg'].removeprefix('Value error, ')}")
        return document
    for range_ in span.times:
        if range_.start_time >= range_.end_time:
            node.say(
                "times: begins when it ends, or later; a range past midnight is two: up to 24:00, and from 00:00"
            )
    return document


def _split_weekdays(days: str) -> list[str]:
    """A range of days whose week begins on Monday; Alertmanager's begins on Sunday."""
    first, _, last = days.lower().partition(":")
    if first.strip() == "sunday" and last.strip() not in ("", "sunday"):
        return ["sunday", f"monday:{last.strip()}" if last.strip() != "monday" else "monday"]
    return [days]


def _check_root(node: Node) -> None:
    parts = node.parts()
    if "receiver" not in parts:
        node.say("has no receiver, and the first route has to have one")
    for key in (
        "match",
        "match_re",
        "matchers",
        "continue",
        "mute_time_intervals",
        "active_time_intervals",
    ):
        if key in parts and parts[key].value not in ([], {}, "false"):
            parts[key].say("stands in the first route, which has to take every alert at all times")


def _check_names(node: Node, configuration: Configuration) -> None:
    parts = node.parts()
    if "receiver" in parts:
        _check_name(parts["receiver"], configuration.receivers, "receivers")
    for key in ("mute_time_intervals", "active_time_intervals"):
        for item in list_items(parts, key):
            _check_name(item, configuration.intervals, "time intervals")
    for item in list_items(parts, "routes"):
        _check_names(item, configuration)


def _check_name(node: Node, known: Sequence[str] | dict[str, Any], kind: str) -> None:
    if node.text() not in known:
        names = ", ".join(list(known)[:20]) or "there are none"
        node.say(f"is {node.text()!r:.100}, must be one of the {kind} ({names})")


_NO_ROUTE = Route(0, "", (), False, (), 0, Times(0, 0, 0, {}), (), (), ())  # noqa: FBT003  never seen: it is refused
