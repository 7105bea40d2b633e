"""The bridge with TLS.

What it shows, whom it asks for a certificate, what it refuses to start with, and what it renews.
"""

import asyncio
import logging
import shutil
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiohttp import ClientConnectorError, ClientError, ClientSession, TCPConnector

from app.bridge.access.certificates import certificate_of, client_name
from app.bridge.connections.limits import Limits
from app.bridge.resources import Bridge
from app.settings import BadSettings, HttpSecurity, Settings
from deploy.kafka.secured import authority, certificate
from tests.support.bridge_metrics import closed_count, gauge, until
from tests.support.driven_loop import pass_time, run_driven
from tests.support.fake_log import FakeLog
from tests.support.served_bridge import INCIDENT, JSON, PARTITIONS
from tests.support.shipped_policy import shipped
from tests.support.token_files import bearer, write


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two authorities, the bridge's certificate by each, and clients' ones."""
    folder = tmp_path_factory.mktemp("tls")
    for name in ("ca", "other"):
        authority(folder, name)
        certificate(folder, f"bridge-{name}", name, "IP:127.0.0.1")
    certificate(folder, "ann", "ca", "DNS:ann.example,DNS:second.example")
    certificate(folder, "stranger", "other", "DNS:ann.example")
    for key in folder.glob("*.key"):
        key.chmod(0o600)
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """A copy of it that a test may change."""
    shutil.copytree(made, tmp_path / "tls")
    return tmp_path / "tls"


def security(folder: Path, **more: Any) -> HttpSecurity:
    """The bridge's certificate, and more."""
    return HttpSecurity(
        cert_file=str(folder / "bridge-ca.crt"), key_file=str(folder / "bridge-ca.key"), **more
    )


@asynccontextmanager
async def serving(
    http: HttpSecurity, limits: Limits | None = None, log: FakeLog | None = None
) -> AsyncIterator[str]:
    """The URL of a bridge."""
    settings = Settings(port=0, partitions=PARTITIONS, http=http)
    bridge = Bridge(settings, shipped(), log or FakeLog(), limits=limits)
    await bridge.start()
    try:
        yield bridge.url
    finally:
        await bridge.stop()


def trusting(folder: Path, name: str = "ca", own: str = "") -> ssl.SSLContext:
    """What a client trusts, and its own certificate."""
    context = ssl.create_default_context(cafile=str(folder / f"{name}.crt"))
    if own:
        context.load_cert_chain(folder / f"{own}.crt", folder / f"{own}.key")
    return context


async def ask(url: str, context: ssl.SSLContext, path: str = "/healthz", **more: Any) -> int | str:
    """The status of an answer, or the kind of error that came instead."""
    async with ClientSession(connector=TCPConnector(ssl=context, force_close=True)) as session:
        try:
            async with session.request("POST" if more else "GET", url + path, **more) as response:
                return response.status
        except ClientError as error:
            return "refused" if isinstance(error, ClientConnectorError) else "ended"


