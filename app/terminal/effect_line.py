"""An effect as a line for people, with its time, its position and its stream."""

from typing import Any

import orjson
from rich.text import Text

from app.terminal.effect_text import effect_text
from app.terminal.style import as_text
from models.effect import Effect


def effect_line(partition: int, effect: Effect) -> Text:
    """An effect as a line for people."""
    body: dict[str, Any] = orjson.loads(effect.value)
    position = f"{partition}-{effect.position.offset}-{effect.position.number}"
    text, incident = effect_text(effect.stream, body), body.get("incident") or ""
    about = "" if incident in text else f"{incident}  "
    return as_text(f"{body.get('at', ''):<24}  {position:<12}  {effect.stream:<13}  {about}{text}")
