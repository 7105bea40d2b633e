"""Twilio's REST API, which its channels for SMS and voice share.

Sources: Twilio's "Messages resource", "Calls resource", "Error and warning dictionary".
"""

import base64
import re
from typing import Any
from urllib.parse import urlencode

from pydantic import Field

from app.notifier.channels.config import ChannelConfig
from app.notifier.connections.http import HttpClient, Request, check
from app.notifier.outcome import Refused, TryAgain
from app.notifier.shorten import one_line

PHONE_NUMBER = re.compile(r"\+[1-9][0-9]{6,14}")  # E.164


class TwilioConfig(ChannelConfig):
    """The account, its token (or an API key with its secret), and the number that messages come from."""

    secrets = ("token",)

    account_sid: str = Field(pattern=r"^AC[0-9a-fA-F]{32}$")
    api_key_sid: str = Field(default="", pattern=r"^(SK[0-9a-fA-F]{32})?$")
    token_file: str = ""
    token_env: str = ""
    from_: str = Field(alias="from")
    url: str = "https://api.twilio.com"


async def create(
    http: HttpClient, config: TwilioConfig, resource: str, form: dict[str, str]
) -> dict[str, Any]:
    """The resource (`Messages`, `Calls`) that Twilio made. Raises Refused and TryAgain."""
    token = config.secret("token")
    credentials = base64.b64encode(
        f"{config.api_key_sid or config.account_sid}:{token}".encode()
    ).decode()
    request = Request(
        "Twilio",
        f"{config.url}/2010-04-01/Accounts/{config.account_sid}/{resource}.json",
        urlencode(form).encode(),
        {
            "Authorization": f"Basic {credentials}",
            "Content-Type": "application/x-www-form-urlencoded",
        },
        secrets=(token, credentials),
    )
    answer = await http.exchange(request)
    document = answer.document()
    detail = f"{document.get('code', '')} {document.get('message', '')}".strip()
    check(request, answer, detail)
    if "sid" not in document:
        raise TryAgain("Twilio's answer cannot be read")
    return document


def phone_number(address: str) -> str:
    """The number, or Refused: it must be +49... and so on, without spaces."""
    if PHONE_NUMBER.fullmatch(address) is None:
        raise Refused(f"{one_line(address, 40)!r} must be a phone number such as +15550100123")
    return address
