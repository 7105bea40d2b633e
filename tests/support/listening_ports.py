"""What a process and its children listen on, as Linux says."""

import socket
from pathlib import Path

_LISTENING = "0A"  # TCP_LISTEN, as /proc/net/tcp has it


def listening(pid: int) -> set[str]:
    """Addresses such as `tcp 127.0.0.1:9099` on which somebody can reach the process.

    TCP that listens, UDP that is bound.
    """
    inodes = {inode for one in _family(pid) for inode in _sockets(one)}
    found = set()
    for kind in ("tcp", "tcp6", "udp", "udp6"):
        for line in Path(f"/proc/{pid}/net/{kind}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[9] in inodes and (fields[3] == _LISTENING or kind.startswith("udp")):
                found.add(f"{kind} {_address(fields[1])}")
    return found


def _family(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task")
    children = [
        int(one) for task in tasks.iterdir() for one in (task / "children").read_text().split()
    ]
    return [pid, *(descendant for child in children for descendant in _family(child))]


def _sockets(pid: int) -> set[str]:
    links = (Path(f"/proc/{pid}/fd/{one.name}") for one in Path(f"/proc/{pid}/fd").iterdir())
    names = [str(link.readlink()) for link in links if link.is_symlink()]
    return {
        name.removeprefix("socket:[").removesuffix("]")
        for name in names
        if name.startswith("socket:[")
    }


def _address(text: str) -> str:
    """From the kernel's notation, hexadecimal words in the machine's order, to ours."""
    host, port = text.split(":")
    words = [bytes.fromhex(host[start : start + 8])[::-1] for start in range(0, len(host), 8)]
    family = socket.AF_INET if len(words) == 1 else socket.AF_INET6
    return f"{socket.inet_ntop(family, b''.join(words))}:{int(port, 16)}"
