"""What becomes of an Alertmanager receiver: contacts, each with at most one e-mail, chat and pager address.

An address is a name that a notifier knows the way to. Keys, passwords and URLs, which are secrets
or contain one, are not read: where a service has no address but such, its name and the receiver's
are the address, as in `pagerduty/database-team`.
"""

import re
from dataclasses import dataclass, field
from typing import Literal

from app.policy.importer.nodes import Node
from app.policy.importer.notices import FindingKind, Findings

Way = Literal["email", "chat", "pager"]
WORDING = "what a message says is the notifier's; Tocsin gives it title, text, the next step and the incident"
TRANSPORT = (
    "how a service is reached, and with which key, is the notifier's; secrets stay out of policies"
)


@dataclass(frozen=True, slots=True)
class Service:
    """One of Alertmanager's integrations.

    Which channel it is, which key holds its address, and the keys that it has.
    """

    way: Way
    address: str
    transport: str
    wording: str
    machine: bool = False  # it speaks to programs: people hear nothing of it by itself
    tells_end: bool = True  # the default of send_resolved


SERVICES = {
    "email": Service(
        "email",
        "to",
        "from smarthost hello auth_username auth_password auth_password_file auth_secret auth_secret_file auth_identity"
        " require_tls tls_config force_implicit_tls threading",
        "html text headers",
        tells_end=False,
    ),
    "slack": Service(
        "chat",
        "channel",
        "api_url api_url_file app_token app_token_file app_url timeout",
        "username color title title_link pretext text fields short_fields footer fallback callback_id icon_emoji icon_url"
        " image_url thumb_url link_names mrkdwn_in actions message_text update_message",
        tells_end=False,
    ),
    "discord": Service(
        "chat", "", "webhook_url webhook_url_file", "title message content username avatar_url"
    ),
    "msteams": Service("chat", "", "webhook_url webhook_url_file", "title summary text"),
    "msteamsv2": Service("chat", "", "webhook_url webhook_url_file", "title text"),
    "mattermost": Service(
        "chat",
        "channel",
        "webhook_url webhook_url_file",
        "username text icon_url icon_emoji fields attachments props type priority",
    ),
    "rocketchat": Service(
        "chat",
        "channel",
        "api_url token token_file token_id token_id_file",
        "color title title_link titleLink text fields short_fields emoji icon_url image_url thumb_url link_names actions",
    ),
    "telegram": Service(
        "chat",
        "chat_id",
        "api_url bot_token bot_token_file chat_id_file message_thread_id",
        "message disable_notifications parse_mode",
    ),
    "webex": Service("chat", "room_id", "api_url", "message"),
    "wechat": Service(
        "chat",
        "",
        "api_secret api_secret_file api_url corp_id agent_id to_user to_party to_tag",
        "message message_type",
        tells_end=False,
    ),
    "pagerduty": Service(
        "pager",
        "",
        "routing_key routing_key_file service_key service_key_file url timeout",
        "client client_url description details images links source severity class component group",
    ),
    "opsgenie": Service(
        "pager",
        "",
        "api_key api_key_file api_url responders",
        "message description source details tags note priority update_alerts entity actions",
    ),
    "victorops": Service(
        "pager",
        "",
        "api_key api_key_file api_url routing_key",
        "message_type state_message entity_display_name monitoring_tool custom_fields",
    ),
    "pushover": Service(
        "pager",
        "",
        "user_key user_key_file token token_file device",
        "title message url url_title sound priority retry expire ttl html monospace",
    ),
    "incidentio": Service(
        "pager",
        "",
        "url url_file alert_source_token alert_source_token_file timeout",
        "max_alerts metadata",
        machine=True,
    ),
    "webhook": Service("chat", "", "url url_file timeout", "max_alerts payload", machine=True),
    "sns": Service(
        "chat",
        "",
        "api_url sigv4 topic_arn phone_number target_arn",
        "subject message attributes",
        machine=True,
    ),
    "jira": Service(
        "chat",
        "",
        "api_url api_type project",
        "summary description labels priority issue_type resolve_transition reopen_transition wont_fix_resolution"
        " reopen_duration fields other_fields",
        machine=True,
    ),
}


@dataclass(slots=True)
class Contact:
    """A contact of the policy, and from which line each of its addresses comes."""

    name: str
    line: int
    addresses: dict[Way, str] = field(default_factory=dict)
    lines: dict[Way, tuple[int, ...]] = field(default_factory=dict)


