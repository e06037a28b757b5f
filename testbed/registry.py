"""A registry on loopback over TLS, CNCF distribution in memory, with a user name and password or with tokens; and pushing to it.

Artifacts are pushed as the tools that people use push them: `flux push artifact`, `helm push`, and a plain archive as `oras push` does.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import secrets
import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self
from urllib.parse import urljoin

import bcrypt

from testbed import binaries
from testbed.certificates import Authority
from testbed.processes import Supervisor, free_port, wait_until
from testbed.requests import RequestError, exchange

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping, Sequence
    from http.client import HTTPMessage
    from pathlib import Path

    from testbed.processes import Process

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
FLUX = "application/vnd.cncf.flux.content.v1.tar+gzip"
FLUX_CONFIG = "application/vnd.cncf.flux.config.v1+json"
CHART = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
CHART_CONFIG = "application/vnd.cncf.helm.config.v1+json"
PLAIN = "application/vnd.oci.image.layer.v1.tar+gzip"
_EMPTY = "application/vnd.oci.empty.v1+json"


@dataclass(frozen=True, slots=True)
class TokenServer:
    """Where a registry sends clients for tokens, and whose certificate signs those that it takes."""

    realm: str
    service: str
    issuer: str
    certificate: Path


class Registry:
    """A running registry. A context manager; `folder` (a temporary one by default) holds its configuration and log.

    Without `tokens` it asks everybody for `username` and `password`. It notifies the `url` of `notify`, with its `authorization`.
    """

    def __init__(
        self,
        folder: Path | None = None,
        *,
        tokens: TokenServer | None = None,
        port: int | None = None,
        notify: Mapping[str, str] | None = None,
    ) -> None:
        self._supervisor: Supervisor = Supervisor(folder, grace=0)
        self.folder: Path = self._supervisor.folder
        self._tokens: TokenServer | None = tokens
        self._notify: Mapping[str, str] | None = notify
        self._process: Process | None = None
        self._authority: Authority = Authority.create("signet testbed registry")
        self._tls: ssl.SSLContext = self._authority.client_context()
        self.ca_pem: str = self._authority.pem
        self.username: str = "puller"
        self.password: str = secrets.token_hex(12)
        self.port: int = port or free_port()
        self.host: str = f"127.0.0.1:{self.port}"
        self.token: str = ""
        """What pushing shows where the registry takes tokens."""

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the process and forget what it holds. Harmless twice."""
        self._supervisor.stop()

    def url(self, repository: str) -> str:
        return f"oci://{self.host}/{repository}"

    def docker_config(self) -> str:
        """The content of `.dockerconfigjson`, as `kubectl create secret docker-registry` writes it."""
        auth = base64.b64encode(f"{self.username}:{self.password}".encode()).decode()
        return json.dumps({"auths": {self.host: {"username": self.username, "password": self.password, "auth": auth}}})

    def push(
        self,
        repository: str,
        content: bytes,
        *tags: str,
        media_type: str = FLUX,
        config: object = None,
        annotations: Mapping[str, str] | None = None,
    ) -> str:
        """One layer under these tags; the manifest's digest."""
        kinds = {FLUX: FLUX_CONFIG, CHART: CHART_CONFIG}
        layer = self.push_blob(repository, content, media_type)
        return self.push_manifest(
            repository,
            {
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "config": self.push_blob(repository, json.dumps(config or {}).encode(), kinds.get(media_type, _EMPTY)),
                "layers": [layer],
                "annotations": dict(annotations or {}),
            },
            *tags,
        )

    def push_blob(self, repository: str, content: bytes, media_type: str) -> dict[str, object]:
        """The blob's descriptor."""
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        status, headers = self._send("POST", f"/v2/{repository}/blobs/uploads/", None)
        place = headers["Location"]
        mark = "&" if "?" in place else "?"
        status, _ = self._send("PUT", f"{place}{mark}digest={digest}", content, "application/octet-stream")
        assert status == 201
        return {"mediaType": media_type, "digest": digest, "size": len(content)}

    def push_manifest(self, repository: str, manifest: Mapping[str, object], *tags: str) -> str:
        """The manifest's digest."""
        return self.push_body(repository, json.dumps(manifest), *tags)

    def push_body(self, repository: str, body: str, *references: str) -> str:
        """A manifest as it is written, under tags or its digest, which is given."""
        digest = f"sha256:{hashlib.sha256(body.encode()).hexdigest()}"
        for reference in references or (digest,):
            path = f"/v2/{repository}/manifests/{reference}"
            _ = self._send("PUT", path, body.encode(), str(json.loads(body)["mediaType"]))
        return digest

    def _send(self, method: str, path: str, body: bytes | None, kind: str = "") -> tuple[int, HTTPMessage]:
        login = f"Basic {base64.b64encode(f'{self.username}:{self.password}'.encode()).decode()}"
        headers = {
            "Authorization": f"Bearer {self.token}" if self._tokens else login,
            "Content-Type": kind or "text/plain",
        }
        answer = exchange(method, urljoin(f"https://{self.host}", path), body, headers=headers, tls=self._tls)
        if answer.status >= 400:
            raise RequestError(method, path, answer.status, answer.body.decode(errors="replace"))
        return answer.status, answer.headers

    def _start(self) -> None:
        certificate, key = self._authority.issue(self.folder, "registry", "127.0.0.1", "localhost")
        configuration = {
            "version": "0.1",
            "log": {"level": "warn"},
            "storage": {"inmemory": {}, "delete": {"enabled": True}},
            "http": {"addr": self.host, "tls": {"certificate": str(certificate), "key": str(key)}},
            "auth": self._auth(),
            "notifications": {"endpoints": self._endpoints()},
        }
        file = self.folder / "registry.json"  # JSON is YAML
        _ = file.write_text(json.dumps(configuration))
        self._process = self._supervisor.start(
            "registry", [binaries.path("registry"), "serve", file], env={"OTEL_TRACES_EXPORTER": "none"}
        )
        _ = wait_until(self._answers, 60, "the registry answers")

    def _endpoints(self) -> list[dict[str, object]]:
        if self._notify is None:
            return []
        headers = {"Authorization": [self._notify["authorization"]]}
        times = {"timeout": "5s", "threshold": 5, "backoff": "1s"}
        return [{"name": "test", "url": self._notify["url"], "headers": headers, **times}]

    def _auth(self) -> dict[str, object]:
        if self._tokens is not None:
            return {
                "token": {
                    "realm": self._tokens.realm,
                    "service": self._tokens.service,
                    "issuer": self._tokens.issuer,
                    "rootcertbundle": str(self._tokens.certificate),
                }
            }
        users = self.folder / "users"
        hashed = bcrypt.hashpw(self.password.encode(), bcrypt.gensalt(4)).decode()
        _ = users.write_text(f"{self.username}:{hashed}\n")
        return {"htpasswd": {"realm": "testbed", "path": str(users)}}

    def _answers(self) -> bool:
        try:
            return exchange("GET", f"https://{self.host}/v2/", tls=self._tls).status in {200, 401}
        except OSError:
            return False


def archive(files: Mapping[str, str | bytes], *, links: Mapping[str, str] | None = None) -> bytes:
    """A tar+gzip of these files, with their folders, as Go's archive/tar writes it."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for folder in _folders(files):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(entry)
        for path, text in files.items():
            data = text.encode() if isinstance(text, str) else text
            entry = tarfile.TarInfo(path)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
        for path, target in (links or {}).items():
            entry = tarfile.TarInfo(path)
            entry.type, entry.linkname = tarfile.SYMTYPE, target
            tar.addfile(entry)
    return gzip.compress(made.getvalue(), mtime=0)


def _folders(files: Mapping[str, object]) -> Sequence[str]:
    parts = (path.split("/")[:-1] for path in files)
    return sorted({"/".join(steps[:count]) for steps in parts for count in range(1, len(steps) + 1)})
