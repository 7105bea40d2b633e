"""docs/NOTIFIER_CHANNELS.md: its examples are read by the channels, and it names every setting."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.notifier.channel import ChannelKind
from app.notifier.channels.registry import REGISTRY
from app.notifier.messages.incident_links import IncidentLinks
from app.notifier.messages.rendering import SHIPPED, Templates
from tests.support.notifications import OPENED

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "docs" / "NOTIFIER_CHANNELS.md").read_text()
RECEIVERS: dict[str, dict[str, Any]] = {
    name: receiver
    for block in re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
    for name, receiver in yaml.safe_load(block).items()
}


@pytest.mark.parametrize("name", RECEIVERS)
def test_an_example_is_read(name: str) -> None:
    """Each example has settings that its channel takes."""
    [(kind, settings)] = RECEIVERS[name].items()

    REGISTRY[ChannelKind(kind)].config.model_validate(settings)


def test_every_kind_has_an_example() -> None:
    """All but the terminal, which has no settings."""
    assert {next(iter(receiver)) for receiver in RECEIVERS.values()} == set(ChannelKind) - {
        "terminal"
    }


@pytest.mark.parametrize("kind", REGISTRY)
def test_every_setting_is_named(kind: ChannelKind) -> None:
    """A secret by its file; the addresses of services, which tests change, are left out."""
    fields = REGISTRY[kind].config.model_fields
    settings = {field.alias or name for name, field in fields.items() if not name.endswith("_env")}

    named = {key for receiver in RECEIVERS.values() for key in receiver.get(kind, {})}
    assert settings - named <= {"url", "api_key_sid"}


def test_every_template_is_named() -> None:
    """In the table of templates."""
    names = {path.name for path in SHIPPED.iterdir() if path.suffix != ".part"}

    assert {name for name in names if f"`{name}`" not in TEXT} == set()


def test_the_message_is_what_is_rendered() -> None:
    """The example of a message is the shipped template's."""
    rendered = Templates(IncidentLinks("https://tocsin.example.org")).render("body.txt", OPENED)

    indented = "\n".join(f"    {line}" if line else "" for line in rendered.split("\n"))
    assert indented in TEXT
