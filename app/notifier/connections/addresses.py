"""Which IP addresses the notifier may connect to.

A receiver's URL may come from somebody who should not reach our own network through us (server-side request forgery).
Private, loopback, link-local, multicast and reserved addresses are therefore refused unless `allow_private_addresses`
lists them. A name is checked after it was resolved, and the connection goes to the address that was checked, so that
a name which resolves to something else a moment later (DNS rebinding) gains nothing.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from aiohttp.abc import AbstractResolver, ResolveResult

_NAT64 = IPv6Network("64:ff9b::/96")


class PrivateAddress(OSError):
    """A host has no address that may be connected to. The message names the host."""


class AddressPolicy:
    """Decides whether an address may be connected to; `allowed` are networks beside the public ones."""

    def __init__(self, allowed: Sequence[IPv4Network | IPv6Network] = ()) -> None:
        self._allowed = tuple(allowed)

    def permits(self, address: str) -> bool:
        """Whether this IP address may be connected to. What is no IP address may not."""
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return False
        return all(self._permits(part) for part in (parsed, *_embedded(parsed)))

    def _permits(self, address: IPv4Address | IPv6Address) -> bool:
        if any(
            address.version == network.version and address in network for network in self._allowed
        ):
            return True
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            return True  # the address in it is checked on its own
        return address.is_global and not address.is_multicast


def _embedded(address: IPv4Address | IPv6Address) -> tuple[IPv4Address, ...]:
    """The IPv4 addresses that an IPv6 address leads to: mapped, 6to4, Teredo, NAT64."""
    if isinstance(address, IPv4Address):
        return ()
    candidates = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    if address in _NAT64:
        candidates.append(IPv4Address(int(address) & 0xFFFFFFFF))
    return tuple(candidate for candidate in candidates if candidate is not None)


class CheckedResolver(AbstractResolver):
    """Resolves a name and gives only the addresses that may be connected to."""

    def __init__(self, policy: AddressPolicy, resolver: AbstractResolver) -> None:
        self._policy = policy
        self._resolver = resolver

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The permitted addresses of a name. Raises PrivateAddress when there is none, OSError when it has none at all."""
        results = await self._resolver.resolve(host, port, family)
        permitted = [result for result in results if self._policy.permits(result["host"])]
        if not permitted:
            raise PrivateAddress(
                f"{host} has a private address, and allow_private_addresses does not list it"
            )
        return permitted

    async def close(self) -> None:
        """Close the resolver."""
        await self._resolver.close()


async def connect(host: str, port: int, policy: AddressPolicy) -> socket.socket:
    """A connection to the first permitted address of a host that takes it, for protocols other than HTTP.

    Raises PrivateAddress when no address is permitted, OSError when none takes it.
    """
    loop = asyncio.get_running_loop()
    infos = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    permitted = [info for info in infos if policy.permits(str(info[4][0]))]
    failure: OSError = PrivateAddress(
        f"{host} has a private address, and allow_private_addresses does not list it"
    )
    for family, kind, protocol, _, address in permitted:
        connection = socket.socket(family, kind, protocol)
        connection.settimeout(0)  # the event loop waits
        try:
            await loop.sock_connect(connection, address)
        except OSError as error:
            connection.close()
            failure = error
        except BaseException:  # a time-out cancels
            connection.close()
            raise
        else:
            return connection
    raise failure
