"""A Kafka that wants TLS, passwords or both.

Tocsin works on it, and says why when it is turned away.
"""

import asyncio
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from app.factory import make_log
from app.settings import BadSettings, from_environment
from app.transport.log import Log, NewRecord
from app.transport.security import client_settings
from deploy.kafka.broker import fetch
from deploy.kafka.secured import GUEST, HOST, PASSWORD, USER, authority, certificate, free_ports
from models.topics import Topics
from tests.integration.conftest import Kafka
from tests.support.engines import ROOT, Tocsin, assert_exactly_once, wait_until
from tests.support.listening_ports import listening

SECONDS = 60  # and whatever is turned away has said so
PARTITIONS = 2


async def _written_and_read(log: Log, topic: str) -> bytes | None:
    await log.start()
    try:
        await log.ensure_topics(Topics(topic).specs(1))
        offset = await log.append(Topics(topic).raw, 0, [NewRecord(None, b"hello")])
        return (await log.read(Topics(topic).raw, 0, offset))[0].value
    finally:
        await log.stop()


@pytest.mark.parametrize("protocol", ["SASL_SSL", "SASL_PLAINTEXT"])
@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"])
def test_passwords(kafka: Kafka, protocol: str, mechanism: str) -> None:
    """Producer, reader and admin client get in with each mechanism, encrypted or not."""
    log = make_log(from_environment(kafka.settings(protocol, MECHANISM=mechanism)))

    assert asyncio.run(_written_and_read(log, f"{protocol}.{mechanism}")) == b"hello"


def test_certificates(kafka: Kafka) -> None:
    """The same with a client certificate and no password."""
    assert (
        asyncio.run(_written_and_read(make_log(from_environment(kafka.settings("SSL"))), "ssl"))
        == b"hello"
    )


@pytest.mark.parametrize("protocol", ["SASL_SSL", "SSL"])
def test_worker_and_bridge(kafka: Kafka, protocol: str, capfd: pytest.CaptureFixture[str]) -> None:
    """Alerts become incidents, each effect once, and the command line reads them.

    Nobody is told the password.
    """
    prefix = f"whole.{protocol}"
    settings = kafka.settings(protocol) | {
        "TOCSIN_PREFIX": prefix,
        "TOCSIN_PARTITIONS": str(PARTITIONS),
    }
    bridge, worker = Tocsin("bridge", **settings), Tocsin("worker", **settings)
    alerts = [
        {"labels": {"alertname": "NodeDown", "component": f"c{number}"}} for number in range(20)
    ]
    assert bridge.post("/api/v2/alerts", alerts)[0] == 200

    wait_until(lambda: len(_incidents(settings)) == 20, "20 incidents")
    worker.stop()
    bridge.stop()

    counts = asyncio.run(_proven(settings))
    assert (counts["alerts"], counts["incidents"]) == (20, 20)
    said = "".join(capfd.readouterr())
    assert "partition 0: taken over" in said
    assert PASSWORD not in said


def test_a_worker_listens_on_nothing(kafka: Kafka) -> None:
    """Nobody reaches a worker.

    Its metrics, if they are asked for, and the bridge are where they were put.
    """
    port = free_ports(1)[0]
    settings = kafka.settings("SASL_SSL") | {
        "TOCSIN_PREFIX": "listening",
        "TOCSIN_PARTITIONS": str(PARTITIONS),
    }
    found = []
    for command, more in (
        ("worker", {}),
        ("worker", {"TOCSIN_METRICS_PORT": str(port)}),
        ("bridge", {}),
    ):
        process = Tocsin(command, **settings | more)
        address = urlsplit(process.url).netloc if process.url else "none"
        found.append({one.replace(address, "URL") for one in listening(process.process.pid)})
        process.stop()

    assert found == [set(), {f"tcp {HOST}:{port}"}, {"tcp URL"}]


