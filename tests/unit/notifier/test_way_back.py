"""Real processes: an alert fires, a message arrives, a button is pressed.

Then the incident is that person's, and the channels hear of it.
"""

import asyncio
import json
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from app.cli.main import main
from app.settings import from_environment
from app.transport.sqlite import SqliteLog
from tests.support.asynchronous import asynchronous
from tests.support.engines import ROOT, Tocsin, assert_exactly_once
from tests.support.receivers import slack as slack_server
from tests.support.receivers.chats import TELEGRAM_TOKEN, TelegramServer
from tests.support.receivers.pagerduty import ANN, ROUTING_KEY, WEBHOOK_SECRET, PagerDutyServer
from tests.support.receivers.phones import NTFY_TOKEN, TOPIC, NtfyServer
from tests.support.receivers.slack import APP_TOKEN, USER, SlackServer, pressed
from tests.support.token_files import write

FILE = """
version: 1
receivers:
  pd: {{pagerduty: {{routing_key_env: T_PD, url: "{pagerduty}/v2/enqueue"}}}}
  slack: {{slack: {{token_env: T_SLACK, app_token_env: T_APP, url: "{slack}/api"}}}}
  telegram: {{telegram: {{token_env: T_TELEGRAM, buttons: true, url: "{telegram}"}}}}
  ntfy: {{ntfy: {{topic_env: T_TOPIC, token_env: T_NTFY, url: "{ntfy}/"}}}}
contacts:
  - {{channel: pager, through: [pd]}}
  - {{channel: chat, address: "#critical-alerts", through: [ntfy]}}
  - {{channel: chat, address: "#incidents", through: [{{receiver: telegram, address: "-1001234"}}]}}
  - {{channel: chat, through: [{{receiver: slack, address: "#ops"}}]}}
  - {{channel: email, through: [{{receiver: telegram, address: "-1001234"}}]}}
public_url: https://tocsin.example.org
allow_private_addresses: [127.0.0.1/32]
"""
SECRETS = {
    "T_PD": ROUTING_KEY,
    "T_SLACK": slack_server.TOKEN,
    "T_APP": APP_TOKEN,
    "T_TELEGRAM": TELEGRAM_TOKEN,
    "T_TOPIC": TOPIC,
    "T_NTFY": NTFY_TOKEN,
}
BOB = {"id": 4712, "is_bot": False, "first_name": "Bob"}


@dataclass
class World:
    """`tocsin up`, and the services that it talks to."""

    service: Tocsin
    settings: dict[str, str]
    pagerduty: PagerDutyServer
    slack: SlackServer
    telegram: TelegramServer
    ntfy: NtfyServer

    async def fire(self) -> str:
        """An alert fires; the incident's id, once its page has arrived everywhere."""
        labels = {"alertname": "DiskFull", "component": "db", "severity": "P0"}
        alerts = [{"labels": labels, "startsAt": "2026-01-01T00:00:00Z"}]
        await asyncio.to_thread(self.service.post, "/api/v2/alerts", alerts)
        await until(lambda: bool(self.pagerduty.rings))
        incident = self.pagerduty.rings[0].partition("/")[0]
        await self.until_delivered(incident)
        return incident

    async def until_delivered(self, incident: str) -> None:
        """Return when each message about it has its receipt, in the timeline too."""
        while not await self._is_delivered(incident):  # noqa: ASYNC110  as above
            await asyncio.sleep(0.05)

    async def _is_delivered(self, incident: str) -> bool:
        """Whether each message about it has its receipt: then the notifier remembers what it sent."""
        url = f"{self.service.url}/api/v1/incidents/{incident}/timeline"
        known = await asyncio.to_thread(get, url)
        kinds = [entry["kind"] for entry in known["timeline"]]
        return kinds.count("Delivered") == len(known["notifications"]) > 0

    async def stop(self, incident: str) -> dict[str, int]:
        """Stop it; what its engines counted. A fresh engine says the very same of its journal.

        A receipt that is written while it stops would wait for the next start.
        """
        await self.until_delivered(incident)
        await asyncio.to_thread(self.service.stop)
        config = from_environment(self.settings)
        log = SqliteLog(config.journal_dir)
        await log.start()
        try:
            return await assert_exactly_once(log, config)
        finally:
            await log.stop()


async def until(condition: Callable[[], bool]) -> None:
    """Return when the condition holds."""
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110  what is waited for happens in another process
            await asyncio.sleep(0.02)


