"""The page behind a one-tap link: GET asks, POST acts.

The page has no script and loads nothing. It is never kept by a browser or a proxy, and the link
is sent to no other site.
"""

from collections.abc import Mapping
from html import escape

from app.notifier.replies.act import ActCommand
from app.notifier.replies.one_tap import Grant

HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex, nofollow",
}
QUESTIONS = {
    ActCommand.ACKNOWLEDGE: "Acknowledge",
    ActCommand.RESOLVE: "Resolve",
    ActCommand.ESCALATE: "Escalate",
    ActCommand.SILENCE_1H: "Silence for 1 hour",
}
_STYLE = (
    "body{font:18px sans-serif;max-width:32em;margin:2em auto;padding:0 1em;color:#1a1a1a;background:#fff}"
    "button{font:inherit;padding:.7em 1em;margin:.3em 0;width:100%;border:1px solid #444;border-radius:6px;background:#fff}"
    ".first{background:#1d4ed8;border-color:#1d4ed8;color:#fff}"
)


def question_page(grant: Grant, tokens: Mapping[ActCommand, str], state: str = "") -> str:
    """The page of a GET: a button for the link's own command, then those for which there are tokens.

    `state` says what the incident is and how it is now.
    """
    first = [grant.command] if grant.command in QUESTIONS else []
    commands = [*first, *(command for command in QUESTIONS if command not in first)]
    forms = [
        _form(command, tokens[command], first=command in first)
        for command in commands
        if command in tokens
    ]
    intro = f"<p>{escape(state)}</p>" if state else ""
    intro += f"<p>As {escape(grant.receiver)}:</p>" if grant.receiver and forms else ""
    return _page(grant.incident, intro + "".join(forms))


def message_page(title: str, text: str) -> str:
    """A page that says something: what was done, who was first, why a link does not work."""
    return _page(title, f"<p>{escape(text)}</p>")


def _form(command: ActCommand, token: str, *, first: bool) -> str:
    """The action is the token alone: the page stands beside the other links, below `/act/`."""
    style = ' class="first"' if first else ""
    button = f'<button type="submit"{style}>{QUESTIONS[command]}</button>'
    return f'<form method="post" action="{escape(token)}">{button}</form>'


def _page(title: str, content: str) -> str:
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>"
        f"<body><h1>{escape(title)}</h1>{content}</body></html>"
    )