def test_the_rights_that_are_listed_are_enough(kafka: Kafka) -> None:
    """Who has none, or all but one, is told so and ends.

    With all of SECURITY.md's, alerts become incidents.
    """
    settings = kafka.settings("SASL_SSL", USER=GUEST) | {"TOCSIN_PARTITIONS": str(PARTITIONS)}
    told = [_refused("bridge", settings), _refused("worker", settings)]
    topic, create, group, transactional = _rights()
    for right, command in ((topic, "bridge"), (create, "worker"), (group, "worker")):
        _give(kafka, right)
        told.append(_refused(command, settings))
    _give(kafka, transactional)
    bridge, worker = Tocsin("bridge", **settings), Tocsin("worker", **settings)
    assert (
        bridge.post("/api/v2/alerts", [{"labels": {"alertname": "NodeDown", "component": "c"}}])[0]
        == 200
    )
    wait_until(lambda: len(_incidents(settings)) == 1, "an incident")
    worker.stop()
    bridge.stop()

    assert told == [
        (1, "ClusterAuthorizationFailedError"),
        (1, "ClusterAuthorizationFailedError"),
        (1, "TopicAuthorizationFailedError"),
        (1, "GroupAuthorizationFailedError"),
        (70, "TransactionalIdAuthorizationFailed"),
    ]


def _refused(command: str, settings: Mapping[str, str]) -> tuple[int, str]:
    """The status of a command that is not let do something, and what it is not let do."""
    done = _run((command,), settings)
    (reason,) = set(
        re.findall(r"does not let us \((\w+)\(.*SECURITY\.md lists the rights", done.stderr)
    )
    assert "Unclosed" not in done.stderr
    return done.returncode, reason


def _rights() -> list[list[str]]:
    """The arguments of each command that SECURITY.md has."""
    lines = (ROOT / "SECURITY.md").read_text().splitlines()
    return [shlex.split(line)[1:] for line in lines if line.startswith("    kafka-acls.sh ")]


def _give(kafka: Kafka, right: list[str]) -> None:
    arguments = [f"User:{GUEST}" if word == f"User:{USER}" else word for word in right]
    tool = ["java", "-cp", f"{fetch()}/*", "org.apache.kafka.tools.AclCommand"]
    subprocess.run(
        [*tool, "--bootstrap-server", kafka.broker.bootstrap, *arguments],
        check=True,
        capture_output=True,
    )


def test_too_few_brokers_for_the_replication(kafka: Kafka) -> None:
    """Topics that the broker does not create are not waited for."""
    settings = kafka.settings("SASL_SSL") | {"TOCSIN_PREFIX": "three", "TOCSIN_REPLICATION": "3"}
    done = _run(("bridge",), settings)

    assert done.returncode == 1
    assert "tocsin: Kafka does not create the topic three." in done.stderr
    assert "with TOCSIN_REPLICATION=3 (InvalidReplicationFactorError: " in done.stderr


