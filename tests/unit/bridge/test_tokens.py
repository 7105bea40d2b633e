"""Who may ask the bridge what.

Tokens, what they may, their file, and what is asked of whom where there are none.
"""

import asyncio
import base64
import hmac
import logging
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import orjson
import pytest
from prometheus_client import REGISTRY

from app.bridge.access.authorization import PERMISSIONS
from app.bridge.access.tokens import TOKENS_MAX, Permission, tokens_in
from app.bridge.resources import Bridge
from app.clock import Clock
from app.settings import (
    BadSettings,
    HttpSecurity,
    Settings,
    check_reach,
    from_environment,
    is_loopback,
)
from tests.support.bridge_metrics import refused_count
from tests.support.fake_log import FakeLog
from tests.support.served_bridge import INCIDENT, JSON, Client, alert, error, serving
from tests.support.shipped_policy import shipped
from tests.support.token_files import bearer, write

TOKENS = {may: f"{may}-{'x' * 30}" for may in Permission}
SILENCE = {"matchers": [{"name": "a", "value": "b"}], "endsAt": "1h", "createdBy": "bob"}

# The least that a request has to have, by its resource in NEEDS.
REQUESTS: dict[tuple[str, str], Any] = {
    ("POST", "/api/v2/alerts"): [],
    ("POST", "/webhook/alertmanager"): {"version": "4", "alerts": []},
    ("POST", "/api/v1/webhooks/{name}"): {"event_name": "A"},
    ("POST", "/api/v1/incidents"): {"by": "bob", "title": "A", "severity": "P3"},
    ("POST", "/api/v1/receipts"): [],
    ("POST", "/api/v1/deadletters/{letter}/resubmitted"): {"by": "bob"},
    ("POST", "/api/v1/incidents/{incident}/{command}"): {"by": "bob"},
    ("POST", "/api/v2/silences"): SILENCE,
    ("POST", "/api/v1/silences"): SILENCE,
    ("POST", "/api/v1/silences/preview"): SILENCE,
    ("PUT", "/clock"): {"now_ms": 2_000_000_000_000},
}


BAD = ("/api/v1/cloudevents", "/v2/enqueue", "/api/v1/sns/zabbix")
TOPICS = ("arn:aws:sns:eu-west-1:123456789012:alarms",)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file with a token for each thing that one may."""
    file = tmp_path / "tokens"
    write(
        file,
        "# a comment\n\n" + "".join(f"{may}er\t{may} {token}\n" for may, token in TOKENS.items()),
    )
    return file


def basic(name: str, password: str) -> dict[str, str]:
    """The headers of a JSON request with a name and a password."""
    return JSON | {
        "Authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()
    }


def key_files(folder: Path) -> tuple[str, str]:
    """Files with the key of links and with the secret of PagerDuty's webhooks."""
    for name in ("link", "pagerduty"):
        write(folder / name, f"a key of {name} with enough bytes")
    return str(folder / "link"), str(folder / "pagerduty")


def ask(
    file: Path, *requests: tuple[str, str, Any, dict[str, str]], log: FakeLog | None = None
) -> list[Any]:
    """Status and answer to requests to a bridge with these tokens."""

    async def conversation() -> list[Any]:
        clock, worker = (
            Clock(lambda: 1000, driven=True),
            SimpleNamespace(
                ready=asyncio.Event(), pipes={}, counts=dict, next_deadline_ms=lambda: None
            ),
        )
        link, pagerduty = key_files(file.parent)
        async with serving(
            log or FakeLog(),
            clock,
            http=HttpSecurity(tokens_file=str(file)),
            worker=worker,
            link_key_file=link,
            pagerduty_key_file=pagerduty,
            sns_topics=TOPICS,
        ) as client:
            return [await _answer(client, *request) for request in requests]

    return asyncio.run(conversation())


async def _answer(
    client: Client, method: str, path: str, body: Any, headers: dict[str, str]
) -> tuple[int, Any]:
    async with client.session.request(
        method, client.url + path, json=body, headers=headers
    ) as response:
        answer = await response.read()
        return response.status, orjson.loads(
            answer
        ) if response.content_type == "application/json" else answer


