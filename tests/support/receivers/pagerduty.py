"""PagerDuty's Events API v2: de-duplicates by dedup_key, rings for a new alert, drops what belongs to none."""

from dataclasses import dataclass, field

from aiohttp import web

from tests.support.receivers.server import Received, Server

ROUTING_KEY = "R0123456789abcdef0123456789abcde"


@dataclass
class PagerDutyServer(Server):
    """`rings` holds the key of each alert that rang, `alerts` the state of each known key."""

    rings: list[str] = field(default_factory=list)
    alerts: dict[str, str] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)

    def answer(self, received: Received) -> web.Response:
        """202, or 400 with the list of what is wrong."""
        event = received.json()
        errors = list(_errors(event))
        if errors:
            invalid = {
                "status": "invalid event",
                "message": "Event object is invalid",
                "errors": errors,
            }
            return web.json_response(invalid, status=400)
        key, action = event["dedup_key"], event["event_action"]
        state = self.alerts.get(key, "resolved")
        self.log.append(f"{action} {key}")
        if action == "trigger" and state == "resolved":
            self.rings.append(key)
            self.alerts[key] = "triggered"
        elif action != "trigger" and state != "resolved":
            self.alerts[key] = f"{action}d"
        accepted = {"status": "success", "message": "Event processed", "dedup_key": key}
        return web.json_response(accepted, status=202)


def _errors(event: dict[str, object]) -> "list[str]":
    """What PagerDuty would not take, by its documentation."""
    errors = []
    if event.get("routing_key") != ROUTING_KEY:
        errors.append("'routing_key' is invalid")
    if event.get("event_action") not in ("trigger", "acknowledge", "resolve"):
        errors.append("'event_action' is invalid")
    key = event.get("dedup_key")
    if not isinstance(key, str) or not 0 < len(key) <= 255:
        errors.append("'dedup_key' is missing or too long")
    if event.get("event_action") == "trigger":
        payload = event.get("payload")
        payload = payload if isinstance(payload, dict) else {}
        errors += [
            f"'payload.{name}' is missing or blank"
            for name in ("summary", "source")
            if not payload.get(name)
        ]
        if payload.get("severity") not in ("critical", "error", "warning", "info"):
            errors.append(
                "'payload.severity' is invalid (must be one of 'critical', 'warning', 'error' or 'info')"
            )
        if len(str(payload.get("summary"))) > 1024:
            errors.append("'payload.summary' is too long")
    return errors
