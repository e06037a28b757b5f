"""Git over HTTP on loopback with a user name and a password: `git http-backend` behind a threaded server of this process."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import threading
from base64 import b64decode
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Self, cast
from urllib.parse import unquote, urlsplit

from testbed.certificates import Authority
from testbed.processes import free_port
from testbed.repository import Repository

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Generator
    from io import BufferedReader

_COPIED = 64 * 1024


@dataclass(frozen=True, slots=True)
class Request:
    """One request that the server answered. `path` is unquoted, `user` empty where no valid credentials came."""

    method: str
    path: str
    query: str
    user: str
    status: int

    @property
    def fetches(self) -> bool:
        """Whether it asked for objects, and not for the list of refs alone."""
        return self.method == "POST" and self.path.endswith("/git-upload-pack")


class GitServer:
    """A running server at `host`, an address of this machine. A context manager; `folder` (a temporary one by default) holds the bare repositories.

    `username` and `password` may be changed while it runs, and so may `further`: passwords by other user names. `requests` is what it answered, in order.
    """

    def __init__(self, folder: Path | None = None, *, tls: bool = True, host: str = "127.0.0.1") -> None:
        self._own_folder: bool = folder is None
        self.folder: Path = folder or Path(tempfile.mkdtemp(prefix="signet-testbed-git-"))
        self.root: Path = self.folder / "repositories"
        self.root.mkdir(parents=True, exist_ok=True)
        self.username: str = "git"
        self.password: str = secrets.token_hex(12)
        self.further: dict[str, str] = {}
        self.requests: list[Request] = []
        self._host: str = host
        self._port: int = free_port()
        self._authority: Authority | None = Authority.create("signet testbed git") if tls else None
        self.ca_pem: str | None = self._authority.pem if self._authority else None
        self.ca_file: Path = self.folder / "ca.crt"
        self.url: str = f"{'https' if tls else 'http'}://{host}:{self._port}"
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None
        self._tls: ssl.SSLContext | None = None
        if self._authority is not None:
            _ = self.ca_file.write_text(self._authority.pem)
            self._tls = self._authority.server_context(self.folder, "git", host, "localhost")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Listen, on the same port each time."""
        self._server = _Server((self._host, self._port), self, self._tls)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="git-server", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Refuse connections and cut those that are open; the repositories stay."""
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self._server.cut()
            self._server.server_close()
            self._thread.join()
            self._server = None

    def close(self) -> None:
        """Stop, and forget the repositories where the folder is temporary. Harmless twice."""
        self.stop()
        if self._own_folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    @contextlib.contextmanager
    def away(self) -> Generator[None]:
        """Within it the server is stopped."""
        self.stop()
        try:
            yield
        finally:
            self.start()

    def create(self, name: str) -> Repository:
        """A new bare repository with the default branch `main` and no commit, at `<url>/<name>.git`."""
        return Repository.create(self.root / f"{name}.git", f"{self.url}/{name}.git")

    def url_with_password(self, repository: Repository) -> str:
        """For a `git clone` by hand."""
        return repository.url.replace("://", f"://{self.username}:{self.password}@")


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], owner: GitServer, tls: ssl.SSLContext | None) -> None:
        self.owner: GitServer = owner
        self._open: set[socket.socket] = set()
        super().__init__(address, _Handler)
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    def process_request(self, request: socket.socket, client_address: tuple[str, int]) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: socket.socket) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: socket.socket, client_address: tuple[str, int]) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """A client that goes away, or does not trust the certificate, is not the server's error."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)

    def cut(self) -> None:
        """Shut every open connection, idle ones too."""
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(2)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60
    disable_nagle_algorithm = True
    """As servers do: else each answer of several pieces waits for the client's delayed ACK."""

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """`GitServer.requests` is the log."""

    @property
    def _owner(self) -> GitServer:
        return cast("_Server", self.server).owner

    def _serve(self) -> None:
        parts = urlsplit(self.path)
        user = self._user()
        path = unquote(parts.path)
        if user:
            body = self._body()
            status = self._run_backend(path, parts.query, user, body)
        else:
            status = HTTPStatus.UNAUTHORIZED
            _ = self._body()
            self.send_response(status)
            self.send_header("WWW-Authenticate", 'Basic realm="signet testbed"')
            self.send_header("Content-Length", "0")
            self.end_headers()
        self._owner.requests.append(Request(self.command, path, parts.query, user, int(status)))

    def _user(self) -> str:
        scheme, _, encoded = self.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "basic":
            return ""
        user, _, password = b64decode(encoded).decode(errors="replace").partition(":")
        expected = {**self._owner.further, self._owner.username: self._owner.password}
        return user if expected.get(user) == password else ""

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        chunks: list[bytes] = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            chunks.append(self.rfile.read(size))
            _ = self.rfile.readline()
        _ = self.rfile.readline()
        return b"".join(chunks)

    def _run_backend(self, path: str, query: str, user: str, body: bytes) -> int:
        env = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": str(self._owner.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_CONFIG_NOSYSTEM": "1",
            "HOME": str(self._owner.folder),
            "REQUEST_METHOD": self.command,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REMOTE_USER": user,
            "REMOTE_ADDR": "127.0.0.1",
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
        }
        with tempfile.TemporaryFile() as given:
            _ = given.write(body)
            _ = given.seek(0)
            with subprocess.Popen(
                ["git", "http-backend"], env=env, stdin=given, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            ) as backend:
                return self._relay(cast("BufferedReader", backend.stdout))

    def _relay(self, output: BufferedReader) -> int:
        """CGI's answer (RFC 3875) as HTTP: its headers, then the body in chunks as it comes."""
        headers: list[tuple[str, str]] = []
        while line := output.readline().decode("latin-1").strip():
            name, _, value = line.partition(":")
            headers.append((name, value.strip()))
        status = next((int(value.split()[0]) for name, value in headers if name == "Status"), 200)
        self.send_response(status)
        for name, value in headers:
            if name != "Status":
                self.send_header(name, value)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        while chunk := output.read1(_COPIED):
            _ = self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
        _ = self.wfile.write(b"0\r\n\r\n")
        return status
