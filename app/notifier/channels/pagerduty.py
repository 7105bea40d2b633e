"""PagerDuty, by its Events API v2.

A ring is an alert there, and its key is the incident and the episode: a trigger with a key that PagerDuty knows is only
added to the alert's log and rings nobody. `acknowledge` and `resolve` go to every episode that is open. Updates are not
sent: PagerDuty would ring anew for one whose alert somebody has resolved there.

Source of the limits: PagerDuty's developer documentation, "Send an Alert Event" and "Events API v2 Overview".
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import orjson

from app.notifier.channel import ChannelKind, Context
from app.notifier.channels.config import ChannelConfig
from app.notifier.connections.http import Answer, check, json_request
from app.notifier.episodes import episode_key, open_episodes
from app.notifier.memory import preview_json, remember
from app.notifier.messages.words import Page, page
from app.notifier.outcome import Sent
from app.notifier.shorten import one_line, shorten
from models.events import Action, Notification, NotifiedAlert

SUMMARY_MAX = 1024
EVENT_BYTES_MAX = 512_000
LINKS_MAX = 20
SEVERITIES = {"P0": "critical", "P1": "error", "P2": "warning", "P3": "info"}


class PagerDutyConfig(ChannelConfig):
    """The service's integration key, and PagerDuty's address (https://events.eu.pagerduty.com/v2/enqueue in the EU)."""

    secrets = ("routing_key",)

    routing_key_file: str = ""
    routing_key_env: str = ""
    url: str = "https://events.pagerduty.com/v2/enqueue"


@dataclass(frozen=True, slots=True)
class PagerDuty:
    """One service of PagerDuty."""

    config: PagerDutyConfig
    context: Context
    kind: ClassVar[ChannelKind] = ChannelKind.PAGERDUTY

    async def send(self, notification: Notification, address: str, memory: str, key: str) -> Sent:  # noqa: ARG002
        """Send the events. The routing key decides whom PagerDuty rings, so the address is not used."""
        open_keys = open_episodes(notification, memory)
        routing_key = self.config.secret("routing_key")
        for event in self._events(notification, open_keys):
            request = json_request(
                "PagerDuty",
                self.config.url,
                {"routing_key": routing_key, **event},
                secrets=(routing_key,),
            )
            answer = await self.context.http.exchange(request)
            check(request, answer, _reason(answer))
        still_open = [] if notification.action is Action.RESOLVE else open_keys
        return Sent(episode_key(notification), remember(open=still_open))

    def preview(self, notification: Notification, address: str) -> str:  # noqa: ARG002
        """The events, without the routing key."""
        events = self._events(notification, open_episodes(notification, ""))
        return (
            "\n".join(map(preview_json, events))
            if events
            else "nothing: PagerDuty is sent no updates"
        )

    async def close(self) -> None:
        """Nothing is open."""

    def _events(self, notification: Notification, open_keys: list[str]) -> list[dict[str, Any]]:
        match notification.action:
            case Action.TRIGGER:
                return [self._trigger(notification)]
            case Action.ACKNOWLEDGE | Action.RESOLVE:
                return [
                    {"event_action": notification.action.value, "dedup_key": key}
                    for key in open_keys
                ]
            case Action.UPDATE | Action.INFORM:
                return []

    def _trigger(self, notification: Notification) -> dict[str, Any]:
        words = page(notification, self.context.links)
        payload = {
            "summary": shorten(
                self.context.templates.render("title.txt", notification), SUMMARY_MAX
            ),
            "source": words.where or one_line(notification.component) or "tocsin",
            "severity": SEVERITIES.get(notification.severity, "critical"),
            "timestamp": notification.at,
            "component": one_line(notification.component),
            "group": words.owner,
            "class": words.alerts[0].name if words.alerts else "",
        }
        event = {
            "event_action": "trigger",
            "dedup_key": episode_key(notification),
            "payload": {name: text for name, text in payload.items() if text},
            "links": [{"href": link.url, "text": link.title} for link in words.links[:LINKS_MAX]],
            "client": "Tocsin",
        }
        if incident_url := self.context.links.incident(notification):
            event["client_url"] = incident_url
        return _with_details(event, words, notification)


def make(config: PagerDutyConfig, context: Context) -> PagerDuty:
    """The channel."""
    return PagerDuty(config, context)


def _with_details(event: dict[str, Any], words: Page, notification: Notification) -> dict[str, Any]:
    """The event with what else is known: fewer alerts where all would be too large."""
    details: dict[str, Any] = {name.lower().replace(" ", "_"): text for name, text in words.facts()}
    details |= {
        "incident": words.incident,
        "text": words.text,
        "first_step": words.step,
        "command": words.step_command,
    }
    alerts = [_alert_details(alert) for alert in notification.alerts]
    while True:
        omitted = notification.alerts_omitted + len(notification.alerts) - len(alerts)
        event["payload"]["custom_details"] = {
            **details,
            "alerts": alerts,
            "alerts_omitted": omitted,
        }
        if (
            not alerts or len(orjson.dumps(event)) <= EVENT_BYTES_MAX - 1000
        ):  # the routing key comes on top
            return event
        alerts = alerts[: len(alerts) // 2]


def _alert_details(alert: NotifiedAlert) -> dict[str, Any]:
    texts = {
        name: {one_line(key): one_line(text) for key, text in getattr(alert, name).items()}
        for name in _TEXTS
    }
    return {
        "status": alert.status,
        "severity": one_line(alert.severity),
        "starts_at": alert.starts_at,
        **texts,
    }


_TEXTS = ("labels", "annotations")


def _reason(answer: Answer) -> str:
    """What PagerDuty says is wrong, which it lists under `errors`. An empty text stands for the whole body."""
    document = answer.document()
    errors = document.get("errors")
    listed = ", ".join(map(str, errors)) if isinstance(errors, list) else ""
    return ": ".join(part for part in (str(document.get("message", "")), listed) if part)
