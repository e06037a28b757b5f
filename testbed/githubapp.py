"""A stub of GitHub's endpoint for tokens of installations: it checks what an App signed, and has a Git server take what it hands out."""

from __future__ import annotations

import base64
import datetime as dt
import json
import secrets
import tempfile
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, cast

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from testbed.certificates import Authority

if TYPE_CHECKING:
    from collections.abc import Callable

    from testbed.gitserver import GitServer

APP = "12345"
INSTALLATION = "987654321"
LARGE = 128 * 1024


@dataclass(frozen=True, slots=True)
class Asked:
    """A request: its path, what was signed, its headers, and the status of the answer."""

    path: str
    claims: dict[str, Any]
    headers: dict[str, str]
    status: int


class GitHubApp:
    """A running stub over TLS, and the App's key. A context manager.

    Tokens live for `seconds` of `clock`. `fault` is what is wrong with the answers: `slow`, `large`, `redirect`, `status`, `odd`. `asked` is what it
    answered, `tokens` what it handed out; the Git server takes the last one.
    """

    def __init__(self, gitserver: GitServer) -> None:
        self.key: rsa.RSAPrivateKey = rsa.generate_private_key(65537, 2048)
        self.seconds: int = 3600
        self.clock: Callable[[], float] = time.time
        self.fault: str = ""
        self.asked: list[Asked] = []
        self.tokens: list[str] = []
        self.resumed: threading.Event = threading.Event()
        self._gitserver: GitServer = gitserver
        self._folder: tempfile.TemporaryDirectory[str] = tempfile.TemporaryDirectory(prefix="signet-testbed-github-")
        authority = Authority.create("signet testbed github")
        self.ca_pem: str = authority.pem
        self._server: _Server = _Server(self)
        self._server.socket = authority.server_context(Path(self._folder.name), "api", "127.0.0.1").wrap_socket(
            self._server.socket, server_side=True, do_handshake_on_connect=False
        )
        self.netloc: str = f"127.0.0.1:{self._server.server_port}"
        self.url: str = f"https://{self.netloc}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), name="github", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.resumed.set()
        self._server.shutdown()
        self._server.server_close()
        self._gitserver.further.pop("x-access-token", None)
        self._folder.cleanup()

    def pem(self, form: PrivateFormat = PrivateFormat.TraditionalOpenSSL) -> str:
        """The key; GitHub makes PKCS #1."""
        return self.key.private_bytes(Encoding.PEM, form, NoEncryption()).decode()

    def secret(self, **more: str) -> dict[str, str]:
        """The data of a Secret for it; `more` replaces some."""
        return {
            "githubAppID": APP,
            "githubAppInstallationID": INSTALLATION,
            "githubAppPrivateKey": self.pem(),
            "githubAppBaseURL": self.url,
            "ca.crt": (self._gitserver.ca_pem or "") + self.ca_pem,
            **more,
        }

    def answer(self, path: str, authorization: str) -> tuple[int, dict[str, Any], dict[str, Any]]:
        """Status, body, and what was signed, as GitHub's documentation says it."""
        scheme, _, token = authorization.partition(" ")
        claims = self._claims(token) if scheme == "Bearer" else {}
        if not claims:
            return 401, {"message": "A JSON web token could not be decoded"}, claims
        if path != f"/api/v3/app/installations/{INSTALLATION}/access_tokens":
            return 404, {"message": "Not Found"}, claims
        self.tokens.append(f"ghs_{secrets.token_hex(18)}")
        self._gitserver.further["x-access-token"] = self.tokens[-1]
        until = dt.datetime.fromtimestamp(self.clock() + self.seconds, dt.UTC)
        return 201, {"token": self.tokens[-1], "expires_at": f"{until:%Y-%m-%dT%H:%M:%SZ}"}, claims

    def _claims(self, token: str) -> dict[str, Any]:
        """Nothing where the signature or a time is wrong."""
        try:
            head, body, signature = token.split(".")
            self.key.public_key().verify(
                _decoded(signature), f"{head}.{body}".encode(), padding.PKCS1v15(), hashes.SHA256()
            )
        except (ValueError, InvalidSignature):
            return {}
        claims = cast("dict[str, Any]", json.loads(_decoded(body)))
        now = self.clock()
        timely = claims["iat"] <= now < claims["exp"] <= now + 600
        named = json.loads(_decoded(head)) == {"alg": "RS256", "typ": "JWT"} and claims["iss"] == APP
        return claims if timely and named else {}


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, owner: GitHubApp) -> None:
        self.owner: GitHubApp = owner
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that does not trust the certificate, or goes away."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """`asked` is the log."""

    def do_POST(self) -> None:
        owner = cast("_Server", self.server).owner
        status, tree, claims = owner.answer(self.path, self.headers.get("Authorization", ""))
        if owner.fault == "slow":
            _ = owner.resumed.wait(30)
        if owner.fault == "large":
            tree["more"] = "x" * LARGE
        if owner.fault == "odd":
            tree = {"token": "two words", "expires_at": "soon"}
        status = {"redirect": 307, "status": 503}.get(owner.fault, status)
        body = json.dumps(tree).encode()
        owner.asked.append(Asked(self.path, claims, {**self.headers}, status))
        self.send_response(status)
        if owner.fault == "redirect":
            self.send_header("Location", f"{owner.url}{self.path}")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        _ = self.wfile.write(body)
