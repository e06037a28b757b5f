"""The network of the nodes, in the network namespace of this process: an address for the servers, and a pair of interfaces for each node."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from testbed.node.plan import SERVERS

if TYPE_CHECKING:
    from testbed.node.plan import Place

_FORWARD = Path("/proc/sys/net/ipv4/ip_forward")


_MARK = "SIGNET_NODES_NETWORK"


class NetworkError(RuntimeError):
    """The network cannot be made; the text says why."""


def mark() -> None:
    """Remember that the network namespace of this process was made for nodes; child processes know it too."""
    os.environ[_MARK] = _namespace()


def isolated() -> bool:
    """Whether this process is in a network namespace that was made for nodes."""
    return os.environ.get(_MARK) == _namespace()


def open_servers() -> None:
    """Give the servers their address, and let nodes reach one another. Raises NetworkError outside of a namespace of our own."""
    if not isolated():
        raise NetworkError("nodes need a network namespace of their own: run `make test-node`")
    _ip("link", "set", "lo", "up")
    _ip("address", "replace", f"{SERVERS}/32", "dev", "lo")
    _ = _FORWARD.write_text("1")


def connect(place: Place, pid: int) -> None:
    """Connect the network namespace of a process with ours. The interfaces go when that namespace does."""
    inner = ("nsenter", f"--net=/proc/{pid}/ns/net", "ip")
    _ip("link", "add", place.name, "type", "veth", "peer", "name", "eth0", "netns", str(pid))
    _ip("address", "add", f"{place.gateway}/30", "dev", place.name)
    _ip("link", "set", place.name, "up")
    for command in (
        ("link", "set", "lo", "up"),
        ("address", "add", f"{place.address}/30", "dev", "eth0"),
        ("link", "set", "eth0", "up"),
        ("route", "add", "default", "via", place.gateway),
    ):
        _run(*inner, *command)
    _ip("route", "replace", place.pods, "via", place.address)


def _namespace() -> str:
    return str(Path("/proc/self/ns/net").readlink())


def _ip(*arguments: str) -> None:
    _run("ip", *arguments)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NetworkError(f"{' '.join(command)}: {done.stderr.strip()}")
