"""What a channel in a test is made with: an HTTP client that may reach this machine, the shipped templates, links."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_network
from pathlib import Path

from app.notifier.channel import Context
from app.notifier.connections.addresses import AddressPolicy
from app.notifier.connections.http import HttpClient
from app.notifier.messages.incident_links import IncidentLinks
from app.notifier.messages.rendering import Templates

LOCAL = AddressPolicy([ip_network("127.0.0.0/8")])
PUBLIC_URL = "https://tocsin.example.org"


@asynccontextmanager
async def local_context(
    timeout_s: float = 30.0, templates: Path | None = None
) -> AsyncIterator[Context]:
    """A context whose client is closed in the end."""
    links = IncidentLinks(PUBLIC_URL)
    client = HttpClient(LOCAL, timeout_s=timeout_s)
    try:
        yield Context(client, Templates(links, templates), links)
    finally:
        await client.close()
