"""What a message says, in every channel in the order of a Page: what it is, how bad, where, and so on down to the links.

A page is read at three in the morning, on a phone. Everything in a Page is inert: one line, with each sign replaced
that is not shown as itself. Channels add their format's escape.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlsplit

from app.notifier.messages.incident_links import IncidentLinks
from app.notifier.shorten import TEXT_MAX, one_line, shorten
from models.events import Action, Notification, NotificationKind, NotifiedAlert
from models.place_labels import CLUSTER_LABELS, NAMESPACE_LABELS, POD_LABELS
from models.text.duration import format_ms
from models.text.plural import plural

SEVERITY_WORDS = {"P0": "critical", "P1": "high", "P2": "medium", "P3": "low"}
HOST_LABELS = ("host", "hostname", "node", "nodename")
LINK_TITLES = {"runbook": "Runbook", "graph": "Graph", "dashboard": "Dashboard"}
ALERTS_MAX = 10
VALUES_MAX = 3
_URL_MAX = 1500
_URLS_MAX = 2500  # characters of all links together, so that they fit into a message of any chat
_STATES = {
    Action.ACKNOWLEDGE: "acknowledged",
    Action.RESOLVE: "resolved",
    Action.INFORM: "for information",
}


@dataclass(frozen=True, slots=True)
class Link:
    """A link with its title. The URL begins with http:// or https:// and holds no space or control character."""

    title: str
    url: str


@dataclass(frozen=True, slots=True)
class AlertLine:
    """An alert in one line."""

    firing: bool
    severity: str
    name: str
    where: str
    text: str


@dataclass(frozen=True, slots=True)
class Page:
    """A notification in words. Every text is one inert line, and may be empty."""

    incident: str
    headline: str  # "[P0] KubePodCrashLooping: shop/checkout-7d9 (prod)"
    what: str
    kind: str  # why there is a message, in words: "opened", "severity raised"
    text: str
    severity: str  # "P0"
    state: str  # "", or "acknowledged", "resolved", "for information"
    how_bad: str  # "P0 (critical), 2 of 3 alerts firing"
    where: str  # "cluster prod, namespace shop, host checkout-7d9"
    owner: str
    since: str  # "2026-04-12 03:15 UTC, for 12m"
    why: str
    step: str
    step_command: str
    links: tuple[Link, ...]
    alerts: tuple[AlertLine, ...]
    alerts_omitted: int

    def facts(self) -> tuple[tuple[str, str], ...]:
        """The parts that have something to say, each with its name, in their order."""
        parts = (
            ("How bad", self.how_bad),
            ("Where", self.where),
            ("Since", self.since),
            ("Owner", self.owner),
            ("Why you", self.why),
        )
        return tuple((name, text) for name, text in parts if text)


def page(notification: Notification, links: IncidentLinks) -> Page:
    """The notification in words."""
    state = _STATES.get(notification.action, "")
    title = one_line(notification.title)
    severity = one_line(notification.severity)
    return Page(
        incident=one_line(notification.incident),
        headline=f"[{_label(notification, severity)}] {title}",
        what=title,
        kind=notification.kind.replace("_", " "),
        text=one_line(text_of(notification)),
        severity=severity,
        state=state,
        how_bad=_how_bad(notification, severity),
        where=place(notification),
        owner=one_line(notification.owner),
        since=_since(notification),
        why=_why(notification),
        step=one_line(notification.next_step.say) if notification.next_step else "",
        step_command=one_line(notification.next_step.run) if notification.next_step else "",
        links=_links(notification, links),
        alerts=tuple(_alert_line(alert) for alert in notification.alerts[:ALERTS_MAX]),
        alerts_omitted=notification.alerts_omitted + max(len(notification.alerts) - ALERTS_MAX, 0),
    )


def text_of(notification: Notification) -> str:
    """The text; nothing where it only says the title again, which stands above it."""
    text = notification.text
    return "" if text.strip().rstrip(".") == notification.title.strip() else text


def place(notification: Notification) -> str:
    """Cluster, namespace and host, as far as the alerts' labels have them: `cluster prod, namespace shop`."""
    cluster = _label_values(notification, CLUSTER_LABELS)
    namespace = _label_values(notification, NAMESPACE_LABELS)
    host = _label_values(notification, HOST_LABELS)
    pod = _label_values(notification, POD_LABELS) if not host else ""
    instance = _label_values(notification, ("instance",)) if not host and not pod else ""
    parts = {"cluster": cluster, "namespace": namespace, "host": host or instance, "pod": pod}
    return ", ".join(f"{name} {values}" for name, values in parts.items() if values)


