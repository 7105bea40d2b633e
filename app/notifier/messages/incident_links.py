"""Links to an incident: its page, and one link for each thing that can be done with it."""

from dataclasses import dataclass
from urllib.parse import quote

from app.notifier.replies.act import ActCommand
from app.notifier.replies.one_tap import OneTap
from models.events import Notification

_INCIDENT = "/incidents/{}"


@dataclass(frozen=True, slots=True)
class IncidentLinks:
    """Makes links below `public_url`. Without it there are none, and each link is empty.

    With `one_tap` links that act are signed and need no login; else they lead to the pages of
    `app.web`, as the link to the incident does always.
    """

    public_url: str = ""
    one_tap: OneTap | None = None

    @property
    def acts(self) -> bool:
        """Whether a POST to a link acts; else a person has to open it."""
        return bool(self.public_url) and self.one_tap is not None

    def incident(self, notification: Notification) -> str:
        """The incident's page."""
        base = self._base(notification)
        return f"{base}{_path(_INCIDENT, notification)}" if base else ""

    def short(self, notification: Notification) -> str:
        """The only link of a short message: a page from which everything can be done, without a login if it can be."""
        return self._link(notification, ActCommand.VIEW, _INCIDENT)

    def silence(self, notification: Notification) -> str:
        """The page where the incident can be silenced."""
        return self._link(notification, ActCommand.SILENCE_1H, "/silences/new?incident={}")

    def acknowledge(self, notification: Notification) -> str:
        """The page where the incident can be acknowledged."""
        return self._link(notification, ActCommand.ACKNOWLEDGE, "/incidents/{}/act/acknowledge")

    def _link(self, notification: Notification, command: ActCommand, path: str) -> str:
        base = self._base(notification)
        if not base:
            return ""
        if self.one_tap is None:
            return base + _path(path, notification)
        incident, receiver = notification.incident, notification.receiver
        return f"{base}/act/{self.one_tap.token(command, incident, receiver, notification.at)}"

    def _base(self, notification: Notification) -> str:
        """Where links begin; empty for a message of no incident, such as a test or a digest."""
        return self.public_url.rstrip("/") if notification.incident else ""


def _path(path: str, notification: Notification) -> str:
    return path.format(quote(notification.incident, safe=""))
