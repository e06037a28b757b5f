"""Sources of artifacts as a test wants them, and a server that says of itself that it is a registry."""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, cast

from agent.api.model import validate
from agent.api.sources import Source
from testbed.registry import FLUX, MANIFEST

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from agent.values.tree import Tree

Said = tuple[int, dict[str, str], bytes]


def make_source(url: str, layers: list[str] | None = None, **oci: object) -> Source:
    """Of the tag `latest`, unless `oci` says otherwise."""
    tree = {"oci": {"url": url, **(oci or {"tag": "latest"})}, **({"layers": layers} if layers else {})}
    return validate(Source, cast("Tree", tree))


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


@dataclass
class Liar:
    """A server over plain HTTP: `says` answers a path, and `asked` has each path and the Authorization that came with it."""

    host: str = ""
    says: Callable[[str], Said] = lambda _: (404, {}, b"")
    asked: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])

    def holds(self, content: bytes, *, size: int | None = None, blob: Said | None = None) -> str:
        """Answer as a registry with one artifact would; `blob` in the place of its content. The manifest's digest."""
        layer = {"mediaType": FLUX, "digest": digest_of(content), "size": len(content) if size is None else size}
        manifest = json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, "layers": [layer]}).encode()
        digest = digest_of(manifest)

        def says(path: str) -> Said:
            if "/manifests/" in path:
                return 200, {"Content-Type": MANIFEST, "Docker-Content-Digest": digest}, manifest
            if "/blobs/" in path:
                return blob or (200, {}, content)
            return 404, {}, b""

        self.says = says
        return digest


@contextlib.contextmanager
def lying() -> Generator[Liar]:
    liar = Liar()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            liar.asked.append((self.path, self.headers.get("Authorization", "")))
            status, headers, body = liar.says(self.path)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            if "Content-Length" not in headers:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command == "GET":
                with contextlib.suppress(OSError):
                    self.wfile.write(body)

        do_HEAD = do_GET  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

    server = Server(("127.0.0.1", 0), Handler)
    liar.host = f"127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield liar
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