def receiver_contacts(name: str, receiver: Node, findings: Findings) -> list[Contact]:
    """The contacts of a receiver, the first of which has its name. Says what is left out."""
    by_channel: dict[Way, list[tuple[str, int]]] = {"email": [], "chat": [], "pager": []}
    machines: list[tuple[str, int]] = []
    for key, node in receiver.parts().items():
        service = SERVICES.get(key.removesuffix("_configs")) if key.endswith("_configs") else None
        if service is None:
            if key not in ("name", "labels"):
                why, instead = (
                    "it is no integration of Alertmanager 0.25 to 0.34",
                    "give its contact an address by hand",
                )
                findings.add(FindingKind.LEFT_OUT, key, node.line, why, instead)
            continue
        for item in node.items():
            address = _channel_address(key.removesuffix("_configs"), name, service, item, findings)
            if address:
                (
                    machines
                    if service.machine and service.way == "chat"
                    else by_channel[service.way]
                ).append((address, item.line))
            _say_rest(key.removesuffix("_configs"), service, item, findings)
    by_channel["chat"] += machines
    made = [
        Contact(name if number == 0 else f"{name} ({number + 1})", receiver.line)
        for number in range(_largest_repeat(by_channel))
    ]
    for way, of_way in by_channel.items():
        addresses: dict[str, list[int]] = {}
        for address, line in of_way:
            addresses.setdefault(address, []).append(line)
        if way == "email" and addresses:  # a mail has several addressees
            addresses = {
                ", ".join(addresses): [line for lines in addresses.values() for line in lines]
            }
        for contact, (address, lines) in zip(made, addresses.items(), strict=False):
            contact.addresses[way], contact.lines[way] = address, tuple(lines)
    if not any(contact.addresses for contact in made):
        instead = "nothing, if that is meant; a heartbeat that always fires, such as Watchdog, is a rule under `heartbeats`"
        findings.add(
            FindingKind.FILL_IN,
            f"receiver {name}",
            receiver.line,
            "nobody is told through it, here as there",
            instead,
        )
    return [contact for contact in made if contact.addresses] or made[:1]


def _largest_repeat(addresses: dict[Way, list[tuple[str, int]]]) -> int:
    return max(1, *(len(of_way) for of_way in addresses.values()))


def _channel_address(kind: str, name: str, service: Service, node: Node, findings: Findings) -> str:
    parts = node.parts()
    address = parts[service.address].text().strip() if service.address in parts else ""
    line = parts[service.address].line if service.address in parts else node.line
    key = f"{kind}_configs.{service.address}"
    if "{{" in address:
        why = "a template decides it when a message is sent, and an address of Tocsin's is the same for all messages"
        instead = "a contact for each value, and teams for them"
        findings.add(
            FindingKind.FILL_IN,
            key,
            line,
            why,
            f"{instead}; until then the address is {kind} and the name of the receiver",
        )
        address = ""
    if "$" in address:
        findings.add(
            FindingKind.FILL_IN, key, line, "it has a placeholder", "put the address in the contact"
        )
    if service.machine:
        known = kind == "webhook"
        why = "its URL is a secret" if known else "the notifier has no such channel"
        kept = "its URL" if known else "another channel, such as a webhook,"
        instead = (
            f"{kept} under the address {kind}/NAME, with the receiver's name, in receivers.yaml"
        )
        findings.add(FindingKind.FILL_IN, f"{kind}_configs", node.line, why, instead)
    if not address:
        return f"{kind}/{name}" if kind != "email" or "to" in parts else ""
    if kind == "email":
        return ", ".join(part.strip() for part in re.split(r"[,;]", address) if part.strip())
    return address if kind == "slack" else f"{kind}/{address}"


def _say_rest(kind: str, service: Service, node: Node, findings: Findings) -> None:
    """Say what is not carried over of an integration: nothing is dropped without a word."""
    parts = node.parts()
    transport, wording = {*service.transport.split(), "http_config"}, set(service.wording.split())
    for key, part in parts.items():
        if key == service.address:
            continue
        if key == "send_resolved":
            if not part.is_true():
                _say_end(kind, part.line, findings)
        elif key in transport:
            findings.add(
                FindingKind.NOTIFIER,
                f"{kind}_configs.{key}",
                part.line,
                TRANSPORT,
                "configure the notifier",
            )
            if isinstance(part.value, str) and part.value.strip().startswith("$"):
                why = "it is a placeholder, which Alertmanager does not fill in either"
                findings.add(
                    FindingKind.FILL_IN,
                    f"{kind}_configs.{key}",
                    part.line,
                    why,
                    "fill it in where the notifier has it",
                )
        elif key in wording:
            findings.add(
                FindingKind.NOTIFIER,
                f"{kind}_configs.{key}",
                part.line,
                WORDING,
                "word messages in the notifier",
            )
        else:
            why = f"Alertmanager has no such key in {kind}_configs and refuses the file"
            findings.add(
                FindingKind.LEFT_OUT,
                f"{kind}_configs.{key}",
                part.line,
                why,
                "correct it there, if it is still in use",
            )
    if "send_resolved" not in parts and not service.tells_end:
        _say_end(kind, node.line, findings)


def _say_end(kind: str, line: int, findings: Findings) -> None:
    why = "Alertmanager does not say through it that it is over; Tocsin tells the end to whom it told the beginning"
    findings.add(
        FindingKind.DIFFERS,
        f"{kind}_configs.send_resolved",
        line,
        why,
        "a notifier can drop messages of the kind `resolved`",
    )