@pytest.mark.parametrize("resource", PERMISSIONS, ids=" ".join)
def test_a_token_opens_what_it_may(file: Path, resource: tuple[str, str]) -> None:
    """Each resource is asked without a token, with a wrong one, and with each that there is."""
    method, path = resource
    path = (
        path.replace("{incident}", INCIDENT)
        .replace("{command}", "acknowledge")
        .replace("{id}", "x")
        .replace("{letter}", "0-1-0")
        .replace("{token}", "x")
        .replace("{name}", "zabbix")
        .replace("/api/v1/explain", "/api/v1/explain?id=x")
    )
    given = [JSON, bearer("wrong" * 8), *(bearer(TOKENS[may]) for may in Permission)]
    answers = ask(file, *((method, path, REQUESTS.get(resource), headers) for headers in given))

    need = PERMISSIONS[resource]
    refused = [
        401,
        401,
        *(
            403 if need not in (None, may) and may is not Permission.OPERATE else 0
            for may in Permission
        ),
    ]
    refused = [0] * len(given) if need is None else refused
    if path == "/api/v1/pagerduty":  # it asks for a signature, whoever it is
        assert [answer["reason"] for _, answer in answers] == ["wrong_signature"] * len(given)
        return
    assert [status if status in (401, 403) else 0 for status, _ in answers] == refused
    # what is let in is answered by the resource: there may be no such thing, or no worker, and
    # never a fault
    # An event without its headers, one whose routing key is no token, and what is no message of
    # SNS are refused as bad.
    bad = {400} if path in BAD else set()
    assert {status for status, _ in answers} <= {200, 202, 401, 403, 404, 503} | bad


def test_every_resource_says_what_it_takes(tmp_path: Path) -> None:
    """What a bridge has is in the table, and the table has nothing else."""
    some: Any = object()
    link, pagerduty = key_files(tmp_path)
    settings = Settings(clock="driven", link_key_file=link, pagerduty_key_file=pagerduty)
    settings = replace(settings, sns_topics=TOPICS)
    clock = Clock(driven=True)
    bridge = Bridge(settings, shipped(), FakeLog(), worker=some, clock=clock, reloader=some)

    assert {(route.method, route.path) for route in bridge.routes()} == set(PERMISSIONS)


def test_refusals_say_why(file: Path) -> None:
    """In JSON, with a reason, and none with what there is or with a token."""
    wrong = "wrong" * 8
    counts = [refused_count(reason) for reason in ("no_token", "wrong_token", "not_allowed")]
    answers = ask(
        file,
        ("GET", "/api/v1/incidents", None, {}),
        ("GET", "/nothing", None, {}),
        ("GET", "/nothing", None, bearer(wrong)),
        ("GET", "/nothing", None, bearer(TOKENS[Permission.SEND])),
        ("POST", "/api/v2/alerts", [], bearer(TOKENS[Permission.READ])),
    )

    none = (
        401,
        error(
            "no_token",
            "there is no token, must be one of TOCSIN_TOKENS: Authorization: Bearer TOKEN",
        ),
    )
    may_not = "the token of {} may {}, must be one that may {}"
    assert answers == [
        none,
        none,
        (401, error("wrong_token", "the token is not one of TOCSIN_TOKENS")),
        (403, error("not_allowed", may_not.format("sender", "send", "operate"))),
        (403, error("not_allowed", may_not.format("reader", "read", "send"))),
    ]
    assert [refused_count(reason) for reason in ("no_token", "wrong_token", "not_allowed")] == [
        counts[0] + 2,
        counts[1] + 1,
        counts[2] + 2,
    ]


def test_who_is_refused_is_told_how(file: Path) -> None:
    """As RFC 6750 has it; not Basic, for which a browser would ask its reader."""

    async def scenario() -> str:
        async with (
            serving(FakeLog(), http=HttpSecurity(tokens_file=str(file))) as client,
            client.session.get(f"{client.url}/metrics") as response,
        ):
            return response.headers["WWW-Authenticate"]

    assert asyncio.run(scenario()) == 'Bearer realm="tocsin"'


