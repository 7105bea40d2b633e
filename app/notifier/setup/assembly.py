"""From a receivers file to channels that can send."""

from dataclasses import dataclass

from app.notifier.channel import Channel, Context
from app.notifier.channels.registry_types import Registry
from app.notifier.connections.addresses import AddressPolicy
from app.notifier.connections.http import POLL_BYTES_MAX, POLL_TIMEOUT_S, HttpClient
from app.notifier.messages.incident_links import IncidentLinks
from app.notifier.messages.rendering import Templates
from app.notifier.replies.one_tap import OneTap
from app.notifier.runtime.deliverer import Reach
from app.notifier.setup.receivers_file import Receivers


@dataclass(frozen=True, slots=True)
class Assembly:
    """The channels of a receivers file, and what they share. It has to be closed."""

    reach: Reach
    http: HttpClient
    polling: HttpClient  # for what waits until something comes back

    async def close(self) -> None:
        """Close the channels, and then their connections."""
        for channel in self.reach.channels.values():
            await channel.close()
        await self.http.close()
        await self.polling.close()


def assemble(receivers: Receivers, registry: Registry, one_tap: OneTap | None = None) -> Assembly:
    """Make the channels. It takes a running event loop. With `one_tap` links in messages act."""
    part = receivers.part
    timeout_s = part.delivery.timeout / 1000
    policy = AddressPolicy(part.allow_private_addresses)
    http = HttpClient(policy, timeout_s=timeout_s)
    polling = HttpClient(policy, timeout_s=POLL_TIMEOUT_S, answer_bytes_max=POLL_BYTES_MAX)
    links = IncidentLinks(part.public_url, one_tap)
    folder = receivers.path.parent / part.templates if part.templates else None
    context = Context(http, Templates(links, folder), links)
    channels: dict[str, Channel] = {
        name: registry[kind].make(config, context)
        for name, (kind, config) in receivers.receivers.items()
    }
    return Assembly(Reach(channels, receivers.contacts, receivers.rules, timeout_s), http, polling)
