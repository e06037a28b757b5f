"""Flux's own controllers beside a control plane: they deploy folders of files and charts, as source-controller would hand them over.

source-controller is played: a GitRepository or a HelmChart says where the archive is, and this process serves it.
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
    from collections.abc import Iterable, Mapping

    from testbed.controlplane import ControlPlane
    from testbed.processes import Process

_MODULE = "github.com/fluxcd/kustomize-controller"
_SOURCES = {
    "GitRepository": "gitrepositories",
    "OCIRepository": "ocirepositories",
    "Bucket": "buckets",
    "HelmChart": "helmcharts",
}
_GROUP = "source.toolkit.fluxcd.io"
_KUSTOMIZE = "kustomize.toolkit.fluxcd.io/v1"
_HELM = "helm.toolkit.fluxcd.io"
_LATER = "2026-01-01T00:00:00Z"


class _Controller:
    """A running controller, and the archives that it is served. A context manager."""

    def __init__(self, controlplane: ControlPlane, program: Path, *flags: str) -> None:
        self.controlplane: ControlPlane = controlplane
        self._command: list[str] = [str(program), *flags]
        self._supervisor: Supervisor = Supervisor(grace=0)
        self._process: Process | None = None
        self._served: Path = self._supervisor.folder / "artifacts"
        handler = partial(_Quiet, directory=str(self._served))
        self._server: ThreadingHTTPServer = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._thread: threading.Thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def _definitions(self) -> Iterable[dict[str, Any]]:
        """The CRDs of what it reconciles."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        self._served.mkdir()
        self._thread.start()
        sources = (_definition(kind, plural, _GROUP, "v1") for kind, plural in _SOURCES.items())
        for manifest in (*sources, *self._definitions()):
            _ = self.controlplane.apply(manifest)
            name = manifest["metadata"]["name"]
            _ = self.controlplane.kubectl("wait", "--for=condition=Established", f"crd/{name}", "--timeout=30s")
        config = self.controlplane.kubeconfig(self._supervisor.folder / "flux.kubeconfig")
        listening = (f"--{name}-addr=127.0.0.1:{free_port()}" for name in ("metrics", "health"))
        environment = {"KUBECONFIG": str(config), "RUNTIME_NAMESPACE": "default", "HOME": str(self._supervisor.folder)}
        self._process = self._supervisor.start("controller", [*self._command, *listening], env=environment)
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        self._supervisor.stop()

    def _hand_over(self, made: dict[str, Any], files: Mapping[str, str], revision: str = "") -> None:
        """Make a source that is ready, with an archive of these files."""
        raw = io.BytesIO()
        with tarfile.open(fileobj=raw, mode="w:gz") as archive:
            for name, text in files.items():
                content = text.encode()
                entry = tarfile.TarInfo(name)
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
        digest = hashlib.sha256(raw.getvalue()).hexdigest()
        _ = (self._served / f"{digest}.tar.gz").write_bytes(raw.getvalue())
        artifact = {
            "path": f"{digest}.tar.gz",
            "url": f"http://127.0.0.1:{self._server.server_port}/{digest}.tar.gz",
            "revision": revision or f"main@sha1:{digest[:40]}",
            "digest": f"sha256:{digest}",
            "lastUpdateTime": _LATER,
            "size": len(raw.getvalue()),
        }
        _ = self.controlplane.apply(made)
        where = self.controlplane.path(made)
        generation = self.controlplane.get(where)["metadata"]["generation"]
        ready = {"type": "Ready", "status": "True", "reason": "Played", "message": "", "lastTransitionTime": _LATER}
        status = {"artifact": artifact, "conditions": [ready], "observedGeneration": generation}
        _ = self.controlplane.merge(f"{where}/status", {"status": status})

    def _until_ready(self, made: dict[str, Any]) -> str:
        """Wait until it is reconciled as it is now; why it failed, or nothing."""
        where = self.controlplane.path(made)

        def ended() -> dict[str, Any] | None:
            found = self.controlplane.get(where)
            generation = found["metadata"]["generation"]
            ready = [each for each in found.get("status", {}).get("conditions", []) if each["type"] == "Ready"]
            current = ready and ready[0].get("observedGeneration", generation) == generation
            return ready[0] if current and ready[0]["status"] != "Unknown" else None

        try:
            ready = wait_until(ended, 60, f"{made['kind']} {made['metadata']['name']}")
        except Exception as error:
            error.add_note(self._process.tail() if self._process else "")
            raise
        return "" if ready["status"] == "True" else ready["message"]


