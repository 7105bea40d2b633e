"""What the registry of channels holds: for each kind, the model of its settings, and how a channel is made of them."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from pydantic import BaseModel

from app.notifier.channel import Channel, ChannelKind


class ChannelType(NamedTuple):
    """A kind of channel. `make` takes an instance of `config`, and the context that all channels share."""

    config: type[BaseModel]
    make: Callable[[Any, Any], Channel]


Registry = Mapping[ChannelKind, ChannelType]
