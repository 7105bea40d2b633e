"""A receivers file: what a good one says, and every mistake of a bad one at once."""

from pathlib import Path

import orjson
import pytest
from jsonschema import Draft202012Validator

from app.cli.main import main
from app.files.yaml_file import BadFile
from app.notifier.channel import ChannelKind
from app.notifier.channels.registry import REGISTRY
from app.notifier.ledger.limits import DEFAULT, Limit
from app.notifier.setup.receivers_file import Receivers, read
from tests.support.ledger_world import notification

ROOT = Path(__file__).parents[3]
GOOD = """
version: 1
receivers:
  pd: {pagerduty: {routing_key_env: TEST_PD_KEY}}
  hook: {webhook: {url: "https://hooks.example.org/tocsin", format: alertmanager}}
  sms: {twilio_sms: {account_sid: AC00000000000000000000000000000000, from: "+15550100",
        token_env: TEST_TWILIO_TOKEN}}
  terminal: {terminal: {}}
contacts:
  - {channel: pager, address: ops-primary, through: [pd, {receiver: sms, address: "+15550199"}]}
  - {channel: pager, name: Duty manager, through: [hook]}
  - {channel: pager, through: [terminal]}
  - {channel: chat, through: [terminal]}
allow_private_addresses: [10.1.0.0/16]
public_url: https://tocsin.example.org
limits:
  webhook: [{sends: 10, within: 1h}, {sends: 2, within: 1m}]
delivery: {page_deadline: 30s}
"""
BAD = """
version: 2
receivers:
  hook: {webhook: {url: "https://example.org", format: alertmanagr, bla: 3}}
  pd: {pagerduty: {}}
  two: {terminal: {}, webhook: {url: "https://example.org", format: alertmanager}}
  none: {}
  odd: {pagerdty: {routing_key_file: /x}}
contacts:
  - {channel: phone, through: [hook]}
  - {channel: pager, adress: x, through: []}
limits: {twilio_sms: [{sends: 0, within: 5 min}]}
delivery: {page_deadline: soon}
allow_private_addresses: [10.0.0.0/33]
"""
KINDS = ", ".join(ChannelKind)
MISTAKES = [
    "2:1: version: is 2, must be 1",
    "4:48: receivers.hook.webhook.format: is 'alertmanagr', must be 'standard' or 'alertmanager'",
    (
        "4:69: receivers.hook.webhook.bla: is not a key that there is here, must be one of url,"
        " format, secret_file, secret_env, token_file, token_env"
    ),
    (
        "5:8: receivers.pd.pagerduty: exactly one of routing_key_file and routing_key_env must be"
        " given, found none"
    ),
    f"6:3: receivers.two: has 2 kinds, must have exactly one of {KINDS}",
    f"7:3: receivers.none: has 0 kinds, must have exactly one of {KINDS}",
    "8:9: receivers.odd.pagerdty: is not a key that there is here; did you mean 'pagerduty'?",
    "10:6: contacts[0].channel: is 'phone', must be 'pager', 'email' or 'chat'",
    "11:22: contacts[1].adress: is not a key that there is here; did you mean 'address'?",
    "11:33: contacts[1].through: is [], must have at least 1 item",
    "12:24: limits.twilio_sms[0].sends: is 0, must be greater than or equal to 1",
    (
        "12:34: limits.twilio_sms[0].within: is '5 min', must be a duration such as 90s, 15m, 1h30m"
        " or 2d"
    ),
    "13:12: delivery.page_deadline: is 'soon', must be a duration such as 90s, 15m, 1h30m or 2d",
    "14:27: allow_private_addresses[0]: is '10.0.0.0/33', must be a network such as 10.0.0.0/8",
]
CONTRADICTING = """
version: 1
receivers:
  hook: {webhook: {url: "https://example.org", format: alertmanager}}
contacts:
  - {channel: pager, through: [hok, hook, hook]}
  - {channel: pager, through: [hook]}
  - {channel: pager, through: [hook], address: a, name: b}
public_url: tocsin.example.org
"""
CONTRADICTIONS = [
    "6:22: contacts[0].through: names a receiver twice, must name each once",
    "6:32: contacts[0].through[0]: is 'hok', which is no receiver; did you mean 'hook'?",
    "7:5: contacts[1]: stands twice for one channel and contact, must stand once",
    "8:5: contacts[2]: has an address and a name, must have one of them or none",
    "9:1: public_url: is 'tocsin.example.org', must begin with https:// or http://",
]