def _run(command: tuple[str, ...], settings: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    arguments = [sys.executable, "-m", "app", *command]
    environment = os.environ | {"TOCSIN_PORT": "0"} | dict(settings)
    return subprocess.run(
        arguments,
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )


def _incidents(settings: Mapping[str, str]) -> list[str]:
    command = [sys.executable, "-m", "app", "incidents", "list", "--json"]
    command += ["--journal", settings["TOCSIN_BROKER"]]
    done = subprocess.run(
        command,
        env=os.environ | settings,
        cwd=ROOT,
        capture_output=True,
        check=True,
        timeout=SECONDS,
    )
    return [json.loads(line)["incident"] for line in done.stdout.splitlines()]


async def _proven(settings: Mapping[str, str]) -> dict[str, int]:
    config = from_environment(settings)
    log = make_log(config)
    await log.start()
    try:
        return await assert_exactly_once(log, config)
    finally:
        await log.stop()


_NOT_TRUSTED = (
    "its certificate is not trusted ({}); TOCSIN_KAFKA_CA_FILE has to be who signed it, "
    "and TOCSIN_BROKER has to name"
)
_CLOSED = "it closes the connection; does it want TLS, a certificate or a password (TOCSIN_KAFKA_SECURITY)?"
_REFUSED = "it refuses TOCSIN_KAFKA_USER, its password or TOCSIN_KAFKA_MECHANISM ([Error 58] SaslAuthenticationFailed: "


def _turned_away(kafka: Kafka, folder: Path) -> dict[str, tuple[dict[str, str], str]]:
    other = authority(folder, "other")
    stranger, key = certificate(folder, "stranger", "other", "DNS:client")
    plain = {"TOCSIN_BROKER": f"kafka://{kafka.broker.bootstrap}"}
    here = {
        protocol: {"TOCSIN_BROKER": f"kafka://{kafka.secured.bootstrap(protocol)}"}
        for protocol in kafka.secured.ports
    }
    elsewhere = {"TOCSIN_BROKER": f"kafka://localhost:{kafka.secured.ports['SASL_SSL']}"}
    password = {"PASSWORD": f"{PASSWORD} not", "PASSWORD_FILE": None}
    scram = kafka.settings("SASL_SSL")
    return {
        "wrong password": (kafka.settings("SASL_SSL", **password), _REFUSED),
        "wrong password, PLAIN": (
            kafka.settings("SASL_SSL", MECHANISM="PLAIN", **password),
            _REFUSED,
        ),
        "unknown user": (kafka.settings("SASL_SSL", USER="nobody"), _REFUSED),
        "wrong CA": (
            scram | {"TOCSIN_KAFKA_CA_FILE": str(other)},
            _NOT_TRUSTED.format("unable to get local issuer cert")[:60],
        ),
        "no CA": (kafka.settings("SASL_SSL", CA_FILE=None), "its certificate is not trusted ("),
        "another host": (
            scram | elsewhere,
            _NOT_TRUSTED.format("Hostname mismatch, certificate is not valid for 'localhost'."),
        ),
        "no certificate": (
            kafka.settings("SSL", CERT_FILE=None, KEY_FILE=None),
            "does it want TOCSIN_KAFKA_CERT_FILE?",
        ),
        "a stranger's certificate": (
            kafka.settings("SSL", CERT_FILE=stranger, KEY_FILE=key),
            "TLS fails (",
        ),
        "plaintext where TLS is wanted": (here["SASL_SSL"], _CLOSED),
        "plaintext where a certificate is wanted": (here["SSL"], _CLOSED),
        "plaintext where a password is wanted": (
            here["SASL_PLAINTEXT"],
            "does it want a password (TOCSIN_KAFKA_SECURITY)?",
        ),
        "TLS where none is": (kafka.settings("SSL") | plain, _CLOSED),
        "a password where none is wanted": (kafka.settings("SASL_PLAINTEXT") | plain, "it "),
    }


@pytest.mark.parametrize("command", [("worker",), ("bridge",), ("incidents", "list")], ids=" ".join)
def test_whoever_is_turned_away_says_why_and_ends(
    kafka: Kafka, command: tuple[str, ...], tmp_path: Path
) -> None:
    """Status 1, one line with the reason, soon; and no password in all that was said."""
    for case, (settings, expected) in _turned_away(kafka, tmp_path).items():
        journal = ("--journal", settings["TOCSIN_BROKER"]) if "list" in command else ()
        done = _run((*command, *journal), settings)

        servers = settings["TOCSIN_BROKER"].removeprefix("kafka://")
        last = done.stderr.splitlines()[-1]
        assert (case, done.returncode, done.stdout) == (case, 1, "")
        assert last.startswith(f"tocsin: Kafka at {servers} cannot be used: "), (case, done.stderr)
        assert expected in last, case
        assert "Traceback" not in done.stderr, (case, done.stderr)
        assert PASSWORD not in done.stderr, case


def test_keys_that_cannot_be_used(kafka: Kafka, tmp_path: Path) -> None:
    """A key that is encrypted, or another's, is refused before anybody is connected to, and OpenSSL asks nobody for words."""
    signed, key = kafka.secured.client_certificate
    encrypted = tmp_path / "encrypted.key"
    subprocess.run(
        ["openssl", "pkcs8", "-topk8", "-in", key, "-out", encrypted, "-passout", "pass:secret"],
        check=True,
        capture_output=True,
    )
    for file, expected in (
        (encrypted, f"TOCSIN_KAFKA_KEY_FILE is {str(encrypted)!r}, must not be encrypted"),
        (
            kafka.secured.broker_certificate[1],
            "must be PEM that OpenSSL takes: KEY_VALUES_MISMATCH",
        ),
        (tmp_path / "missing", "which cannot be read: No such file or directory"),
    ):
        settings = from_environment(kafka.settings("SSL", CERT_FILE=signed, KEY_FILE=file))
        with pytest.raises(BadSettings) as refused:
            client_settings(settings.kafka)
        assert expected in str(refused.value)


def test_the_broker_is_on_loopback_only(kafka: Kafka) -> None:
    """Its passwords are known to everybody who reads this project."""
    properties = (kafka.broker.folder / "server.properties").read_text()
    listeners = next(line for line in properties.splitlines() if line.startswith("listeners="))

    assert listeners.count("://") == listeners.count(f"://{HOST}:") == 2 + len(kafka.secured.ports)
