"""What stands in an agent's way and means it harm: a store that answers without end, and a webhook that floods what is applied."""

from __future__ import annotations

import base64
import contextlib
import gzip
import json
import socket
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

from testbed.certificates import Authority
from testbed.processes import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from testbed.cluster import Cluster

    Answer = Callable[[dict[str, Any]], dict[str, Any]]

MIB = 1024 * 1024
_OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


def _say(*parts: bytes) -> Callable[[socket.socket], None]:
    def answer(connection: socket.socket) -> None:
        for part in parts:
            connection.sendall(part)

    return answer


def _flood(head: bytes, piece: bytes, pause: float = 0.0) -> Callable[[socket.socket], None]:
    def answer(connection: socket.socket) -> None:
        connection.sendall(head)
        while True:
            connection.sendall(piece)
            time.sleep(pause)  # what drips

    return answer


def _body(body: bytes, *headers: bytes) -> Callable[[socket.socket], None]:
    lines = b"".join(header + b"\r\n" for header in (b"Content-Length: %d" % len(body), *headers))
    return _say(_OK + lines + b"\r\n" + body)


ANSWERS: dict[str, Callable[[socket.socket], None]] = {
    "body": _flood(_OK + b"\r\n", b" " * MIB),
    "length": _flood(_OK + b"Content-Length: 1000000000000\r\n\r\n", b" " * MIB),
    "chunks": _flood(_OK + b"Transfer-Encoding: chunked\r\n\r\n", b"10000\r\n" + b" " * 65536 + b"\r\n"),
    "small-chunks": _flood(_OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n" * 10_000),
    "extended-chunks": _flood(_OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1;" + b"x" * 60_000 + b"\r\n \r\n"),
    "trailers": _flood(_OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"X: y\r\n" * 10_000),
    "headers": _flood(_OK, b"X-A: b\r\n" * 10_000),
    "long-header": _flood(_OK + b"X-A: ", b"b" * MIB),
    "continue": _flood(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 4000),
    "drip": _flood(_OK + b"Content-Length: 1000\r\n\r\n", b" ", 0.5),
    "drip-headers": _flood(_OK, b"X: y\r\n", 0.5),
    "drip-continue": _flood(b"", b"HTTP/1.1 100 Continue\r\n\r\n", 0.5),
    "packed": _body(gzip.compress(bytes(512 * MIB), 1), b"Content-Encoding: gzip"),
    "nested": _body(b"[" * (4 * MIB - 1)),
    "values": _body(b"[" + b"{}," * MIB + b"1]"),
    "keys": _body(b'{"data":{' + b",".join(b'"k%d":1' % number for number in range(300_000)) + b"}}"),
    "number": _body(b'{"data":' + b"9" * (3 * MIB) + b"}"),
    "redirect": _say(b"HTTP/1.1 307 Temporary\r\nLocation: /v1/redirect\r\nContent-Length: 0\r\n\r\n"),
    "silence": lambda connection: connection.recv(1) and None,
}
"""What each of these servers says to everything."""


@contextlib.contextmanager
def stores() -> Generator[dict[str, str]]:
    """A server for each of ANSWERS that plays a store, and its URL."""
    with contextlib.ExitStack() as stack:
        yield {name: stack.enter_context(_server(answer)) for name, answer in ANSWERS.items()}


@contextlib.contextmanager
def _server(answer: Callable[[socket.socket], None]) -> Generator[str]:
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listening:

        def serve(connection: socket.socket) -> None:
            connection.settimeout(60)
            with connection, contextlib.suppress(OSError):
                connection.recv(65536)
                answer(connection)

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listening.accept()
                    threading.Thread(target=serve, args=(connection,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        listening.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def webhook(cluster: Cluster, namespace: str, kind: str, answer: Answer) -> Generator[None]:
    """A `Mutating` or `Validating` webhook of what is written to ConfigMaps of a namespace, from when on the API server asks it."""
    authority = Authority.create("webhook")
    asked = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:  # as http.server calls it
            review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            asked.set()
            response = {"uid": review["request"]["uid"], "allowed": True, **answer(review["request"]["object"])}
            body = json.dumps({**review, "request": None, "response": response}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_request(self, *_: object) -> None:
            pass

    with tempfile.TemporaryDirectory() as folder, ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        context = authority.server_context(Path(folder), "webhook", "127.0.0.1")
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["*"], "resources": ["configmaps"]}
        hook = {
            "name": "hostile.example.com",
            "clientConfig": {
                "url": f"https://127.0.0.1:{server.server_port}/",
                "caBundle": base64.b64encode(authority.pem.encode()).decode(),
            },
            "rules": [rule],
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
        }
        path = f"/apis/admissionregistration.k8s.io/v1/{kind.lower()}webhookconfigurations"
        cluster.create(path, {"metadata": {"name": namespace}, "webhooks": [hook]})
        try:
            wait_until(lambda: _probed(cluster, namespace, asked), 60, "the webhook is asked")
            yield
        finally:
            cluster.delete(f"{path}/{namespace}")
            server.shutdown()


def _probed(cluster: Cluster, namespace: str, asked: threading.Event) -> bool:
    probe = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "probe", "namespace": namespace, "labels": {}},
    }
    cluster.request("POST", f"/api/v1/namespaces/{namespace}/configmaps?dryRun=All", {**probe, "data": {}})
    return asked.is_set()


def patch(*values: tuple[str, object]) -> dict[str, Any]:
    """The answer of a webhook that puts values at paths."""
    operations = [{"op": "add", "path": path, "value": value} for path, value in values]
    return {"patchType": "JSONPatch", "patch": base64.b64encode(json.dumps(operations).encode()).decode()}
