"""Templates of messages: the shipped ones, and those of an installation, which fall back to the shipped ones.

Templates run in Jinja2's sandbox with StrictUndefined. Each value that a template prints is escaped for the format that
the template's name ends in (`body.html`, `body.slack`), whether the template asks for it or not.
"""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jinja2 import (
    BaseLoader,
    ChoiceLoader,
    FileSystemLoader,
    StrictUndefined,
    TemplateNotFound,
    Undefined,
)
from jinja2.sandbox import ImmutableSandboxedEnvironment

from app.notifier.messages.formats import FORMATS, FormatName, Safe
from app.notifier.messages.incident_links import IncidentLinks
from app.notifier.messages.words import page
from app.notifier.shorten import one_line
from models.events import Notification

SHIPPED = Path(__file__).parent / "templates"
VALUE_MAX = 4000  # characters of one value; the words are shorter, a field that a template takes itself may not be
RENDERED_MAX = 100_000  # characters; every channel cuts to less
_SAYS_FALLBACK = frozenset({"body"})  # the templates that have room for a line about a failure

log = logging.getLogger(__name__)


class Templates:
    """Renders notifications. `folder` holds an installation's own templates, by the shipped ones' names."""

    def __init__(self, links: IncidentLinks, folder: Path | None = None) -> None:
        self._links = links
        self._folder = folder
        shipped = FileSystemLoader(SHIPPED)
        self._shipped = _environments(shipped)
        self._own = (
            None
            if folder is None
            else _environments(ChoiceLoader([FileSystemLoader(folder), shipped]))
        )

    def render(self, name: str, notification: Notification) -> str:
        """The text of a template such as `body.slack`.

        A template of the installation that fails, or renders to nothing, is replaced by the shipped one. The log says
        so, and so does the message where it has room.
        """
        if self._own is None or self._folder is None or not (self._folder / name).is_file():
            return self._render(self._shipped, name, notification)
        try:
            text = self._render(self._own, name, notification)
        except Exception as error:  # noqa: BLE001 - a template can raise anything, and the message has to go out
            failure = one_line(f"{type(error).__name__}: {error}", 200)
        else:
            if text:
                return text
            failure = "it rendered to nothing"
        log.warning("template %s failed, the shipped one is used: %s", name, failure)
        return self._render(self._shipped, name, notification, failure)

    def _render(
        self,
        environments: "dict[FormatName, _Environment]",
        name: str,
        notification: Notification,
        failure: str = "",
    ) -> str:
        environment = environments[_format(name)]
        words = page(notification, self._links)
        text = environment.get_template(name).render(page=words, notification=notification).strip()
        if failure and name.partition(".")[0] in _SAYS_FALLBACK:
            note = f"Template {name} failed ({failure}). This is the shipped one."
            text += environment.new_line + environment.format.escape(note)
        return text[:RENDERED_MAX]


class _Environment(ImmutableSandboxedEnvironment):
    """Jinja2 for one format. Values are escaped when they are printed."""

    def __init__(self, name: FormatName, loader: BaseLoader) -> None:
        self.format = FORMATS[name]
        self.new_line = "\n<p>" if name is FormatName.HTML else "\n"
        super().__init__(
            loader=loader,
            undefined=StrictUndefined,
            finalize=self._finalize,
            autoescape=False,  # `finalize` escapes, in HTML as in the formats that Jinja2 does not know
            trim_blocks=True,
            lstrip_blocks=True,
        )
        for helper in ("link", "bold", "code"):
            self.globals[helper] = _safe(getattr(self.format, helper))

    def _finalize(self, value: Any) -> Any:
        if isinstance(value, Undefined | Safe):
            return value  # StrictUndefined raises when it is printed
        return self.format.escape(one_line(str(value), VALUE_MAX))


def _environments(loader: BaseLoader) -> dict[FormatName, _Environment]:
    return {name: _Environment(name, loader) for name in FormatName}


def _format(name: str) -> FormatName:
    try:
        return FormatName(name.rpartition(".")[2])
    except ValueError:
        raise TemplateNotFound(name, f"{name} ends in none of {', '.join(FormatName)}") from None


def _safe(helper: Callable[..., str]) -> Callable[..., Safe]:
    """The helper for templates: its arguments are made inert, and what it returns is not escaped again."""
    return lambda *texts: Safe(helper(*(one_line(str(text), VALUE_MAX) for text in texts)))
