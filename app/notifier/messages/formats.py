"""How a text of somebody else is written into each format so that nothing in it is obeyed.

Labels and annotations come from whoever can send an alert. `models.text.sanitize` has already replaced what is not shown as
itself. Here the format's own signs lose their meaning.
"""

import html
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

_OPENING = re.compile(
    r"(?<![^\W_])([*_~])(?=\S)"
)  # Slack formats only from the beginning of a word
_EMOJI = re.compile(r":(?=[\w+'-]+:)")
_MENTION = re.compile(r"(?<!\w)@(?=\w)")
_MARKDOWN = re.compile(r"([\\`*\[\]#<>~|]|(?<![^\W_])_|_(?![^\W_]))")
_SLACK_SIGNS = {
    "*": "\N{ASTERISK OPERATOR}",
    "_": "\N{FULLWIDTH LOW LINE}",
    "~": "\N{TILDE OPERATOR}",
}
_SLACK_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "`": "\N{MODIFIER LETTER GRAVE ACCENT}"}


class Safe(str):
    """A text that is written in its format already."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Format:
    """How to escape a text, and how to write what a template needs."""

    escape: Callable[[str], str]
    link: Callable[[str, str], str]  # (title, URL), both escaped
    bold: Callable[[str], str]
    code: Callable[[str], str]


class FormatName(StrEnum):
    """The formats; a template's name ends in the one that it is written in."""

    TEXT = "txt"
    HTML = "html"
    SLACK = "slack"
    TELEGRAM = "telegram"
    MATTERMOST = "mattermost"
    DISCORD = "discord"


def escape_slack(text: str) -> str:
    """Slack's mrkdwn: no `<!channel>`, no mention, no link, no formatting, no emoji.

    mrkdwn has no escape for `*`, `_`, `~` and the backtick, so that one which would format becomes a sign that looks
    like it. One within a word, as in `node_cpu`, stays.
    """
    text = _slack_entities(text)
    text = _OPENING.sub(lambda match: _SLACK_SIGNS[match[1]], text)
    return _EMOJI.sub("\N{MODIFIER LETTER COLON}", text)


def _slack_entities(text: str) -> str:
    return "".join(_SLACK_ENTITIES.get(sign, sign) for sign in text)


def escape_markdown(text: str) -> str:
    """Markdown of Discord and Mattermost. A mention loses its @, which Mattermost obeys even behind a backslash."""
    return _MENTION.sub("\N{FULLWIDTH COMMERCIAL AT}", _MARKDOWN.sub(r"\\\1", text))


def escape_telegram(text: str) -> str:
    """Telegram's HTML, in which @name would mention somebody."""
    return _MENTION.sub("\N{FULLWIDTH COMMERCIAL AT}", html.escape(text))


def escape_mattermost(text: str) -> str:
    """Mattermost's Markdown, in which `:name:` would be an emoji; names with a colon in them stay readable."""
    return _EMOJI.sub("\N{MODIFIER LETTER COLON}", escape_markdown(text))


def _markdown(escape: Callable[[str], str]) -> Format:
    return Format(
        escape=escape,
        link=lambda title, url: f"[{escape(title)}]({_url_in_markdown(url)})",
        bold=lambda text: f"**{escape(text)}**",
        code=lambda text: "`" + text.replace("`", "'") + "`",
    )


def _url_in_markdown(url: str) -> str:
    for sign in '<>()"`\\ ':
        url = url.replace(sign, f"%{ord(sign):02X}")
    return url


def _url_in_slack(url: str) -> str:
    return url.replace("&", "&amp;").replace("<", "%3C").replace(">", "%3E").replace("|", "%7C")


def _as_html(escape: Callable[[str], str]) -> Format:
    return Format(
        escape=escape,
        link=lambda title, url: f'<a href="{html.escape(url)}">{escape(title)}</a>',
        bold=lambda text: f"<b>{escape(text)}</b>",
        code=lambda text: f"<code>{html.escape(text)}</code>",  # nothing in it is a mention
    )


FORMATS = {
    FormatName.TEXT: Format(
        escape=str,
        link=lambda title, url: f"{title}: {url}",
        bold=str,
        code=str,
    ),
    FormatName.HTML: _as_html(html.escape),
    FormatName.SLACK: Format(
        escape=escape_slack,
        link=lambda title, url: f"<{_url_in_slack(url)}|{escape_slack(title).replace('|', '/')}>",
        bold=lambda text: f"*{escape_slack(text)}*",
        code=lambda text: f"`{_slack_entities(text)}`",
    ),
    FormatName.TELEGRAM: _as_html(escape_telegram),
    FormatName.MATTERMOST: _markdown(escape_mattermost),
    FormatName.DISCORD: _markdown(escape_markdown),
}
