"""The developer's Kafka, as far as it can be checked without Java."""

import json
import os
import socket
from pathlib import Path

import pytest

from deploy.kafka.broker import Broker, DeveloperKafka, main
from deploy.kafka.secured import HOST

LISTENERS = "listeners=PLAINTEXT://127.0.0.1:{},CONTROLLER://127.0.0.1:{}\n"


def test_a_node_keeps_its_ports(tmp_path: Path) -> None:
    """The ports of a folder's node are those that its properties name."""
    (tmp_path / "server.properties").write_text("node.id=1\n" + LISTENERS.format(4711, 4712))

    broker = Broker(tmp_path)

    assert (broker.port, broker.controller, broker.bootstrap) == (4711, 4712, "127.0.0.1:4711")


def test_a_new_node_has_ports_of_its_own(tmp_path: Path) -> None:
    """Two new nodes do not share a port."""
    first, second = Broker(tmp_path / "first"), Broker(tmp_path / "second")

    assert len({first.port, first.controller, second.port, second.controller}) == 4


def test_a_number_of_somebody_else_is_not_ended(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The noted process may have ended, and its number be another's, here ours: it is left alone."""
    state = tmp_path / "running.json"
    state.write_text(json.dumps({"process": os.getpid(), "bootstrap": "127.0.0.1:1"}))

    status = main(["stop"], DeveloperKafka(tmp_path / "data", state))

    assert (status, capsys.readouterr().out) == (0, "Kafka does not run\n")
    assert not state.exists()


def test_a_taken_port_is_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Kafka's data belongs to its port, so a start on a port that somebody else has is refused, and nothing is deleted."""
    monkeypatch.setattr("deploy.kafka.broker.fetch", lambda: tmp_path)
    kafka = DeveloperKafka(tmp_path / "data", tmp_path / "running.json")
    kafka.folder.mkdir()
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        (kafka.folder / "server.properties").write_text(LISTENERS.format(port, 1))
        status = main(["start"], kafka)

    message = capsys.readouterr().err
    assert (status, message.count("\n")) == (1, 1)
    assert message.startswith(f"port {port} of 127.0.0.1 is taken, and Kafka's data in ")
    assert (kafka.folder / "server.properties").exists()


def test_an_unknown_command_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """The commands are three."""
    assert main(["restart"]) == 2
    assert capsys.readouterr().err == "usage: python -m deploy.kafka.broker start|stop|clean\n"
