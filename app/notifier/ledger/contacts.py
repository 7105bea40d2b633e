"""Which receivers a contact is reached through. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from models.events import Notification


@dataclass(frozen=True, slots=True)
class ContactRoute:
    """Contacts of one channel of the policy, and the receivers that reach them, in order."""

    channel: str
    address: str  # empty: any
    name: str  # empty: any
    through: tuple[str, ...]
    addresses: Mapping[str, str] = field(default_factory=dict)  # by receiver, where it has its own

    def address_at(self, receiver: str, otherwise: str) -> str:
        """The contact's address at a receiver: a phone number, a Slack channel."""
        return self.addresses.get(receiver) or otherwise


class Contacts:
    """The routes; an address goes before a name, and both go before what is for all."""

    def __init__(self, routes: Iterable[ContactRoute]) -> None:
        self._by_address: dict[tuple[str, str], ContactRoute] = {}
        self._by_name: dict[tuple[str, str], ContactRoute] = {}
        self._others: dict[str, ContactRoute] = {}
        for route in routes:
            if route.address:
                self._by_address[route.channel, route.address] = route
            elif route.name:
                self._by_name[route.channel, route.name] = route
            else:
                self._others[route.channel] = route

    def route(self, notification: Notification) -> ContactRoute | None:
        """The route of a notification; None when the file has none."""
        channel = notification.channel
        return (
            self._by_address.get((channel, notification.address))
            or self._by_name.get((channel, notification.receiver))
            or self._others.get(channel)
        )

    def through(self, notification: Notification) -> tuple[str, ...]:
        """The receivers for a notification, in order; none when the file has no route for it."""
        route = self.route(notification)
        return route.through if route is not None else ()

    def address_at(self, receiver: str, notification: Notification) -> str:
        """Where a notification goes at a receiver."""
        route = self.route(notification)
        address = notification.address
        return route.address_at(receiver, address) if route is not None else address

    def routes_of(self, contact: str) -> list[ContactRoute]:
        """The routes of a contact's address or name, in all channels.

        For a contact that is not named they are those that are for all.
        """
        known = [*self._by_address.items(), *self._by_name.items()]
        named = [route for (_, name), route in known if name == contact]
        return named or [replace(route, address=contact) for route in self._others.values()]


def contact_key(notification: Notification) -> str:
    """What limits and order are of: a channel of the policy and an address."""
    return f"{notification.channel}/{notification.address}"
