"""How the commands ask a bridge.

Whom they tell their token, and what they make of who is no bridge.
"""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.cli.bridge_client import ask_bridge
from app.settings import BadSettings, BridgeReach, reach_from_environment

TOKEN = "correct-horse-battery-staple"
SECONDS = 10


class Stranger:
    """A server that says one thing to each who asks, and remembers what they said."""

    def __init__(self, answer: bytes) -> None:
        self.heard: list[bytes] = []
        self._answer = answer
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"

    def _serve(self) -> None:
        while True:
            try:
                one, _ = self._listening.accept()
            except OSError:
                return
            with one:
                self.heard.append(one.recv(65536))
                one.sendall(self._answer)

    def stop(self) -> None:
        """End it."""
        self._listening.shutdown(socket.SHUT_RDWR)
        self._thread.join(SECONDS)
        self._listening.close()


@pytest.fixture
def strangers() -> Iterator[list[Stranger]]:
    """The strangers of a test, who end with it."""
    found: list[Stranger] = []
    yield found
    for one in found:
        one.stop()


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>",
            "{url} answered, and not as a bridge does",
        ),
        (b"SSH-2.0-OpenSSH\r\n", "{url} answered, and not as a bridge does"),
        (b"HTTP/1.1 500 No\r\nContent-Length: 2\r\n\r\n[]", "[]"),
        (
            b"HTTP/1.1 500 No\r\nContent-Length: 2\r\n\r\n{}",
            "{url} answered 500, and not as a bridge does",
        ),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 60\r\n\r\n{}",
            "{url} answered, and not as a bridge does",
        ),
    ],
    ids=["a page", "no HTTP", "a list", "an object", "half"],
)
def test_strangers(
    strangers: list[Stranger],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    answer: bytes,
    said: str,
) -> None:
    """Whatever they answer, it is told in one line."""
    strangers.append(Stranger(answer))
    monkeypatch.setenv("TOCSIN_URL", strangers[0].url)
    found = ask_bridge("GET", "/x", None)

    url = f"{strangers[0].url}/x"
    told = f"tocsin: {said.replace('{url}', url)}"
    more = ": is TOCSIN_PORT its port?" if "bridge" in said else ""
    assert (found, capsys.readouterr().err) == (None, f"{told}{more}\n")


def test_a_token_goes_to_one_place(
    strangers: list[Stranger], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who is sent elsewhere does not go there: the token would go with it."""
    elsewhere = Stranger(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
    first = Stranger(
        f"HTTP/1.1 302 Found\r\nLocation: {elsewhere.url}/\r\nContent-Length: 0\r\n\r\n".encode()
    )
    strangers += [elsewhere, first]
    monkeypatch.setenv("TOCSIN_URL", first.url)
    monkeypatch.setenv("TOCSIN_TOKEN", TOKEN)
    found = ask_bridge("GET", "/x", None)

    assert (found, elsewhere.heard) == (None, [])
    assert [f"Authorization: Bearer {TOKEN}\r\n".encode() in one for one in first.heard] == [True]
    assert "answered 302, and not as a bridge does" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["", "\n", "a b", "a\nb", "caf\u00e9", "\x1b[2J", "x" * 4097])
def test_bad_token_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """What is no token is refused, and not shown."""
    file = tmp_path / "token"
    file.write_text(text)
    monkeypatch.setenv("TOCSIN_TOKEN_FILE", str(file))
    with pytest.raises(BadSettings) as caught:
        ask_bridge("GET", "/x", None)

    assert str(caught.value) == f"TOCSIN_TOKEN_FILE is '{file}', must be one token, without spaces"


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, BridgeReach("http://127.0.0.1:9099")),
        ({"HOST": "::1", "PORT": "1"}, BridgeReach("http://[::1]:1")),
        ({"TLS_CERT": "c", "TLS_KEY": "k"}, BridgeReach("https://127.0.0.1:9099")),
        (
            {"URL": "https://tocsin.example/", "TOKEN": "t"},
            BridgeReach("https://tocsin.example", token="t"),
        ),
        (
            {
                "URL": "https://a",
                "TOKEN_FILE": "t",
                "CA_FILE": "a",
                "CERT_FILE": "c",
                "KEY_FILE": "k",
            },
            BridgeReach("https://a", token_file="t", ca_file="a", cert_file="c", key_file="k"),
        ),
    ],
)
def test_how_to_reach_a_bridge(variables: dict[str, str], expected: BridgeReach) -> None:
    """By default the one that this environment would start."""
    found = reach_from_environment({f"TOCSIN_{name}": value for name, value in variables.items()})

    assert found == expected
    assert TOKEN not in repr(BridgeReach("http://a", token=TOKEN))


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        (
            {"URL": "tocsin.example:9099"},
            "TOCSIN_URL must be such as https://tocsin.example:9099, without a user or a password",
        ),
        (
            {"URL": "file:///etc/passwd"},
            "TOCSIN_URL must be such as https://tocsin.example:9099, without a user or a password",
        ),
        (
            {"URL": f"https://a:{TOKEN}@b"},
            "TOCSIN_URL must be such as https://tocsin.example:9099, without a user or a password",
        ),
        (
            {"TOKEN": TOKEN, "TOKEN_FILE": "t"},
            "TOCSIN_TOKEN and TOCSIN_TOKEN_FILE are both set, must be one of them",
        ),
        (
            {"CERT_FILE": "c"},
            "one of TOCSIN_CERT_FILE and TOCSIN_KEY_FILE is set, must be both or none",
        ),
        (
            {"CA_FILE": "c"},
            "TOCSIN_CA_FILE or TOCSIN_CERT_FILE is set, but http://127.0.0.1:9099 uses no TLS (TOCSIN_URL)",
        ),
    ],
)
def test_half_a_setting_is_refused(variables: dict[str, str], expected: str) -> None:
    """And what is secret in one is not shown."""
    with pytest.raises(BadSettings) as caught:
        reach_from_environment({f"TOCSIN_{name}": value for name, value in variables.items()})

    assert str(caught.value) == expected


def test_a_degraded_bridge_is_told_once(
    strangers: list[Stranger], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A command says in one line of stderr what is wrong with Tocsin, and does what it does."""
    text = "No worker has reported for 12s in 8 of 8 partitions"
    strangers.append(
        Stranger(
            f"HTTP/1.1 200 OK\r\nTocsin-Degraded: {text}\r\nContent-Length: 2\r\n"
            "Connection: close\r\n\r\n{}".encode()
        )
    )
    monkeypatch.setenv("TOCSIN_URL", strangers[0].url)

    answers = [ask_bridge("GET", "/api/v1/incidents", None) for _ in range(2)]

    assert answers == [{}, {}]
    assert capsys.readouterr() == ("", f"tocsin: degraded: {text}\n")
