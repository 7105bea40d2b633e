"""Which receivers a contact is reached through. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from models.events import Notification


@dataclass(frozen=True, slots=True)
class ContactRoute:
    """Contacts of one channel of the policy, and the receivers that reach them, in order."""

    channel: str
    address: str  # empty: any
    name: str  # empty: any
    through: tuple[str, ...]


class Contacts:
    """The routes; an address goes before a name, and both go before what is for all."""

    def __init__(self, routes: Iterable[ContactRoute]) -> None:
        self._by_address: dict[tuple[str, str], tuple[str, ...]] = {}
        self._by_name: dict[tuple[str, str], tuple[str, ...]] = {}
        self._others: dict[str, tuple[str, ...]] = {}
        for route in routes:
            if route.address:
                self._by_address[route.channel, route.address] = route.through
            elif route.name:
                self._by_name[route.channel, route.name] = route.through
            else:
                self._others[route.channel] = route.through

    def through(self, notification: Notification) -> tuple[str, ...]:
        """The receivers for a notification, in order; none when the file has no route for it."""
        channel = notification.channel
        return (
            self._by_address.get((channel, notification.address))
            or self._by_name.get((channel, notification.receiver))
            or self._others.get(channel, ())
        )

    def routes_of(self, contact: str) -> list[ContactRoute]:
        """The routes of a contact's address or name, in all channels; for one that is not named, those for all."""
        named = [
            ContactRoute(channel, name, "", through)
            for (channel, name), through in self._by_address.items()
            if name == contact
        ]
        named += [
            ContactRoute(channel, "", name, through)
            for (channel, name), through in self._by_name.items()
            if name == contact
        ]
        return named or [
            ContactRoute(channel, contact, "", through) for channel, through in self._others.items()
        ]


def contact_key(notification: Notification) -> str:
    """What limits and order are of: a channel of the policy and an address."""
    return f"{notification.channel}/{notification.address}"
