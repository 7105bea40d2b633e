"""A process of Tocsin listens on what it was asked to listen on, and on nothing else.

Faust would bring a web server.
"""

import socket
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from deploy.kafka.secured import free_ports
from tests.support.engines import Tocsin
from tests.support.listening_ports import listening

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells by /proc")


@pytest.mark.parametrize("metrics", [pytest.param(False, marks=pytest.mark.slow), True])
def test_up_listens_where_it_says(tmp_path: Path, metrics: bool) -> None:
    """The bridge's port on loopback, and the metrics' if they were asked for."""
    port = free_ports(1)[0] if metrics else 0
    service = Tocsin("up", TOCSIN_BROKER=f"embedded:{tmp_path}", TOCSIN_METRICS_PORT=str(port))
    try:
        found = listening(service.process.pid)
    finally:
        service.stop()

    bridge = urlsplit(service.url).netloc
    assert found == {f"tcp {bridge}"} | ({f"tcp 127.0.0.1:{port}"} if metrics else set())


def test_we_would_see_it() -> None:
    """The look into /proc finds a socket of a child, TCP or UDP, IPv4 or IPv6.

    And none that is connected.
    """
    code = (
        "import socket, sys\n"
        "kept = []\n"
        "for family, host in ((socket.AF_INET, '0.0.0.0'), (socket.AF_INET6, '::1')):\n"
        "    tcp, udp = socket.socket(family), socket.socket(family, socket.SOCK_DGRAM)\n"
        "    [one.bind((host, 0)) for one in (tcp, udp)]\n"
        "    tcp.listen()\n"
        "    kept += [tcp, udp, socket.create_connection(tcp.getsockname()[:2])]\n"
        "    print(tcp.getsockname()[1], udp.getsockname()[1])\n"
        "sys.stdout.flush(), sys.stdin.read()\n"
    )
    if not socket.has_ipv6:
        pytest.skip("there is no IPv6 here")
    shell = ["/bin/sh", "-c", '"$0" -c "$1"; true', sys.executable, code]
    child = subprocess.Popen(shell, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    ports = [child.stdout.readline().split() for _ in range(2)]
    try:
        found = listening(child.pid)
    finally:
        child.communicate("")

    (tcp, udp), (tcp6, udp6) = ports
    assert found == {
        f"tcp 0.0.0.0:{tcp}",
        f"udp 0.0.0.0:{udp}",
        f"tcp6 ::1:{tcp6}",
        f"udp6 ::1:{udp6}",
    }
