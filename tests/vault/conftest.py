"""Stores over the testbed's OpenBao, and a proxy that counts what reaches it."""

from __future__ import annotations

import http.client
import secrets
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from vault_servers import Clock, Proxy, settings

from agent.adapters.vault.stores import Stores

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator
    from pathlib import Path

    from agent.values.tree import Tree
    from testbed.openbao import OpenBao


@pytest.fixture
def proxy(openbao: OpenBao) -> Generator[Proxy]:
    state = Proxy(openbao.url)
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            super().setup()
            with lock:
                state.connections += 1

        def __getattr__(self, name: str) -> Callable[[], None]:
            if name.startswith("do_"):
                return self._forward
            raise AttributeError(name)

        def _forward(self) -> None:
            with lock:
                state.requests.append((self.command, self.path))
                state.tokens.append(self.headers.get("X-Vault-Token", ""))
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            upstream = http.client.HTTPConnection(urlsplit(state.target).netloc, timeout=10)
            try:
                upstream.request(self.command, self.path, body or None, dict(self.headers))
                answer = upstream.getresponse()
                content = answer.read()
            finally:
                upstream.close()
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.headers.get("Content-Type", "application/json"))
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

    server = Server(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield state
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def mount(openbao: OpenBao) -> str:
    """A fresh KV version 2 mount."""
    name = f"kv-{secrets.token_hex(4)}"
    openbao.enable_kv(name)
    return name


@pytest.fixture
def mount1(openbao: OpenBao) -> str:
    """A fresh KV version 1 mount."""
    name = f"kv1-{secrets.token_hex(4)}"
    openbao.enable_kv(name, version=1)
    return name


@pytest.fixture
def token_file(tmp_path: Path, openbao: OpenBao) -> Path:
    """A file with the root token."""
    path = tmp_path / "token"
    path.write_text(openbao.root_token + "\n")
    return path


@pytest.fixture
def set_token(token_file: Path) -> Callable[[str], None]:
    """Puts another token into the file, as a projected volume does: by a rename."""

    def put(token: str) -> None:
        new = token_file.with_suffix(".new")
        new.write_text(token)
        new.replace(token_file)

    return put


@pytest.fixture
async def make_stores(openbao: OpenBao, token_file: Path, clock: Clock) -> AsyncGenerator[Callable[..., Stores]]:
    """Stores with one named `main`: `make_stores(address=…, seconds=…, auth={…}, allowedPaths=[…])`; closed at the end."""
    made: list[Stores] = []

    def make(address: str = openbao.url, seconds: float = 10.0, **fields: Tree) -> Stores:
        given: dict[str, Tree] = {"auth": {"tokenFile": str(token_file)}, **fields}
        built = {"main": settings(address, **given)}
        made.append(Stores(built, monotonic=clock, jitter=lambda: 0.5, now=clock, seconds=seconds))
        return made[-1]

    yield make
    for one in made:
        await one.close()


@pytest.fixture
async def stores(make_stores: Callable[..., Stores]) -> Stores:
    return make_stores()
