"""What stands between a client and its server can be cut, refuse, or lose everything."""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING

import pytest

from testbed.processes import wait_until
from testbed.relay import Relay

if TYPE_CHECKING:
    from collections.abc import Generator


@pytest.fixture
def relay() -> Generator[Relay]:
    """In front of a server that answers what it is sent."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=echo, args=(connection,), daemon=True).start()

        def echo(connection: socket.socket) -> None:
            with connection:
                try:
                    while data := connection.recv(100):
                        connection.sendall(data)
                except OSError:
                    return

        server = threading.Thread(target=serve)
        server.start()
        with Relay(listener.getsockname()[1]) as running:
            yield running
        listener.shutdown(socket.SHUT_RDWR)
        server.join()


def connect(relay: Relay) -> socket.socket:
    return socket.create_connection(("127.0.0.1", relay.port), timeout=5)


def test_it_forwards(relay: Relay):
    with connect(relay) as client:
        client.sendall(b"hello")
        assert client.recv(100) == b"hello"
        client.shutdown(socket.SHUT_WR)
        assert client.recv(100) == b""


def test_what_is_dropped_comes_when_it_resumes(relay: Relay):
    with connect(relay) as client:
        client.sendall(b"1")
        assert client.recv(100) == b"1"
        relay.drop()
        client.sendall(b"2")
        with connect(relay) as other:
            other.sendall(b"3")
            for each in (client, other):
                each.settimeout(0.2)
                with pytest.raises(TimeoutError):
                    each.recv(100)
                each.settimeout(5)
            relay.resume()
            assert (client.recv(100), other.recv(100)) == (b"2", b"3")


def test_what_is_cut_never_comes(relay: Relay):
    with connect(relay) as client:
        client.sendall(b"1")
        assert client.recv(100) == b"1"
        relay.drop()
        client.sendall(b"2")
        relay.cut()
        relay.resume()
        assert client.recv(100) == b""


def test_it_refuses(relay: Relay):
    relay.refuse = True
    with connect(relay) as client:
        assert client.recv(100) == b""
    wait_until(lambda: relay.accepted == 1, 5, "the connection is counted")
