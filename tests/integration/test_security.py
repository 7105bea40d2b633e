"""Real processes, tools and servers before a bridge that asks who they are.

What gets in, and that no secret gets out.
"""

import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from app.bridge.access.tokens import Permission
from deploy.kafka.secured import HOST, PASSWORD, authority, certificate, free_ports
from tests.integration.conftest import Kafka
from tests.integration.servers import server
from tests.support.engines import ROOT, Tocsin, wait_until

TOKENS = {may: f"{may}.correct-horse-battery-staple" for may in Permission}
WRONG = "wrong.correct-horse-battery-staple"
SECONDS = 30


@dataclass
class Guarded:
    """A service with TLS and tokens; each token is in the file of its name."""

    service: Tocsin
    folder: Path

    def ask(self, method: str, path: str, token: str, body: Any = None) -> tuple[int, bytes]:
        """Status and answer."""
        context = ssl.create_default_context(cafile=str(self.folder / "ca.crt"))
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.service.url + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=SECONDS, context=context) as response:
                return response.status, response.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def http_config(self, may: str, kind: str = "authorization") -> str:
        """What Prometheus, Alertmanager and amtool are told, as YAML on one line."""
        token = {
            "authorization": "credentials_file",
            "basic_auth": f"username: {may}er, password_file",
        }[kind]
        return f"{kind}: {{{token}: {self.folder / may}}}, tls_config: {{ca_file: {self.folder / 'ca.crt'}}}"


def secure(folder: Path) -> dict[str, str]:
    """Tokens and a certificate in a folder, and the settings that name them."""
    folder.mkdir()
    authority(folder, "ca")
    signed, key = certificate(folder, "bridge", "ca", f"IP:{HOST}")
    key.chmod(0o600)
    (folder / "tokens").touch(0o600)
    (folder / "tokens").write_text(
        "".join(f"{may}er {may} {token}\n" for may, token in TOKENS.items())
    )
    for may, token in TOKENS.items():
        (folder / may).write_text(token)
    return {
        "TOCSIN_TOKENS": f"{folder}/tokens",
        "TOCSIN_TLS_CERT": str(signed),
        "TOCSIN_TLS_KEY": str(key),
    }


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Guarded]:
    """A service that asks who one is, and has to end well."""
    settings = secure(tmp_path / "secrets")
    service = Tocsin("up", TOCSIN_BROKER=f"embedded:{tmp_path / 'journal'}", **settings)
    yield Guarded(service, tmp_path / "secrets")
    service.stop()


