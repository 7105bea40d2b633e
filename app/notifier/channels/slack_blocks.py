"""The blocks of an incident's message in Slack, within the documented limits."""

from typing import Any

from app.notifier.channel import Context
from app.notifier.messages.formats import escape_slack
from app.notifier.messages.words import page
from app.notifier.shorten import shorten
from models.events import Action, Notification

BLOCKS_MAX = 50
HEADER_MAX, SECTION_MAX, TEXT_MAX = 150, 3000, 4000
BUTTON_TEXT_MAX, BUTTON_VALUE_MAX, BUTTON_URL_MAX, ID_MAX = 75, 2000, 3000, 255
SECTIONS_MAX = 4  # of a message; what is longer is behind its link
MARKS = {
    "P0": "\N{LARGE RED CIRCLE}",
    "P1": "\N{LARGE ORANGE CIRCLE}",
    "P2": "\N{LARGE YELLOW CIRCLE}",
    "P3": "\N{LARGE BLUE CIRCLE}",
}
RESOLVED_MARK = "\N{WHITE HEAVY CHECK MARK}"
BUTTONS = (
    ("acknowledge", "Acknowledge", "primary"),
    ("resolve", "Resolve", ""),
    ("escalate", "Escalate", ""),
    ("silence_1h", "Silence 1h", ""),
    ("note", "Note", ""),
)


def message_blocks(
    notification: Notification, context: Context, *, buttons: bool
) -> list[dict[str, Any]]:
    """Header, what the template says, buttons, and the incident's id. `buttons`: somebody hears them, else they are links."""
    body = context.templates.render("body.slack", notification)
    blocks: list[dict[str, Any]] = [
        {
            "type": "header",
            "text": {"type": "plain_text", "text": _header(notification, context), "emoji": True},
        },
        *(
            {"type": "section", "text": _mrkdwn(part)}
            for part in _sections(body, notification, context)
        ),
    ]
    elements = _buttons(notification) if buttons else _link_buttons(notification, context)
    if elements:
        blocks.append(
            {
                "type": "actions",
                "block_id": f"incident:{notification.incident}"[:ID_MAX],
                "elements": elements,
            }
        )
    context_text = f"{escape_slack(page(notification, context.links).incident)}, episode {notification.episode}"
    blocks.append({"type": "context", "elements": [_mrkdwn(context_text)]})
    return blocks


def message_text(notification: Notification, context: Context) -> str:
    """What Slack shows in a notification of its own, where blocks are not shown."""
    return shorten(escape_slack(context.templates.render("line.txt", notification)), TEXT_MAX)


def _header(notification: Notification, context: Context) -> str:
    mark = (
        RESOLVED_MARK
        if notification.action is Action.RESOLVE
        else MARKS.get(notification.severity, "")
    )
    return shorten(
        f"{mark} {context.templates.render('title.txt', notification)}".strip(), HEADER_MAX
    )


def _sections(body: str, notification: Notification, context: Context) -> list[str]:
    """The body in parts of whole lines, each within a section's limit."""
    tail = f" <{url}|all of it>" if (url := context.links.incident(notification)) else ""
    parts: list[str] = []
    for line in body.split("\n"):
        fitting = shorten(line, SECTION_MAX)
        if parts and len(parts[-1]) + 1 + len(fitting) <= SECTION_MAX:
            parts[-1] += f"\n{fitting}"
        elif len(parts) == SECTIONS_MAX:
            parts[-1] = shorten(f"{parts[-1]}\n...{tail}", SECTION_MAX, tail=tail)
            break
        else:
            parts.append(fitting)
    return [part for part in parts if part.strip()]


def _mrkdwn(text: str) -> dict[str, Any]:
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def _buttons(notification: Notification) -> list[dict[str, Any]]:
    """The buttons that make sense in the incident's state."""
    hidden = {Action.RESOLVE: {name for name, _, _ in BUTTONS}, Action.ACKNOWLEDGE: {"acknowledge"}}
    return [
        {
            "type": "button",
            "action_id": name,
            "text": {"type": "plain_text", "text": title},
            "value": notification.incident[:BUTTON_VALUE_MAX],
            **({"style": style} if style else {}),
        }
        for name, title, style in BUTTONS
        if name not in hidden.get(notification.action, set())
    ]


def _link_buttons(notification: Notification, context: Context) -> list[dict[str, Any]]:
    """Buttons that open a page."""
    links = {
        "Acknowledge": context.links.acknowledge(notification),
        "Silence": context.links.silence(notification),
    }
    if notification.action is Action.RESOLVE:
        return []
    if notification.action is Action.ACKNOWLEDGE:
        del links["Acknowledge"]
    return [
        {
            "type": "button",
            "action_id": f"open_{title.lower()}",
            "text": {"type": "plain_text", "text": title},
            "url": url,
        }
        for title, url in links.items()
        if url and len(url) <= BUTTON_URL_MAX
    ]