def safe_url(url: str) -> str:
    """The URL if it is one that a person may follow, else an empty text. `javascript:` and the like are none."""
    if len(url) > _URL_MAX or not url.isprintable() or any(sign in url for sign in ' <>"\\'):
        return ""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return url if parts.scheme in ("http", "https") and parts.hostname else ""


def _label(notification: Notification, severity: str) -> str:
    match notification.action:
        case Action.RESOLVE:
            return "lost" if notification.kind is NotificationKind.LOST else "resolved"
        case Action.ACKNOWLEDGE:
            return f"{severity}, acknowledged"
        case _:
            return severity


def _how_bad(notification: Notification, severity: str) -> str:
    word = SEVERITY_WORDS.get(notification.severity)
    text = f"{severity} ({word})" if word else severity
    if notification.action is Action.RESOLVE:
        lost = notification.kind is NotificationKind.LOST
        return f"{text}, lost: no resolve was received" if lost else f"{text}, now resolved"
    if notification.alerts_total:
        text += (
            f", {notification.alerts_firing} of {plural(notification.alerts_total, 'alert')} firing"
        )
    return text


def _since(notification: Notification) -> str:
    try:
        started, now = (
            datetime.fromisoformat(text) for text in (notification.started_at, notification.at)
        )
        age_ms = int((now - started).total_seconds() * 1000)
        utc = started.astimezone(UTC)
    except (
        ValueError,
        TypeError,
        OverflowError,
    ):  # not an instant, one without a zone, one outside the calendar
        return one_line(notification.started_at)
    start = utc.isoformat(sep=" ")[:16]
    return f"{start} UTC, for {format_ms(age_ms)}" if age_ms >= 1000 else f"{start} UTC, just now"


def _why(notification: Notification) -> str:
    reason = notification.reason
    text = one_line(reason.text)
    if not text:
        text = f"step {reason.step} of {reason.steps}" if reason.rule else "first notification"
    if reason.rule and reason.rule not in text:
        text += f" (rule {one_line(reason.rule)})"
    receiver = one_line(notification.receiver, 100)
    return shorten(f"{receiver}: {text}" if receiver else text, TEXT_MAX)


def _label_values(notification: Notification, names: tuple[str, ...]) -> str:
    """The values of the first of these labels that an alert has; at most three, with the number of the others."""
    sources = [notification.common_labels, *(alert.labels for alert in notification.alerts)]
    for name in names:
        values = list(
            dict.fromkeys(one_line(source[name], 80) for source in sources if source.get(name))
        )
        if values:
            more = f" and {len(values) - VALUES_MAX} more" if len(values) > VALUES_MAX else ""
            return ", ".join(values[:VALUES_MAX]) + more
    return ""


def _links(notification: Notification, links: IncidentLinks) -> tuple[Link, ...]:
    """Runbook, graph, dashboard, incident, silence, then what else the alerts link to. Each URL once."""
    known = dict(notification.links)
    first = [(title, known.pop(name)) for name, title in LINK_TITLES.items() if name in known]
    ours = [("Incident", links.incident(notification)), ("Silence", links.silence(notification))]
    if links.acts and notification.action in (Action.TRIGGER, Action.UPDATE):
        ours = [("Acknowledge", links.acknowledge(notification)), *ours]
    others = [(one_line(name, 40), url) for name, url in known.items()]
    titles: dict[str, str] = {}
    for title, url in (*first, *ours, *others):
        if safe_url(url):
            titles.setdefault(url, title)
    kept = _within_bound([url for _, url in ours if url in titles], list(titles))
    return tuple(Link(title, url) for url, title in titles.items() if url in kept)


def _within_bound(first: list[str], urls: list[str]) -> set[str]:
    """The URLs whose lengths together are within the bound; those that come first are kept first."""
    kept, length = set[str](), 0
    for url in dict.fromkeys((*first, *urls)):
        if length + len(url) <= _URLS_MAX:
            kept.add(url)
            length += len(url)
    return kept


def _alert_line(alert: NotifiedAlert) -> AlertLine:
    labels, annotations = alert.labels, alert.annotations
    text = (
        annotations.get("summary")
        or annotations.get("description")
        or annotations.get("message")
        or ""
    )
    namespace = next((labels[name] for name in NAMESPACE_LABELS if labels.get(name)), "")
    place = next(
        (
            labels[name]
            for name in (*POD_LABELS, *HOST_LABELS, "instance", "service", "job")
            if labels.get(name)
        ),
        "",
    )
    return AlertLine(
        firing=alert.status == "firing",
        severity=one_line(alert.severity, 20),
        name=one_line(labels.get("alertname", "alert"), 120),
        where=one_line("/".join(part for part in (namespace, place) if part), 160),
        text=one_line(text, 240),
    )