READ = TOKENS[Permission.READ]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Authorization": f"Bearer {READ}"}, 200),
        ({"Authorization": f"bearer   {READ} "}, 200),
        (basic("reader", READ), 200),
        (basic("sender", READ), 401),
        (basic("", READ), 401),
        (basic("reader", ""), 401),
        ({"Authorization": "Basic %%%"}, 401),
        ({"Authorization": "Basic " + base64.b64encode(b"\xff:\xff").decode()}, 401),
        ({"Authorization": "Basic"}, 401),
        ({"Authorization": READ}, 401),
        ({"Authorization": f"Digest {READ}"}, 401),
        ({"Authorization": f"Bearer {READ[:-1]}"}, 401),
        ({"Authorization": f"Bearer {READ}x"}, 401),
        ({"Authorization": "Bearer " + READ.upper()}, 401),
        ({"Authorization": "Bearer \udcff"}, 401),
        ({"Authorization": "Bearer"}, 401),
        ({"Authorization": ""}, 401),
        ({"X-Token": READ}, 401),
    ],
)
def test_ways_to_say_a_token(file: Path, headers: dict[str, str], status: int) -> None:
    """By the name of Bearer, or as the password of the name that it was given to."""
    assert ask(file, ("GET", "/api/v1/incidents", None, headers))[0][0] == status


def test_two_tokens_are_none(file: Path) -> None:
    """Where there are two, a proxy and the bridge could take different ones for the one that counts."""

    async def scenario() -> int:
        async with serving(FakeLog(), http=HttpSecurity(tokens_file=str(file))) as client:
            headers = [("Authorization", f"Bearer {READ}"), ("Authorization", f"Bearer {READ}")]
            async with client.session.get(f"{client.url}/metrics", headers=headers) as response:
                return response.status

    assert asyncio.run(scenario()) == 401


def test_what_is_refused_is_not_read(file: Path) -> None:
    """Nothing of it comes into the journal."""
    log = FakeLog()
    ask(file, ("POST", "/api/v2/alerts", [alert("c")], bearer(TOKENS[Permission.NOTIFY])), log=log)

    assert log.batches == []