@asynccontextmanager
async def world(folder: Path) -> AsyncIterator[World]:
    """A world, whose service is killed in the end if it still runs."""
    async with AsyncExitStack() as stack:
        pagerduty = await stack.enter_async_context(PagerDutyServer())
        slack = await stack.enter_async_context(SlackServer())
        telegram = await stack.enter_async_context(TelegramServer())
        ntfy = await stack.enter_async_context(NtfyServer())
        urls = {"pagerduty": pagerduty.url, "slack": slack.url}
        file = folder / "receivers.yaml"
        file.write_text(FILE.format(**urls, telegram=telegram.url, ntfy=ntfy.url))
        for name, text in (("link", "a key of links with enough bytes"), ("pd", WEBHOOK_SECRET)):
            write(folder / name, text)
        policy = (ROOT / "policies" / "default.yaml").read_text()
        told = policy.replace("acknowledged: [chat]", "acknowledged: [chat, pager]")
        (folder / "policy.yaml").write_text(told)
        settings = {
            "TOCSIN_POLICY": str(folder / "policy.yaml"),
            "TOCSIN_BROKER": f"embedded:{folder}/journal",
            "TOCSIN_RECEIVERS": str(file),
            "TOCSIN_LINK_KEY": str(folder / "link"),
            "TOCSIN_PAGERDUTY_KEY": str(folder / "pd"),
        }
        service = await asyncio.to_thread(lambda: Tocsin("up", **settings, **SECRETS))
        try:
            yield World(service, settings, pagerduty, slack, telegram, ntfy)
        finally:
            if service.process.poll() is None:
                service.kill()


def post(url: str) -> tuple[int, str]:
    """Status and page of a POST without a body."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, b""), timeout=60) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def get(url: str) -> dict[str, Any]:
    """A JSON document."""
    with urllib.request.urlopen(url, timeout=60) as response:
        document: dict[str, Any] = json.loads(response.read())
    return document


def replies(slack: SlackServer) -> list[str]:
    """What stands in threads of #ops."""
    return [one["text"] for one in slack.messages.values() if "thread_ts" in one]


@asynchronous
async def _slack_and_pagerduty(folder: Path) -> None:
    async with world(folder) as there:
        incident = await there.fire()
        await there.slack.send("interactive", pressed("acknowledge", incident, USER))
        key = f"{incident}/1"
        await until(lambda: there.pagerduty.alerts[key] == "acknowledged")
        await until(lambda: any("*Acknowledged*" in text for text in replies(there.slack)))
        url = f"{there.service.url}/api/v1/pagerduty"
        echoes = await there.pagerduty.send_webhooks(url)
        there.pagerduty.act(key, "resolved", ANN)
        answers = await there.pagerduty.send_webhooks(url)
        known = await asyncio.to_thread(get, f"{there.service.url}/api/v1/incidents/{incident}")
        after = await there.pagerduty.send_webhooks(url)
        await there.stop(incident)

    assert {one["status"] for one in echoes} == {"ignored"}
    assert [one["status"] for one in answers] == ["done"]
    assert (known["acknowledged_by"], known["resolved_by"]) == (
        "ann (U061F7AUR) (via slack)",
        "Ann Lee (via pagerduty)",
    )
    assert after == []
    assert there.pagerduty.rings == [key]


@asynchronous
async def _telegram_and_links(folder: Path) -> None:
    async with world(folder) as there:
        incident = await there.fire()
        message = next(iter(there.telegram.messages))
        place = {"message_id": message, "chat": {"id": -1001234}}
        query = {"id": "9", "from": BOB, "message": place, "data": f"acknowledge:{incident}"}
        there.telegram.update(update_id=1, callback_query=query)
        await there.telegram.until_confirmed()
        [action, *_] = _actions(there.ntfy)
        token = action["url"].rpartition("/")[2]
        second = await asyncio.to_thread(post, f"{there.service.url}/act/{token}")
        await until(lambda: "acknowledged" in there.pagerduty.alerts.values())
        counts = await there.stop(incident)

    assert (action["action"], action["method"]) == ("http", "POST")
    assert there.telegram.toasts[0]["text"] == "Bob (4712) (via telegram) acknowledged it"
    assert second[0] == 409
    assert "Bob (4712) (via telegram) acknowledged it first" in second[1]
    assert counts["receipts.delivered"] > 0


def _actions(ntfy: NtfyServer) -> list[dict[str, Any]]:
    actions: list[dict[str, Any]] = ntfy.requests[0].json()["actions"]
    return actions


@pytest.mark.parametrize(
    "story", [_slack_and_pagerduty, _telegram_and_links], ids=["slack", "telegram"]
)
def test_the_way_back(
    story: Callable[[Path], None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Through real services, with nothing that goes to and fro; and a replay says the same, byte for byte."""
    story(tmp_path)

    status = main(["replay", "--journal", str(tmp_path / "journal"), "--verify"])
    assert (status, "identical" in capsys.readouterr().out) == (0, True)
