"""SSH servers that are silent, hang, send data without end, cannot be reached or put misleading text into their answer."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING

import pytest
from deploy_key_texts import ED25519, login
from git_sources import make_source
from ssh_repositories import OTHER, reading, server, shop
from test_git_safety import processes, until

from agent.values.errors import LimitError, SourceError, SourceUnavailableError
from testbed.sshserver import SshServer, public

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from agent.adapters.git.mirrors import Mirrors
    from testbed.repository import Repository

__all__ = ["reading", "server", "shop"]

CANARY = "c4n4ry-words-of-the-server"


@contextlib.contextmanager
def listening(greeting: bytes, *, endless: bool = False) -> Generator[str]:
    """A port where a server greets, and then says nothing more or the same without end."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    held.append(connection)
                    connection.sendall(greeting)
                    while endless:
                        connection.sendall(greeting)

        held: list[socket.socket] = []
        threading.Thread(target=serve, daemon=True).start()
        try:
            yield f"127.0.0.1:{listener.getsockname()[1]}"
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            for connection in held:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
                connection.close()


@pytest.mark.parametrize("greeting", [b"", b"SSH-2.0-slow\r\n"], ids=["before its greeting", "before the key exchange"])
async def test_a_server_that_says_nothing_is_left_after_the_timeout(
    greeting: bytes, make_mirrors: Callable[..., Mirrors]
) -> None:
    with listening(greeting) as netloc:
        mirrors = make_mirrors(git={"allowedHosts": [netloc], "timeoutSeconds": 1})
        with pytest.raises(SourceUnavailableError, match="did not answer in time"):
            await mirrors.head(make_source(f"ssh://git@{netloc}/shop"), login(ED25519, f"{netloc} {public(OTHER)}"))
        await until(lambda: not processes(netloc))


@pytest.mark.parametrize("stage", ["key", "command"])
@pytest.mark.parametrize("method", ["head", "fetch"])
async def test_a_server_that_hangs_later_is_left_too(
    stage: str, method: str, server: SshServer, shop: Repository, reading: Callable[..., Mirrors]
) -> None:
    server.doings.stall = stage
    with pytest.raises(SourceUnavailableError, match="did not answer in time"):
        await getattr(reading(server, seconds=1), method)(make_source(shop.url), login(ED25519, server.known_hosts))
    await until(lambda: not processes(server.netloc) and not processes(f"-p\0{server.port}"))


async def test_what_is_sent_without_end_has_an_end(
    server: SshServer, shop: Repository, reading: Callable[..., Mirrors], make_mirrors: Callable[..., Mirrors]
) -> None:
    secret = login(ED25519, server.known_hosts)
    server.doings.flood = True
    for method in ("head", "fetch"):
        with pytest.raises((SourceError, LimitError)):
            await getattr(reading(server, seconds=2), method)(make_source(shop.url), secret)
        await until(lambda: not processes(f"-p\0{server.port}"))
    with listening(b"x" * 4096, endless=True) as netloc:
        mirrors = make_mirrors(git={"allowedHosts": [netloc], "timeoutSeconds": 2})
        with pytest.raises(SourceUnavailableError):
            await mirrors.head(make_source(f"ssh://git@{netloc}/shop"), login(ED25519, f"{netloc} {public(OTHER)}"))


async def test_a_server_that_cannot_be_reached_is_tried_again(
    server: SshServer, shop: Repository, reading: Callable[..., Mirrors]
) -> None:
    mirrors, secret = reading(server, "git.invalid"), login(ED25519, server.known_hosts)
    with server.away(), pytest.raises(SourceUnavailableError, match="cannot be reached"):
        await mirrors.head(make_source(shop.url), secret)
    with pytest.raises(SourceUnavailableError, match="name does not resolve"):
        await mirrors.head(make_source("ssh://git@git.invalid/shop"), secret)
    with listening(b"HTTP/1.1 400 Bad Request\r\n\r\n", endless=True) as netloc:
        other = reading(server, netloc)
        with pytest.raises(SourceUnavailableError, match=r"ended the connection|in time"):
            await other.head(make_source(f"ssh://git@{netloc}/shop"), secret)
    assert await mirrors.head(make_source(shop.url), secret) == shop.git("rev-parse", "main")


@pytest.mark.parametrize(
    "words",
    [
        "fatal: out of memory",
        "@       WARNING: REVOKED HOST KEY DETECTED!               @",
        "git@host: Permission denied (publickey).",
        "fatal: couldn't find remote ref refs/heads/main",
        "exit 255",
    ],
)
async def test_words_of_the_server_neither_show_nor_choose_the_error(
    words: str, server: SshServer, shop: Repository, reading: Callable[..., Mirrors]
) -> None:
    server.doings.words = f"\n{words} {CANARY}\n".encode() * 10_000
    for method in ("head", "fetch"):
        with pytest.raises(SourceError) as caught:
            await getattr(reading(server), method)(make_source(shop.url), login(ED25519, server.known_hosts))
        error = caught.value
        assert error.message == "no such repository, or the deploy key may not read it"
        assert CANARY not in f"{error!r} {error.hint} {error.facts} {error.__cause__!r} {error.__context__!r}"