def test_every_token_is_compared(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the same time, whichever it is and however much of it is right.

    The digests of all, to the end.
    """
    compared: list[tuple[bytes, bytes]] = []

    compare_digest = hmac.compare_digest

    def compare(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return compare_digest(one, other)

    monkeypatch.setattr(hmac, "compare_digest", compare)
    known = tokens_in(str(file)).value
    found = [known.find_holder(token) for token in (*TOKENS.values(), "wrong", "")]

    assert [holder and holder.name for holder in found] == [f"{may}er" for may in Permission] + [
        None,
        None,
    ]
    assert len(compared) == len(found) * len(TOKENS)
    assert {len(digest) for pair in compared for digest in pair} == {32}


def test_who_says_something_is_signed(file: Path) -> None:
    """What an operator calls himself is kept, with whose token it was.

    Once, and only where they differ.
    """
    log, headers = FakeLog(), bearer(TOKENS[Permission.OPERATE])
    path = f"/api/v1/incidents/{INCIDENT}/acknowledge"
    names = ("bob", "operateer", "bob (via operateer)")
    ask(file, *(("POST", path, {"by": name}, headers) for name in names), log=log)
    ask(file, ("POST", "/api/v2/silences", SILENCE, headers), log=log)

    said = [orjson.loads(value) for value in log.values()]
    assert [one["by"] for one in said] == ["bob (via operateer)", "operateer"] + [
        "bob (via operateer)"
    ] * 3


def test_tokens_are_read_again(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    """New tokens open and old ones do not, without a restart.

    A broken file changes nothing, and that is said.
    """
    caplog.set_level(logging.INFO)
    known = tokens_in(str(file))

    def opens() -> str:
        known.refresh()
        names = [
            holder.name
            for token in ("old" * 8, "new" * 8, READ)
            if (holder := known.value.find_holder(token))
        ]
        good = REGISTRY.get_sample_value("tocsin_bridge_files_good", {"what": "tokens"})
        return f"{' '.join(names)} {good:.0f}"

    seen = [opens()]
    for text in (
        f"ann operate {'old' * 8}\nann operate {'new' * 8}",
        f"bob read {'new' * 8}",
        "bob read",
        "",
        None,
    ):
        if text is None:
            file.unlink()
        else:
            write(file, text)
        seen += [opens(), opens()]
    write(file, f"cid send {'old' * 8}")
    seen.append(opens())

    assert seen == ["reader 1", *["ann ann 1"] * 2, *["bob 1"] * 2, *["bob 0"] * 6, "cid 1"]
    where = f"TOCSIN_TOKENS is '{file}'"
    renewed = "the tokens are renewed"
    kept = f"the tokens are NOT renewed, those of before stay in force: {where}"
    assert [record.getMessage() for record in caplog.records] == [
        renewed,
        renewed,
        f"{kept}: line 1: has 2 words, must have 3: a name, what it may, its token",
        f"{kept}, which has 0 tokens, must have 1 to {TOKENS_MAX}",
        f"{kept}, which cannot be read: No such file or directory",
        renewed,
    ]
    assert [record.levelname for record in caplog.records if "NOT" in record.getMessage()] == [
        "ERROR"
    ] * 3


def test_a_bridge_reads_its_tokens_again(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While it runs."""
    monkeypatch.setattr("app.bridge.http_server.SECONDS", 0.01)

    async def scenario() -> None:
        async with serving(FakeLog(), http=HttpSecurity(tokens_file=str(file))) as client:
            assert (await client.ask("GET", "/api/v1/incidents", None, bearer("new" * 8)))[0] == 401
            write(file, f"ann read {'new' * 8}\n")
            while (await client.ask("GET", "/api/v1/incidents", None, bearer("new" * 8)))[0] != 200:
                pass
            assert (await client.ask("GET", "/api/v1/incidents", None, bearer(READ)))[0] == 401

    asyncio.run(scenario())


GOOD = "g" * 20


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", f", which has 0 tokens, must have 1 to {TOKENS_MAX}"),
        ("# nobody\n", f", which has 0 tokens, must have 1 to {TOKENS_MAX}"),
        (GOOD, ": line 1: has 1 words, must have 3: a name, what it may, its token"),
        (
            f"\n\na read {GOOD} {GOOD}",
            ": line 3: has 4 words, must have 3: a name, what it may, its token",
        ),
        (
            f"{GOOD}! read {GOOD}",
            ": line 1: the name must be 1 to 64 letters, digits, dots, dashes and underscores",
        ),
        (
            f"a {GOOD} read",
            ": line 1: what it may must be of send, read, notify, operate, with commas between and no spaces",
        ),
        (
            f"a read, {GOOD}",
            ": line 1: what it may must be of send, read, notify, operate, with commas between and no spaces",
        ),
        (
            f"a read {GOOD[1:]}",
            ": line 1: the token must be 20 to 512 letters, digits and signs of ._~+/-, such as openssl rand -hex 32 gives",
        ),
        (
            f"a read {'g' * 513}",
            ": line 1: the token must be 20 to 512 letters, digits and signs of ._~+/-, such as openssl rand -hex 32 gives",
        ),
        (f"a read {GOOD}\nb send {GOOD}", ", in which a token stands twice, must be once"),
        (
            "".join(f"a read {GOOD}{number}\n" for number in range(TOKENS_MAX + 1)),
            f", which has {TOKENS_MAX + 1} tokens, must have 1 to {TOKENS_MAX}",
        ),
        ("#" * (1024 * 1024 + 1), ", which is larger than 1048576 bytes"),
    ],
)
def test_bad_tokens(tmp_path: Path, text: str, expected: str) -> None:
    """A file is taken whole or not at all.

    What is wrong is told by its place, and never with what stands there.
    """
    write(tmp_path / "tokens", text)
    with pytest.raises(BadSettings) as caught:
        tokens_in(str(tmp_path / "tokens"))

    assert str(caught.value).removeprefix(f"TOCSIN_TOKENS is '{tmp_path}/tokens'") == expected
    assert GOOD not in str(caught.value)


