"""Links to an incident: its page, and one link for each thing that can be done with it."""

from dataclasses import dataclass
from urllib.parse import quote

from models.events import Notification


@dataclass(frozen=True, slots=True)
class IncidentLinks:
    """Makes links below `public_url`. Without it there are none, and each link is empty."""

    public_url: str = ""

    def incident(self, notification: Notification) -> str:
        """The incident's page."""
        return self._below(f"incidents/{quote(notification.incident, safe='')}")

    def silence(self, notification: Notification) -> str:
        """The page where the incident can be silenced."""
        return self._below(f"incidents/{quote(notification.incident, safe='')}/silence")

    def acknowledge(self, notification: Notification) -> str:
        """The page where the incident can be acknowledged."""
        return self._below(f"incidents/{quote(notification.incident, safe='')}/acknowledge")

    def _below(self, path: str) -> str:
        return f"{self.public_url.rstrip('/')}/{path}" if self.public_url else ""