class Flux(_Controller):
    """kustomize-controller."""

    def __init__(self, controlplane: ControlPlane) -> None:
        super().__init__(controlplane, binaries.path("kustomize-controller"), "--no-remote-bases")

    def _definitions(self) -> Iterable[dict[str, Any]]:
        """As the controller's module has them."""
        folder = Path(__file__).parent / "go" / "flux"
        asked = ["go", "list", "-mod=readonly", "-m", "-f", "{{.Dir}}", _MODULE]
        found = subprocess.run(asked, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()
        files = sorted(Path(found, "config/crd/bases").glob("*.yaml"))
        return [tree for file in files for tree in yaml.safe_load_all(file.read_text()) if tree]

    def source(self, namespace: str, files: Mapping[str, str]) -> None:
        """The GitRepository `files` of a namespace, with an archive of these."""
        made = _object(f"{_GROUP}/v1", "GitRepository", namespace, "files", interval="1h")
        self._hand_over(made, files)

    def deploy(self, namespace: str, name: str, path: str, **spec: object) -> str:
        """A Kustomization of a folder of `files`; why it failed, or nothing."""
        given = {
            "interval": "1h",
            "path": path,
            "prune": False,
            "targetNamespace": namespace,
            "sourceRef": {"kind": "GitRepository", "name": "files"},
            **spec,
        }
        made = _object(_KUSTOMIZE, "Kustomization", namespace, name, **given)
        _ = self.controlplane.apply(made)
        return self._until_ready(made)

    def leave(self, namespace: str, name: str) -> None:
        """Delete a Kustomization, which leaves its objects."""
        path = f"/apis/{_KUSTOMIZE}/namespaces/{namespace}/kustomizations/{name}"
        _ = self.controlplane.delete(path)
        _ = wait_until(lambda: self.controlplane.request("GET", path)[0] == 404, 60, f"{name} is gone")


class HelmController(_Controller):
    """helm-controller: a program that is there, since no package registry that the testbed builds from has it."""

    def _definitions(self) -> Iterable[dict[str, Any]]:
        return [_definition("HelmRelease", "helmreleases", _HELM, "v2")]

    def release(self, namespace: str, name: str, files: Mapping[str, str], version: str, **spec: object) -> str:
        """A HelmRelease of a chart in the folder `chart`, installed or upgraded; why it failed, or nothing."""
        reference = {"kind": "GitRepository", "name": "files"}
        source = _object(f"{_GROUP}/v1", "HelmChart", namespace, name, chart="chart", sourceRef=reference)
        self._hand_over(source, files, version)
        made = _object(f"{_HELM}/v2", "HelmRelease", namespace, name, interval="1h", **spec)
        made["spec"]["chartRef"] = {"kind": "HelmChart", "name": name}
        _ = self.controlplane.apply(made)
        return self._until_ready(made)


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Its requests are of no interest."""


def _object(api_version: str, kind: str, namespace: str, name: str, **spec: object) -> dict[str, Any]:
    return {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace},
        "spec": spec,
    }


def _definition(kind: str, plural: str, group: str, version: str) -> dict[str, Any]:
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    served = {"name": version, "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "names": {"kind": kind, "plural": plural, "singular": kind.lower()},
            "scope": "Namespaced",
            "versions": [{**served, "subresources": {"status": {}}}],
        },
    }