def amtool(guarded: Guarded, config: str, *arguments: str) -> tuple[int, str, str]:
    """Exit status, output and complaints of `amtool silence`."""
    binary = shutil.which("amtool")
    assert binary, "amtool is missing: install Debian's package prometheus-alertmanager"
    (guarded.folder / "http.yml").write_text(f"{{{config}}}")
    command = [
        binary,
        f"--alertmanager.url={guarded.service.url}",
        f"--http.config.file={guarded.folder}/http.yml",
    ]
    done = subprocess.run(
        [*command, "silence", *arguments], capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout.strip(), done.stderr.strip()


ADD = ("add", "alertname=X", "--author=bob", "--comment=known", "--duration=2h")


def test_amtool(guarded: Guarded) -> None:
    """It sends its token over TLS; one that may read may not silence, and none may nothing."""
    added = amtool(guarded, guarded.http_config("operate"), *ADD)
    basic = amtool(guarded, guarded.http_config("operate", "basic_auth"), *ADD)
    reader = guarded.http_config("read")
    listed, refused = amtool(guarded, reader, "query", "-o", "json"), amtool(guarded, reader, *ADD)
    nobody = amtool(guarded, f"tls_config: {{ca_file: {guarded.folder}/ca.crt}}", "query")

    assert (added[0], basic[0], listed[0], refused[0], nobody[0]) == (0, 0, 0, 1, 1)
    assert [one["createdBy"] for one in json.loads(listed[1])] == ["bob (via operateer)"] * 2
    assert "(status 403)" in refused[2]
    assert "(status 401)" in nobody[2]


@pytest.mark.parametrize("kind", ["authorization", "basic_auth"])
@pytest.mark.parametrize("way", ["directly", "through Alertmanager"])
def test_prometheus(guarded: Guarded, tmp_path: Path, way: str, kind: str) -> None:
    """A real Prometheus pushes and scrapes, and a real Alertmanager hands on, with the configuration of SECURITY.md."""
    ports = free_ports(2)
    address = guarded.service.url.removeprefix("https://")
    sending = guarded.http_config("send", kind)
    (tmp_path / "alertmanager.yml").write_text(
        "route: {receiver: tocsin, group_wait: 1s, group_interval: 1s, repeat_interval: 1m, group_by: ['...']}\n"
        "receivers:\n- name: tocsin\n  webhook_configs:\n"
        f"  - {{url: '{guarded.service.url}/webhook/alertmanager', send_resolved: true, http_config: {{{sending}}}}}\n"
    )
    push = f"scheme: https, {sending}, static_configs: [{{targets: ['{address}']}}]"
    if way != "directly":
        push = f"static_configs: [{{targets: ['127.0.0.1:{ports[1]}']}}]"
    scrape = f"job_name: tocsin, scheme: https, {guarded.http_config('read', kind)}"
    (tmp_path / "prometheus.yml").write_text(
        "global: {scrape_interval: 1s, evaluation_interval: 1s}\n"
        "rule_files: [rules.yml]\n"
        f"scrape_configs: [{{{scrape}, static_configs: [{{targets: ['{address}']}}]}}]\n"
        f"alerting: {{alertmanagers: [{{{push}}}]}}\n"
    )
    # It fires when the scrape, which needs a token too, has worked.
    rule = "{alert: Scraped, expr: 'tocsin_bridge_connections > 0', labels: {component: bridge, severity: critical}}"
    (tmp_path / "rules.yml").write_text(f"groups: [{{name: tocsin, rules: [{rule}]}}]\n")
    manager = [
        "prometheus-alertmanager",
        f"--config.file={tmp_path}/alertmanager.yml",
        f"--storage.path={tmp_path}/am",
    ]
    manager += [f"--web.listen-address=127.0.0.1:{ports[1]}", "--cluster.listen-address="]
    prometheus = [
        "prometheus",
        f"--config.file={tmp_path}/prometheus.yml",
        f"--storage.tsdb.path={tmp_path}/data",
    ]
    prometheus += [f"--web.listen-address=127.0.0.1:{ports[0]}"]
    with (
        server(tmp_path, manager, f"http://127.0.0.1:{ports[1]}/-/ready"),
        server(tmp_path, prometheus, f"http://127.0.0.1:{ports[0]}/-/ready"),
    ):
        wait_until(lambda: bool(incidents(guarded)), "an incident")

    assert [(one["component"], one["severity"]) for one in incidents(guarded)] == [("bridge", "P0")]


def incidents(guarded: Guarded) -> list[Any]:
    """The incidents, as a board reads them."""
    status, answer = guarded.ask("GET", "/api/v1/incidents", TOKENS[Permission.READ])
    assert status == 200
    found: list[Any] = json.loads(answer)["items"]
    return found


def tocsin(*arguments: str, **settings: str) -> tuple[int, str, str]:
    """Exit status, output and complaints of a command that ends by itself."""
    command = [sys.executable, "-m", "app", *arguments]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | settings,
        cwd=ROOT,
        timeout=SECONDS,
    )
    return done.returncode, done.stdout.strip(), done.stderr.strip()