def test_speaks_tls_and_nothing_else(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """To who trusts its authority.

    Who speaks plain HTTP, or an old TLS, is not answered, and that is no fault to be logged.
    """
    before = closed_count("handshake")

    async def scenario() -> list[Any]:
        async with serving(security(folder)) as url:
            old = trusting(folder)
            old.maximum_version = ssl.TLSVersion.TLSv1_1
            found = [
                await ask(url, trusting(folder)),
                await ask(url, trusting(folder, "other")),
                await ask(url, old),
            ]
            plain = await ask(url.replace("https", "http"), trusting(folder))
            await until(lambda: gauge("connections") == 0)
            return [url.partition(":")[0], *found, plain]

    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        found = asyncio.run(scenario())

    assert found == ["https", 200, "refused", "refused", "ended"]
    assert (
        closed_count("handshake") - before >= 2
    )  # who does not trust us says so after its part of the handshake
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_asks_for_a_certificate(folder: Path) -> None:
    """Only who has one of the right authority is let in, to probes too.

    It is known by it, in limits and in what it says.
    """
    log = FakeLog()
    http = security(folder, client_ca_file=str(folder / "ca.crt"))
    path = f"/api/v1/incidents/{INCIDENT}/acknowledge"

    async def scenario() -> list[Any]:
        async with serving(http, Limits(requests_per_second=0.001, burst_seconds=2000), log) as url:
            ann = trusting(folder, own="ann")
            found = [
                await ask(url, trusting(folder)),
                await ask(url, trusting(folder, own="stranger")),
            ]
            found += [await ask(url, ann), await ask(url, ann, path, json={"by": "bob"})]
            return found + [await ask(url, ann, path, json={"by": "ann.example"}) for _ in range(2)]

    found = asyncio.run(scenario())

    assert found == ["ended", "ended", 200, 202, 202, 429]
    assert [orjson.loads(value)["by"] for value in log.values()] == [
        "bob (via ann.example)",
        "ann.example",
    ]


def test_asks_for_both(folder: Path) -> None:
    """Where there are tokens too, a certificate opens the door, and the token says who it is."""
    write(folder / "tokens", f"carl read {'c' * 20}\n")
    http = security(
        folder, client_ca_file=str(folder / "ca.crt"), tokens_file=str(folder / "tokens")
    )

    async def scenario() -> list[Any]:
        async with serving(http) as url:
            own, path = trusting(folder, own="ann"), "/api/v2/alerts"
            return [
                await ask(url, own, path, json=[]),
                await ask(url, own, path, data=b"[]", headers=bearer("c" * 20)),
                await ask(url, own, "/healthz"),
                await ask(url, trusting(folder), path, data=b"[]", headers=JSON),
            ]

    assert asyncio.run(scenario()) == [401, 403, 200, "ended"]


def test_certificates_are_read_again(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A new one is shown, without a restart.

    One that does not fit its key changes nothing, and is told.
    """
    caplog.set_level(logging.INFO)
    known = certificate_of(security(folder))
    assert known is not None
    seen = [known.value]
    for end in ("crt", "key"):
        shutil.copy(folder / f"bridge-other.{end}", folder / f"bridge-ca.{end}")
        known.refresh()
        seen.append(known.value)

    assert (seen[0] is seen[1], seen[1] is seen[2]) == (True, False)
    first, second = (record.getMessage() for record in caplog.records)
    assert first.startswith(
        "the certificates are NOT renewed, those of before stay in force: TOCSIN_TLS_CERT and "
    )
    assert second == "the certificates are renewed"


def test_a_bridge_reads_its_certificates_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While it runs: its own, and whom it trusts."""
    monkeypatch.setattr("app.bridge.http_server.SECONDS", 0.01)

    async def scenario() -> list[Any]:
        async with serving(security(folder, client_ca_file=str(folder / "ca.crt"))) as url:
            ann, stranger = trusting(folder, own="ann"), trusting(folder, "other", own="stranger")
            found = [await ask(url, ann), await ask(url, stranger)]
            for name in ("bridge-{}.key", "bridge-{}.crt", "{}.crt"):
                shutil.copy(folder / name.format("other"), folder / name.format("ca"))
            while await ask(url, stranger) != 200:
                pass
            return [*found, await ask(url, ann)]

    assert asyncio.run(scenario()) == [200, "refused", "refused"]


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        (
            "bridge-ca.crt",
            None,
            "TOCSIN_TLS_CERT and TOCSIN_TLS_KEY is {both}, which cannot be read: No such file or directory",
        ),
        (
            "bridge-ca.key",
            None,
            "TOCSIN_TLS_CERT and TOCSIN_TLS_KEY is {both}, which cannot be read: No such file or directory",
        ),
        (
            "bridge-ca.crt",
            "nothing",
            "TOCSIN_TLS_CERT and TOCSIN_TLS_KEY is {both}, must be PEM that OpenSSL takes: ",
        ),
        (
            "ca.crt",
            None,
            "TOCSIN_TLS_CLIENT_CA is {ca}, which cannot be read: No such file or directory",
        ),
        ("ca.crt", "", "TOCSIN_TLS_CLIENT_CA is {ca}, must be PEM that OpenSSL takes: "),
    ],
)
def test_fails_closed(folder: Path, name: str, content: str | None, expected: str) -> None:
    """A file that is missing or is nothing ends the start, with its setting, its name and the reason."""
    if content is None:
        (folder / name).unlink()
    else:
        (folder / name).write_text(content)
    http = security(folder, client_ca_file=str(folder / "ca.crt"))
    with pytest.raises(BadSettings) as caught:
        Bridge(Settings(http=http), shipped(), FakeLog())

    both = repr(f"{folder}/bridge-ca.crt and {folder}/bridge-ca.key")
    assert str(caught.value).startswith(expected.format(both=both, ca=repr(f"{folder}/ca.crt")))


def test_an_encrypted_key_is_refused(folder: Path) -> None:
    """OpenSSL would ask for its password on the terminal, and wait for ever."""
    key = folder / "bridge-ca.key"
    encrypt(key)
    with pytest.raises(BadSettings) as caught:
        certificate_of(security(folder))

    assert str(caught.value) == f"TOCSIN_TLS_KEY is '{key}', must not be encrypted"


def encrypt(key: Path) -> None:
    """Encrypt a key in its place."""
    command = [
        "openssl",
        "pkey",
        "-in",
        str(key),
        "-aes256",
        "-passout",
        "pass:secret",
        "-out",
        f"{key}.new",
    ]
    subprocess.run(command, check=True, capture_output=True)
    Path(f"{key}.new").replace(key)


def test_a_key_that_others_can_read(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is used, and there is a warning."""
    (folder / "bridge-ca.key").chmod(0o644)
    certificate_of(security(folder))

    assert "TOCSIN_TLS_KEY is" in caplog.text
    assert "mode 644" in caplog.text


def test_a_handshake_that_dribbles(folder: Path) -> None:
    """It has its time, and counts as a connection while it lasts; stopping does not wait for it."""
    before = closed_count("handshake")

    async def scenario() -> list[Any]:
        async with serving(security(folder), Limits(handshake_seconds=10, connections=4)) as url:
            host, port = url.removeprefix("https://").split(":")
            silent = [socket.create_connection((host, int(port))) for _ in range(3)]
            await until(lambda: gauge("connections") == 2)
            while closed_count("handshake") < before + 2:
                await pass_time(10)
            left = gauge("connections")
            found = await ask(url, trusting(folder))
            silent.append(socket.create_connection((host, int(port))))
            await until(lambda: gauge("connections") == 1)
        for one in silent:
            with suppress(OSError):
                one.close()
        return [left, found, gauge("connections")]

    assert run_driven(scenario()) == [0, 200, 0]


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ({}, "somebody"),
        ({"subject": ((("countryName", "DE"),), (("commonName", "ann"),))}, "ann"),
        (
            {
                "subject": ((("commonName", "ann"),),),
                "subjectAltName": (("URI", "spiffe://x/ann"), ("DNS", "b")),
            },
            "spiffe://x/ann",
        ),
    ],
)
def test_whom_a_certificate_is_for(found: dict[str, Any], expected: str) -> None:
    """Its first name, else its subject's."""
    assert client_name(found) == expected
