"""The templates. Whatever they print is made inert and escaped, whether a template asks for it or not."""

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Undefined

from app.web.words import (
    ago,
    clip,
    clock_time,
    day_and_time,
    lines,
    raw_lines,
    short_ms,
    web_address,
)
from models.text.instant import format_instant, milliseconds
from models.text.plural import plural
from models.text.sanitize import inert

TEMPLATES = Path(__file__).parent / "templates"


def environment(base: str = "") -> Environment:
    """Jinja2 for our pages. `base` is the path of a proxy, before each address."""
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        autoescape=True,
        finalize=_inert,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters |= {
        "clip": clip,
        "lines": lines,
        "raw_lines": raw_lines,
        "web_address": web_address,
        "clock_time": clock_time,
        "day_and_time": day_and_time,
        "instant": format_instant,
        "ms": milliseconds,
        "short_ms": short_ms,
    }
    made.globals |= {"base": base, "ago": ago, "counted": plural}
    return made


def _inert(value: Any) -> Any:
    if isinstance(value, Undefined) or hasattr(value, "__html__"):
        return value  # StrictUndefined raises when it is printed
    return inert(str(value))