def test_commands(guarded: Guarded) -> None:
    """The command line proves who it is, and trusts whom it is told to.

    The timeline has both names. If not, it says why.
    """
    alert = {"labels": {"alertname": "A", "component": "c", "severity": "critical"}}
    assert guarded.ask("POST", "/api/v2/alerts", TOKENS[Permission.SEND], [alert])[0] == 200
    wait_until(lambda: bool(incidents(guarded)), "an incident")
    name = incidents(guarded)[0]["incident"]
    where = {"TOCSIN_URL": guarded.service.url, "TOCSIN_CA_FILE": f"{guarded.folder}/ca.crt"}
    tokens = {may: {"TOCSIN_TOKEN_FILE": str(guarded.folder / may)} for may in Permission}
    note = ("note", name, "looking", "--by", "bob")

    done = tocsin(*note, **where, **tokens[Permission.OPERATE])
    refused = [
        tocsin(*note, **where),
        tocsin(*note, **where, TOCSIN_TOKEN=WRONG),
        tocsin(*note, **where, **tokens[Permission.READ]),
        tocsin(*note, **where, **tokens[Permission.READ], TOCSIN_TOKEN=WRONG),
        tocsin(*note, **where, TOCSIN_TOKEN=f"{WRONG}\r\nX: y"),
        tocsin(*note, **tokens[Permission.OPERATE], TOCSIN_URL=guarded.service.url),
        tocsin(
            *note,
            **tokens[Permission.OPERATE],
            TOCSIN_URL=guarded.service.url.replace("https", "http"),
        ),
    ]

    def said() -> list[Any]:
        timeline = json.loads(
            guarded.ask("GET", f"/api/v1/incidents/{name}", TOKENS[Permission.READ])[1]
        )["timeline"]
        return [one["by"] for one in timeline if one["kind"] == "Noted"]

    wait_until(lambda: bool(said()), "a note")
    assert (done[0], said()) == (0, ["bob (via operateer)"])
    url = f"{guarded.service.url}/api/v1/incidents/{name}/note"
    certificates = "TOCSIN_CERT_FILE and TOCSIN_KEY_FILE"
    assert refused == [
        (1, "", f"tocsin: {text}")
        for text in (
            "there is no token, must be one of TOCSIN_TOKENS: Authorization: Bearer TOKEN (set TOCSIN_TOKEN_FILE)",
            "the token is not one of TOCSIN_TOKENS (set TOCSIN_TOKEN_FILE)",
            "the token of reader may read, must be one that may operate",
            "TOCSIN_TOKEN and TOCSIN_TOKEN_FILE are both set, must be one of them",
            "TOCSIN_TOKEN must be one token, without spaces",
            (
                f"no bridge at {url}: its certificate is not trusted (unable to get local issuer certificate); "
                "is TOCSIN_CA_FILE who signed it?"
            ),
            (
                f"no bridge at {url.replace('https', 'http')}: it closes the connection; is it https (TOCSIN_URL), "
                f"does it want {certificates}?"
            ),
        )
    ]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (
            {"TOCSIN_HOST": "0.0.0.0"},
            (
                "TOCSIN_HOST is '0.0.0.0', where others can reach Tocsin, and it asks nobody who they are; must be 127.0.0.1, "
                "or TOCSIN_TOKENS a file of tokens (SECURITY.md), or TOCSIN_INSECURE=yes among friends"
            ),
        ),
        (
            {"TOCSIN_TOKENS": "/nowhere"},
            "TOCSIN_TOKENS is '/nowhere', which cannot be read: No such file or directory",
        ),
        (
            {"TOCSIN_TLS_CERT": "/nowhere", "TOCSIN_TLS_KEY": "/nor here"},
            "TOCSIN_TLS_CERT and TOCSIN_TLS_KEY is '/nowhere and /nor here', which cannot be read: No such file or directory",
        ),
    ],
)
def test_fails_closed(tmp_path: Path, settings: dict[str, str], expected: str) -> None:
    """What cannot ask who one is does not start where it has to, and leaves nothing behind."""
    told = tocsin(
        "up", TOCSIN_BROKER=f"embedded:{tmp_path / 'journal'}", TOCSIN_PORT="0", **settings
    )

    assert told == (1, "", f"tocsin: {expected}")
    assert not (tmp_path / "journal").exists()