def _read(tmp_path: Path, text: str = GOOD) -> Receivers:
    file = tmp_path / "receivers.yaml"
    file.write_text(text)
    return read(file, REGISTRY)


@pytest.mark.parametrize(
    ("text", "mistakes"),
    [(BAD, MISTAKES), (CONTRADICTING, CONTRADICTIONS)],
    ids=["rule_id", "sense"],
)
def test_every_mistake_is_said_at_once(tmp_path: Path, text: str, mistakes: list[str]) -> None:
    """File, line, column, key, what was found and what is expected."""
    with pytest.raises(BadFile) as bad:
        _read(tmp_path, text)

    assert bad.value.problems == [f"{tmp_path}/receivers.yaml:{one}" for one in mistakes]


@pytest.mark.parametrize(
    ("fields", "through"),
    [
        ({"address": "ops-primary"}, ("pd", "sms")),
        ({"address": "ops-primary", "receiver": "Duty manager"}, ("pd", "sms")),
        ({"address": "x", "receiver": "Duty manager"}, ("hook",)),
        ({"address": "x", "receiver": "y"}, ("terminal",)),
        ({"channel": "email"}, ()),
    ],
)
def test_an_address_goes_before_a_name_and_both_before_the_rest(
    tmp_path: Path, fields: dict[str, str], through: tuple[str, ...]
) -> None:
    """The most exact contact decides; a channel without any has no receiver."""
    assert _read(tmp_path).contacts.through(notification(1, **fields)) == through


def test_a_contact_has_its_address_at_a_receiver(tmp_path: Path) -> None:
    """A pager's address of the policy is no phone number: the file says the number."""
    contacts = _read(tmp_path).contacts
    page = notification(1, address="ops-primary")

    assert contacts.address_at("sms", page) == "+15550199"
    assert contacts.address_at("pd", page) == "ops-primary"


def test_limits_of_a_kind_take_the_place_of_the_default(tmp_path: Path) -> None:
    """A kind that the file names has its limits; the others keep theirs."""
    rules = _read(tmp_path).rules

    assert rules.limits[ChannelKind.WEBHOOK] == (Limit(2, 60_000), Limit(10, 3_600_000))
    assert rules.limits[ChannelKind.TWILIO_VOICE] == DEFAULT[ChannelKind.TWILIO_VOICE]
    assert (rules.page_deadline_ms, rules.kinds["pd"]) == (30_000, ChannelKind.PAGERDUTY)


def test_check_warns_of_a_secret_that_is_not_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is good, and what will fail at once is said."""
    file = tmp_path / "receivers.yaml"
    file.write_text(GOOD)
    monkeypatch.setenv("TEST_TWILIO_TOKEN", "secret-of-twilio")
    status = main(["notify", "check", str(file)])

    out = capsys.readouterr().out
    assert (status, out.splitlines()) == (
        0,
        [
            f"{file}:4:8: receivers.pd.pagerduty: warning: routing_key_env 'TEST_PD_KEY' is empty",
            f"{file}: good: 4 receivers, 4 contacts, 1 warning",
        ],
    )


def test_a_secret_in_the_file_is_refused_and_not_repeated(tmp_path: Path) -> None:
    """There is no key for a secret itself, so that none stands in a file that is shown and copied."""
    text = GOOD.replace("routing_key_env: TEST_PD_KEY", "routing_key: abcdef0123456789")
    with pytest.raises(BadFile) as bad:
        _read(tmp_path, text)

    assert "is not a key that there is here; did you mean 'routing_key_" in str(bad.value)
    assert "abcdef0123456789" not in str(bad.value)


def test_the_schema_is_up_to_date(capsys: pytest.CaptureFixture[str]) -> None:
    """When this fails: `tocsin notify schema > docs/receivers.schema.json`."""
    assert main(["notify", "schema"]) == 0

    out = capsys.readouterr().out
    Draft202012Validator.check_schema(orjson.loads(out))
    assert (ROOT / "docs" / "receivers.schema.json").read_text() == out


def test_a_good_file_is_as_the_schema_says(tmp_path: Path) -> None:
    """What the loader takes, the schema takes."""
    document = _read(tmp_path).document.data
    schema = orjson.loads((ROOT / "docs" / "receivers.schema.json").read_bytes())

    assert [error.json_path for error in Draft202012Validator(schema).iter_errors(document)] == []