def test_bounds_of_tokens(tmp_path: Path) -> None:
    """The shortest, the longest, and as many as there may be."""
    lines = [f"a read {'s' * 20}", f"b send,notify {'l' * 512}"]
    lines += [f"n{number} operate {GOOD}{number}" for number in range(TOKENS_MAX - 2)]
    write(tmp_path / "tokens", "\n".join(lines))
    known = tokens_in(str(tmp_path / "tokens")).value
    found = [known.find_holder(token) for token in ("s" * 20, "l" * 512, f"{GOOD}{TOKENS_MAX - 3}")]

    assert [(one.name, one.may) for one in found if one] == [
        ("a", frozenset({Permission.READ})),
        ("b", frozenset({Permission.SEND, Permission.NOTIFY})),
        (f"n{TOKENS_MAX - 3}", frozenset(Permission)),
    ]


@pytest.mark.parametrize(
    ("mode", "warned"), [(0o600, False), (0o640, False), (0o644, True), (0o602, True)]
)
def test_a_file_that_others_can_read(
    file: Path, caplog: pytest.LogCaptureFixture, mode: int, warned: bool
) -> None:
    """It is used, and there is a warning."""
    file.chmod(mode)
    tokens_in(str(file))

    said = f"TOCSIN_TOKENS is '{file}', which every user of this machine can read or write (mode {mode:o}): chmod o= it"
    assert [record.getMessage() for record in caplog.records] == ([said] if warned else [])


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:9099", 200),
        ("127.0.0.1", 200),
        ("10.0.0.7:9099", 200),
        ("localhost:9099", 200),
        ("LocalHost", 200),
        ("tocsin.example.org:9099", 200),
        ("[::1]:9099", 200),
        ("bridge:9099", 403),
        ("tocsin.attacker.example:9099", 403),
        ("localhost.:9099", 403),
        ("127.0.0.1.attacker.example", 403),
        ("", 403),
    ],
)
def test_a_web_page_cannot_ask_in_its_own_name(file: Path, host: str, status: int) -> None:
    """Without tokens, a name that a stranger could have pointed here is refused to a browser.

    A program may use any name, and so may whoever has a token.
    """
    open_bridge = HttpSecurity(allowed_hosts=("tocsin.example.org",))
    browser = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64)"}

    async def scenario(security: HttpSecurity, headers: dict[str, str]) -> Any:
        async with serving(FakeLog(), http=security) as client:
            return await client.ask("GET", "/api/v2/silences", None, headers | {"Host": host})

    refused = asyncio.run(scenario(open_bridge, browser))
    program = asyncio.run(scenario(open_bridge, {}))
    with_token = asyncio.run(scenario(HttpSecurity(tokens_file=str(file)), bearer(READ) | browser))

    name = host.rpartition(":")[0] or host
    text = f"a browser asks by the name {name!r}, must be an address, localhost, or a name in"
    text += " TOCSIN_ALLOWED_HOSTS; with TOCSIN_TOKENS it may be any"
    assert refused == ((200, []) if status == 200 else (403, error("foreign_host", text)))
    assert (program, with_token) == ((200, []), (200, []))


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://x.example"},
        {"Referer": "http://x.example/"},
        {"Sec-Fetch-Site": "same-origin"},
        {"Cookie": "a=b"},
        {"Accept": "text/html,*/*"},
        {"Accept-Language": "en"},
    ],
    ids=lambda headers: next(iter(headers)),
)
def test_a_browser_is_known_by_what_it_sends(headers: dict[str, str]) -> None:
    """Each of these headers is one that browsers send and programs do not."""

    async def scenario() -> Any:
        async with serving(FakeLog()) as client:
            given = headers | {"Host": "x.example"}
            return (await client.ask("GET", "/api/v2/silences", None, given))[1]

    assert asyncio.run(scenario())["reason"] == "foreign_host"