def test_insecure_is_loud(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """It works as was asked for, and warns."""
    settings = {"TOCSIN_HOST": "0.0.0.0", "TOCSIN_INSECURE": "yes"}
    service = Tocsin("up", TOCSIN_BROKER=f"embedded:{tmp_path}", **settings)
    url = service.url.replace("0.0.0.0", HOST)
    with urllib.request.urlopen(f"{url}/api/v1/incidents", timeout=SECONDS) as response:
        status = response.status
    service.stop()

    warning = (
        f"WARNING tocsin.bridge: TOCSIN_INSECURE: whoever can reach {service.url} may do EVERYTHING"
    )
    assert (status, warning in "".join(capfd.readouterr())) == (200, True)


def test_no_secret_gets_out(
    kafka: Kafka, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Not the tokens that are right, nor those that are wrong, nor Kafka's password.

    In no output, no metric, no answer.
    """
    secrets = secure(tmp_path / "secrets")
    port = free_ports(1)[0]
    settings = kafka.settings("SASL_SSL", PASSWORD=PASSWORD, PASSWORD_FILE=None)
    settings |= {
        "TOCSIN_PREFIX": "secrets",
        "TOCSIN_PARTITIONS": "2",
        "TOCSIN_METRICS_PORT": str(port),
    } | secrets
    bridge, worker = Tocsin("bridge", **settings), Tocsin("worker", **settings)
    asked, metrics = Guarded(bridge, tmp_path / "secrets"), Guarded(worker, tmp_path / "secrets")
    worker.url = f"https://{HOST}:{port}"
    everything = [*TOKENS.values(), WRONG]
    answers = [
        asked.ask(method, path, token, body)
        for token in everything
        for method, path, body in _requests(token)
    ]
    answers += [metrics.ask("GET", "/metrics", token) for token in everything]
    answers += [(0, _raw(bridge.url, asked.folder, token)) for token in everything]
    text = (tmp_path / "secrets" / "tokens").read_text()
    for broken in (f"{text}x {WRONG}\n", f"{WRONG}\n", text):
        (tmp_path / "secrets" / "tokens").write_text(broken)
        wait_until(
            partial(_good_is, asked, "0" if broken != text else "1"),
            "the tokens are read again",
        )
    worker.stop()
    bridge.stop()
    url = settings["TOCSIN_BROKER"].replace("://", f"://tocsin:{PASSWORD}@")
    refused = tocsin("bridge", **settings | {"TOCSIN_BROKER": url})

    out = "".join(capfd.readouterr())
    told = out + "".join(refused[1:]) + "".join(answer.decode() for _, answer in answers)
    assert {status for status, _ in answers} >= {0, 200, 202, 400, 401, 403, 404}
    assert "the tokens are NOT renewed" in out
    assert refused[0] == 1
    assert [secret for secret in (*everything, PASSWORD) if secret in told] == []


def _good_is(asked: Guarded, expected: str) -> bool:
    return _good(asked) == expected


def _good(asked: Guarded) -> str:
    text = asked.ask("GET", "/metrics", TOKENS[Permission.READ])[1].decode()
    found = re.search(r'tocsin_bridge_files_good\{what="tokens"\} (\d)', text)
    return found[1] if found else ""


def _requests(token: str) -> list[tuple[str, str, Any]]:
    """Requests that are good, bad and nonsense.

    A token stands only where it belongs, or where nothing is shown again.
    """
    incident = "/api/v1/incidents/INC-20260412T031502Z-00K3F"
    return [
        ("POST", "/api/v2/alerts", [{"labels": {"alertname": "A", "component": "c"}}]),
        ("POST", "/api/v2/alerts", [{"labels": {}}]),
        ("POST", "/api/v2/alerts", {"Authorization": token}),
        ("GET", "/api/v1/incidents", None),
        ("GET", f"/api/v1/incidents?token={token}", None),
        ("GET", f"/nothing?token={token}", None),
        ("POST", f"{incident}/note", {"by": "bob", "text": "hello"}),
        ("POST", "/api/v1/receipts", []),
        ("GET", "/metrics", None),
    ]


def _raw(url: str, folder: Path, token: str) -> bytes:
    """What is answered to headers that are not HTTP."""
    context = ssl.create_default_context(cafile=str(folder / "ca.crt"))
    host, port = url.removeprefix("https://").split(":")
    with (
        socket.create_connection((host, int(port)), SECONDS) as plain,
        context.wrap_socket(plain, server_hostname=host) as one,
    ):
        one.sendall(f"GET / HTTP/1.1\r\nAuthorization: Bearer {token}\0\r\n\r\n".encode())
        found = b""
        while more := one.recv(65536):
            found += more
        return found
