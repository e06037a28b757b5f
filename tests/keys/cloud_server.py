"""A server on loopback that stands for hosts of a cloud: plain, or behind CONNECT and TLS under the hosts' own names."""

from __future__ import annotations

import contextlib
import http.server
import json
import logging
import os
import socket
import ssl
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from testbed import binaries
from testbed.certificates import Authority

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping
    from pathlib import Path

    import pytest


@dataclass(frozen=True)
class Request:
    host: str
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Answer:
    status: int
    body: Any
    headers: Mapping[str, str] = field(default_factory=dict)


class CloudServer:
    """Answers with `answer(request)` and keeps the requests.

    With `hosts` it is a proxy as well, which answers for these hosts itself, with certificates of `ca_file`, and for no other.
    """

    def __init__(self, answer: Callable[[Request], Answer], folder: Path | None = None, hosts: tuple[str, ...] = ()):
        self.answer = answer
        self.seen: list[Request] = []
        context: ssl.SSLContext | None = None
        if folder is not None:
            authority = Authority.create("test authority")
            self.ca_file = folder / "cloud-ca.crt"
            self.ca_file.write_text(authority.pem)
            context = authority.server_context(folder, "cloud", *hosts)
        handler = _handler(self, context)
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _handler(server: CloudServer, context: ssl.SSLContext | None) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        host = ""

        def do_CONNECT(self) -> None:
            if context is None:
                self.send_error(405)
                return
            self.host = self.path.partition(":")[0]
            self.send_response(200)
            self.end_headers()
            try:
                self.connection = context.wrap_socket(self.connection, server_side=True)
            except (ssl.SSLError, ConnectionError):
                self.close_connection = True
                return
            self.rfile = self.connection.makefile("rb")
            self.wfile = self.connection.makefile("wb", 0)
            self.close_connection = False

        def finish(self) -> None:
            super().finish()
            self.connection.close()

        def do_GET(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            request = Request(
                self.host or self.headers.get("Host", ""),
                self.command,
                self.path,
                {name.lower(): value for name, value in self.headers.items()},
                self.rfile.read(length),
            )
            server.seen.append(request)
            answer = server.answer(request)
            body = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
            self.send_response(answer.status)
            for name, value in {"Content-Type": "application/json", **answer.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815  # http.server's word

        def log_message(self, format: str, *args: object) -> None: ...  # noqa: A002

    return Handler


class Silence:
    """A server that takes connections and says nothing."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()


@contextlib.contextmanager
def slow_answers() -> Generator[CloudServer]:
    """A server that takes requests, and answers once no client waits any more."""
    release = threading.Event()

    def answer(_: Request) -> Answer:
        release.wait(30)
        return Answer(200, {})

    with CloudServer(answer) as server:
        try:
            yield server
        finally:
            release.set()


def forget(monkeypatch: pytest.MonkeyPatch, *prefixes: str) -> None:
    """Take out of the environment what begins so, and proxies."""
    for name in list(os.environ):
        if name.startswith(prefixes) or name.lower() in {"http_proxy", "https_proxy", "all_proxy", "no_proxy"}:
            monkeypatch.delenv(name)


def both_ways(flag: str, name: str, folder: Path) -> None:
    """The command and sops, as processes, encrypt for this key, and each decrypts what the other wrote."""
    agent = [sys.executable, "-m", "agent.cli.main"]
    sops = [binaries.path("sops"), "--disable-version-check"]
    for writer, reader in ((agent, sops), (sops, agent)):
        (folder / "f.yaml").write_text("a: hunter2\n")
        for command in ([*writer, "encrypt", "-i", flag, name, "f.yaml"], [*reader, "decrypt", "f.yaml"]):
            done = subprocess.run(command, cwd=folder, check=False, capture_output=True)
            assert done.returncode == 0, done.stderr.decode()
        assert done.stdout == b"a: hunter2\n"


class Log(logging.Handler):
    """A handler of the root logger, at DEBUG. Gives the list of what reaches it."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)

    def __enter__(self) -> list[logging.LogRecord]:
        root = logging.getLogger()
        self._level = root.level
        root.addHandler(self)
        root.setLevel(logging.DEBUG)
        return self.records

    def __exit__(self, *_: object) -> None:
        root = logging.getLogger()
        root.removeHandler(self)
        root.setLevel(self._level)