@pytest.mark.parametrize("host", ["[::1].evil.example", "[::1]x", "[a]:1", "a b", "x:y", "[::1"])
def test_what_is_no_host_is_refused_to_everybody(host: str) -> None:
    """Also to programs, where there are no tokens."""

    async def scenario() -> Any:
        async with serving(FakeLog()) as client:
            return await client.ask("GET", "/api/v2/silences", None, {"Host": host})

    text = f"the Host is {host!r}, must be a name or an address, and a port"
    assert asyncio.run(scenario()) == (403, error("foreign_host", text))


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        (
            {"TLS_CERT": "c"},
            "TOCSIN_TLS_CERT is set, but TOCSIN_TLS_KEY is not; must be both or none",
        ),
        (
            {"TLS_KEY": "k"},
            "TOCSIN_TLS_KEY is set, but TOCSIN_TLS_CERT is not; must be both or none",
        ),
        (
            {"TLS_CLIENT_CA": "a"},
            "TOCSIN_TLS_CLIENT_CA is set, but TOCSIN_TLS_CERT is not, without which nobody is asked for one",
        ),
        ({"INSECURE": "1"}, "TOCSIN_INSECURE is '1', must be yes or no"),
        (
            {"INSECURE": "yes", "TOKENS": "t"},
            "TOCSIN_INSECURE is yes, but TOCSIN_TOKENS or TOCSIN_TLS_CLIENT_CA is set; must be one or the other",
        ),
        (
            {"SENDER_ALERTS": "-1"},
            "TOCSIN_SENDER_ALERTS is '-1', must be a whole number from 0 to 100000000",
        ),
        (
            {"CONNECTIONS": "1"},
            "TOCSIN_CONNECTIONS is '1', must be a whole number from 2 to 1000000",
        ),
    ],
)
def test_half_a_setting_is_refused(variables: dict[str, str], expected: str) -> None:
    """What is set and not used, and used and not set."""
    with pytest.raises(BadSettings) as caught:
        from_environment({f"TOCSIN_{name}": value for name, value in variables.items()})

    assert str(caught.value) == expected


def test_settings_of_the_bridge() -> None:
    """All of them; and an empty host is loopback, not every address, as it is to asyncio."""
    environ = {
        "TOCSIN_HOST": "",
        "TOCSIN_TOKENS": "t",
        "TOCSIN_TLS_CERT": "c",
        "TOCSIN_TLS_KEY": "k",
        "TOCSIN_TLS_CLIENT_CA": "a",
        "TOCSIN_INSECURE": "no",
        "TOCSIN_SENDER_REQUESTS": "1",
        "TOCSIN_SENDER_ALERTS": "0",
        "TOCSIN_CONNECTIONS": "2",
    }
    found = from_environment(environ)

    expected = HttpSecurity("t", "c", "k", "a", insecure=False, requests=1, alerts=0, connections=2)
    assert (found.http, found.host) == (expected, "127.0.0.1")


@pytest.mark.parametrize(
    ("host", "security", "refused"),
    [
        ("127.0.0.1", HttpSecurity(), False),
        ("127.1.2.3", HttpSecurity(), False),
        ("::1", HttpSecurity(), False),
        ("localhost", HttpSecurity(), False),
        ("0.0.0.0", HttpSecurity(), True),
        ("::", HttpSecurity(), True),
        ("10.0.0.7", HttpSecurity(), True),
        ("tocsin.example", HttpSecurity(), True),
        ("0.0.0.0", HttpSecurity(insecure=True), False),
        ("0.0.0.0", HttpSecurity(tokens_file="t"), False),
        ("0.0.0.0", HttpSecurity(client_ca_file="a"), False),
        ("0.0.0.0", HttpSecurity(cert_file="c", key_file="k"), True),
    ],
)
def test_others_reach_only_what_asks_who_they_are(
    host: str, security: HttpSecurity, refused: bool
) -> None:
    """Beyond loopback there have to be tokens or client certificates, or somebody has said that there need not be."""
    try:
        check_reach(Settings(host=host, http=security))
        found = ""
    except BadSettings as error:
        found = str(error)

    told = (
        f"TOCSIN_HOST is {host!r}, where others can reach Tocsin, and it asks nobody who they are; must be 127.0.0.1, or "
        "TOCSIN_TOKENS a file of tokens (SECURITY.md), or TOCSIN_INSECURE=yes among friends"
    )
    assert found == (told if refused else "")
    assert is_loopback(host) == (host in ("127.0.0.1", "127.1.2.3", "::1", "localhost"))
