"""A forward proxy on loopback, as companies have one: it takes CONNECT, forwards to ports of this machine, and lists what was asked."""

from __future__ import annotations

import base64
import contextlib
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

_CHUNK = 64 * 1024


class Proxy:
    """A context manager. `asked` are the targets of CONNECT as `host:port`; `refuses` answers each with 403.

    With a `login` of `user:password`, it answers 407 where another one is shown. What is no CONNECT is checked, and answered with 502.
    """

    def __init__(self, login: str = "") -> None:
        self.shown: str = "Basic " + base64.b64encode(login.encode()).decode() if login else ""
        self.asked: list[str] = []
        self.refuses: bool = False
        self._server: ThreadingHTTPServer = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url: str = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, name="proxy", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            def do_CONNECT(self) -> None:  # http.server's name
                if not self._accepted():
                    return
                host, _, port = self.path.rpartition(":")
                with socket.create_connection((host, int(port)), timeout=30) as there:
                    self.send_response(200)
                    self.end_headers()
                    back = threading.Thread(target=_forward, args=(there, self.connection), daemon=True)
                    back.start()
                    _forward(self.connection, there)
                    back.join(30)

            def do_GET(self) -> None:  # http.server's name
                if self._accepted():
                    self.send_error(502)

            do_HEAD = do_GET  # noqa: N815  # http.server's name

            def _accepted(self) -> bool:
                proxy.asked.append(self.path)
                if proxy.refuses:
                    self.send_error(403)
                    return False
                if self.headers.get("Proxy-Authorization", "") != proxy.shown:
                    self.send_response(407)
                    self.send_header("Proxy-Authenticate", 'Basic realm="proxy"')
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return False
                return True

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # http.server's name
                """Nothing."""

        return Handler


def _forward(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(_CHUNK):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
