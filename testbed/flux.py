"""Flux's own kustomize-controller beside a control plane: it deploys folders of files, as source-controller would hand them over.

source-controller is played: a GitRepository says where the archive is, and this process serves it.
"""

from __future__ import annotations

import hashlib
import io
import subprocess
import tarfile
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import yaml

from testbed import binaries
from testbed.processes import Supervisor, free_port, wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping

    from testbed.controlplane import ControlPlane
    from testbed.processes import Process

_MODULE = "github.com/fluxcd/kustomize-controller"
_SOURCES = {"GitRepository": "gitrepositories", "OCIRepository": "ocirepositories", "Bucket": "buckets"}
_GROUP = "source.toolkit.fluxcd.io"
_KUSTOMIZE = "kustomize.toolkit.fluxcd.io/v1"
_LATER = "2026-01-01T00:00:00Z"


class Flux:
    """A running kustomize-controller. A context manager."""

    def __init__(self, controlplane: ControlPlane) -> None:
        self.controlplane: ControlPlane = controlplane
        self._supervisor: Supervisor = Supervisor(grace=0)
        self._process: Process | None = None
        self._served: Path = self._supervisor.folder / "artifacts"
        handler = partial(_Quiet, directory=str(self._served))
        self._server: ThreadingHTTPServer = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._thread: threading.Thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> Self:
        self._served.mkdir()
        self._thread.start()
        for kind, plural in _SOURCES.items():
            _ = self.controlplane.apply(_definition(kind, plural))
        for manifest in _kustomizations():
            _ = self.controlplane.apply(manifest)
        plurals = [
            *(f"{plural}.{_GROUP}" for plural in _SOURCES.values()),
            "kustomizations.kustomize.toolkit.fluxcd.io",
        ]
        for name in plurals:
            _ = self.controlplane.kubectl("wait", "--for=condition=Established", f"crd/{name}", "--timeout=30s")
        config = self.controlplane.kubeconfig(self._supervisor.folder / "flux.kubeconfig")
        listening = (f"--{name}-addr=127.0.0.1:{free_port()}" for name in ("metrics", "health"))
        command = [str(binaries.path("kustomize-controller")), "--no-remote-bases", *listening]
        environment = {"KUBECONFIG": str(config), "RUNTIME_NAMESPACE": "default", "HOME": str(self._supervisor.folder)}
        self._process = self._supervisor.start("kustomize-controller", command, env=environment)
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        self._supervisor.stop()

    def source(self, namespace: str, files: Mapping[str, str]) -> None:
        """The GitRepository `files` of a namespace, with an archive of these."""
        raw = io.BytesIO()
        with tarfile.open(fileobj=raw, mode="w:gz") as archive:
            for name, text in files.items():
                content = text.encode()
                entry = tarfile.TarInfo(name)
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
        digest = hashlib.sha256(raw.getvalue()).hexdigest()
        _ = (self._served / f"{digest}.tar.gz").write_bytes(raw.getvalue())
        metadata = {"name": "files", "namespace": namespace}
        made = {"apiVersion": f"{_GROUP}/v1", "kind": "GitRepository", "metadata": metadata, "spec": {"interval": "1h"}}
        artifact = {
            "path": f"{digest}.tar.gz",
            "url": f"http://127.0.0.1:{self._server.server_port}/{digest}.tar.gz",
            "revision": f"main@sha1:{digest[:40]}",
            "digest": f"sha256:{digest}",
            "lastUpdateTime": _LATER,
            "size": len(raw.getvalue()),
        }
        _ = self.controlplane.apply(made)
        ready = {"type": "Ready", "status": "True", "reason": "Played", "message": "", "lastTransitionTime": _LATER}
        status = {"artifact": artifact, "conditions": [ready]}
        _ = self.controlplane.merge(f"{self.controlplane.path(made)}/status", {"status": status})

    def deploy(self, namespace: str, name: str, path: str, **spec: object) -> str:
        """A Kustomization of a folder of `files`; why it failed, or nothing."""
        made: dict[str, Any] = {
            "apiVersion": _KUSTOMIZE,
            "kind": "Kustomization",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {
                "interval": "1h",
                "path": path,
                "prune": False,
                "targetNamespace": namespace,
                "sourceRef": {"kind": "GitRepository", "name": "files"},
                **spec,
            },
        }
        _ = self.controlplane.apply(made)
        where = self.controlplane.path(made)

        def ended() -> dict[str, str] | None:
            status = self.controlplane.get(where).get("status", {})
            found = [each for each in status.get("conditions", []) if each["type"] == "Ready"]
            return found[0] if found and found[0]["status"] != "Unknown" else None

        try:
            ready = wait_until(ended, 60, f"the Kustomization {name}")
        except Exception as error:
            error.add_note(self._process.tail() if self._process else "")
            raise
        return "" if ready["status"] == "True" else ready["message"]

    def leave(self, namespace: str, name: str) -> None:
        """Delete a Kustomization, which leaves its objects."""
        path = f"/apis/{_KUSTOMIZE}/namespaces/{namespace}/kustomizations/{name}"
        _ = self.controlplane.delete(path)
        _ = wait_until(lambda: self.controlplane.request("GET", path)[0] == 404, 30, f"{name} is gone")


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Its requests are of no interest."""


def _definition(kind: str, plural: str) -> dict[str, Any]:
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{_GROUP}"},
        "spec": {
            "group": _GROUP,
            "names": {"kind": kind, "plural": plural, "singular": kind.lower()},
            "scope": "Namespaced",
            "versions": [{**version, "subresources": {"status": {}}}],
        },
    }


def _kustomizations() -> list[dict[str, Any]]:
    """The CRD of Kustomizations, as the controller's module has it."""
    folder = Path(__file__).parent / "go" / "flux"
    asked = ["go", "list", "-mod=readonly", "-m", "-f", "{{.Dir}}", _MODULE]
    found = subprocess.run(asked, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()
    files = sorted(Path(found, "config/crd/bases").glob("*.yaml"))
    return [tree for file in files for tree in yaml.safe_load_all(file.read_text()) if tree]
