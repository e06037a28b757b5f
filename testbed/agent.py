"""The agent as its own process against the testbed's servers, with exactly the RBAC of deploy/ through a ServiceAccount token."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import shutil
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from agent.installation import objects
from agent.installation.choices import Choices, Mode
from testbed.processes import free_port, wait_until
from testbed.requests import RequestError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from testbed.cluster import Cluster
    from testbed.processes import Process, Supervisor

ROOT = Path(__file__).resolve().parent.parent
NAMESPACE = "signet-system"
SERVICE_ACCOUNT = "signet-agent"
ROLES = "signet"
API = "/apis/signet-gitops.dev/v1alpha1"
_DIGEST = re.compile(r'"message": "the operator\'s file is in force".*?"digest": "(\w+)"')


def install(cluster: Cluster, *, namespace: str = NAMESPACE, roles: str = ROLES) -> None:
    """What `agent install --mode none` applies. ClusterRoles are called `<roles>-agent` and `<roles>-applier`."""
    for document in _installed(namespace, roles):
        _ = cluster.apply(document)
    _ = wait_until(lambda: cluster.request("GET", f"{API}/applications")[0] == 200, 60, "Application is served")


def tenant(cluster: Cluster, namespace: str, *, roles: str = ROLES) -> None:
    """What deploy/tenant.yaml gives a namespace that may hold Applications; the namespace is made where it is missing."""
    documents: list[dict[str, Any]] = objects.tenant(namespace)
    for document in documents:
        _rename_roles(document, roles)
        _ = cluster.apply(document)


def uninstall(cluster: Cluster, *, namespace: str = NAMESPACE, roles: str = ROLES) -> None:
    """Delete what `install` made, the CRD and with it every Application included. Objects that are gone already are fine."""
    for document in reversed(_installed(namespace, roles)):
        status, answer = cluster.request("DELETE", cluster.path(document))
        if status >= 400 and status != 404:
            raise RequestError("DELETE", cluster.path(document), status, answer)


def _installed(namespace: str, roles: str) -> list[dict[str, Any]]:
    documents: list[dict[str, Any]] = objects.of(Choices(namespace=namespace, mode=Mode.NONE))
    for document in documents:
        _rename_roles(document, roles)
    return documents


def _rename_roles(document: dict[str, Any], roles: str) -> None:
    role = document.get("roleRef", {})
    if document["kind"] in ("ClusterRole", "ClusterRoleBinding"):
        document["metadata"]["name"] = document["metadata"]["name"].replace(ROLES, roles, 1)
    if role.get("kind") == "ClusterRole":
        role["name"] = role["name"].replace(ROLES, roles, 1)


_CLOCK = """import time
_time, _time_ns = time.time, time.time_ns
time.time = lambda: _time() + {seconds}
time.time_ns = lambda: _time_ns() + {seconds} * 10**9
"""
"""A sitecustomize.py that shifts a process's clock and none of the timers, which are monotonic."""


class Agent:
    """One agent. `folder` holds its operator file, token, state, audit trail and logs.

    `name` is its identity in the cluster, `label` what its folder and its logs are called, by default the same: two processes of one
    name need two labels. `server` is where it finds the API server, if that is not the API server's own address. `clock` is how many
    seconds its clock is ahead. `credentials` are the ids of the tokens that it was given, as the audit log of the API server has them.
    `renderer` is a program in the place of signet-render.
    """

    def __init__(
        self,
        controlplane: Cluster,
        supervisor: Supervisor,
        *,
        name: str = "agent-0",
        namespace: str = NAMESPACE,
        label: str = "",
        server: str = "",
        clock: int = 0,
        renderer: Path | None = None,
    ) -> None:
        self.controlplane = controlplane
        self.supervisor = supervisor
        self.name = name
        self.namespace = namespace
        self.label = label or name
        self.server = server
        self.clock = clock
        self.renderer = renderer
        self.credentials: list[str] = []
        self.folder = supervisor.folder / self.label
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        in_memory = Path("/dev/shm")  # noqa: S108  # a folder of our own in it
        base = in_memory if os.access(in_memory, os.W_OK) else self.folder
        self.memory = base / f"{supervisor.folder.name}-{self.label}"
        self.operator_file = self.folder / "operator" / "operator.yaml"
        self.operator_file.parent.mkdir(exist_ok=True)
        self.audit_file = self.folder / "audit.jsonl"
        self.port = free_port()
        self.hook_port = free_port()
        self.process: Process | None = None
        self.starts = 0

    def configure(self, settings: Mapping[str, object]) -> None:
        """Write the operator's file, and wait until a running agent works by it."""
        self.write(settings)
        if self.running and not self.paused:
            self.wait_in_force()

    def write(self, settings: Mapping[str, object]) -> None:
        """Write the operator's file; the audit trail goes to `audit_file`."""
        full = {"audit": {"file": str(self.audit_file), "stdout": False}, **settings}
        fresh = self.operator_file.with_suffix(".new")
        _ = fresh.write_text(yaml.safe_dump(full), "utf-8")
        _ = fresh.rename(self.operator_file)

    def wait_in_force(self) -> None:
        """Until the process logs that it works by the operator's file as it is."""
        process = self.process
        assert process is not None
        digest = hashlib.sha256(self.operator_file.read_bytes()).hexdigest()[:12]
        process.wait_ready(lambda: _DIGEST.findall(process.log.read_text("utf-8", "replace"))[-1:] == [digest], 60.0)

    def start(self, *, environment: Mapping[str, str] | None = None) -> Process:
        """Start it and wait until it is ready."""
        process = self.launch(environment=environment)
        process.wait_ready(self.is_ready, 60.0)
        return process

    def launch(self, *, environment: Mapping[str, str] | None = None) -> Process:
        """Start it, and wait for nothing."""
        token = self.controlplane.service_account_token(self.namespace, SERVICE_ACCOUNT, seconds=7200)
        self.credentials.append(_credential_id(token))
        words, variables = self.launched(token, environment or {})
        self.starts += 1
        self.process = self.supervisor.start(f"{self.label}-{self.starts}", words, env=variables, cwd=ROOT)
        return self.process

    def launched(self, token: str, environment: Mapping[str, str]) -> tuple[list[str], dict[str, str]]:
        """The command line of a process that acts as the owner of `token`, and its environment."""
        kubeconfig = self.controlplane.kubeconfig(
            self.folder / "kubeconfig", token, namespace=self.namespace, server=self.server
        )
        words = [
            *(sys.executable, "-m", "agent.cli.main", "run", "--kubeconfig", str(kubeconfig)),
            *("--namespace", self.namespace, "--name", self.name, "--operator-file", str(self.operator_file)),
            *("--state-dir", str(self.folder / "state"), "--memory-dir", str(self.memory)),
            *("--listen", f"127.0.0.1:{self.port}", "--listen-webhooks", f"127.0.0.1:{self.hook_port}"),
            *(("--renderer", str(self.renderer)) if self.renderer is not None else ()),
        ]
        return words, {"PATH": os.environ["PATH"], "HOME": str(self.folder), **self._shifted(), **environment}

    @property
    def running(self) -> bool:
        """Whether a process of it lives, paused or not."""
        return self.process is not None and self.process.alive

    @property
    def paused(self) -> bool:
        return self.process is not None and self.process.paused

    def pause(self) -> None:
        """SIGSTOP: it stands still, with every connection open."""
        if self.process is not None:
            self.process.pause()

    def resume(self) -> None:
        """SIGCONT."""
        if self.process is not None:
            self.process.resume()

    def kill(self) -> None:
        """SIGKILL: it can put nothing in order."""
        if self.process is not None:
            _ = self.process.kill()
            self.process = None

    def _shifted(self) -> dict[str, str]:
        """The environment that sets its clock ahead."""
        if not self.clock:
            return {}
        folder = self.folder / "clock"
        folder.mkdir(exist_ok=True)
        _ = (folder / "sitecustomize.py").write_text(_CLOCK.format(seconds=self.clock), "utf-8")
        return {"PYTHONPATH": str(folder)}

    def is_ready(self) -> bool:
        """Whether /readyz says so."""
        return self.probe("/readyz")[0] == 200

    def probe(self, path: str) -> tuple[int, str]:
        """Status and words of /readyz or /healthz; 0 where nothing answers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=2) as answer:
                return answer.status, answer.read().decode().strip()
        except urllib.error.HTTPError as refused:
            return refused.code, refused.read().decode().strip()
        except OSError:
            return 0, ""

    def metrics(self) -> str:
        """The text of /metrics."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=5) as answer:
            return answer.read().decode()

    def stop(self) -> None:
        """SIGTERM, and wait."""
        if self.process is not None:
            self.process.stop(grace=30.0)
            self.process = None

    def close(self) -> None:
        """Stop, and forget what it left in memory-backed folders. Harmless twice."""
        self.stop()
        shutil.rmtree(self.memory, ignore_errors=True)

    def logs(self) -> str:
        """Everything that every process of it printed."""
        return "\n".join(
            path.read_text("utf-8", "replace") for path in sorted(self.supervisor.folder.rglob(f"{self.label}-*.log"))
        )

    def audit(self) -> list[dict[str, object]]:
        """The records of its audit trail, without one that it is writing, or was killed over."""
        if not self.audit_file.exists():
            return []
        return [json.loads(line) for line in self.audit_file.read_text("utf-8").split("\n")[:-1]]


def _credential_id(token: str) -> str:
    """What authentication.kubernetes.io/credential-id says of requests with a ServiceAccount's token (KEP-4193)."""
    payload = token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return f"JTI={claims['jti']}"


class Deployed:
    """An Application object in the cluster, and what its status says."""

    def __init__(self, controlplane: Cluster, namespace: str, name: str) -> None:
        self.controlplane = controlplane
        self.namespace = namespace
        self.name = name
        self.path = f"{API}/namespaces/{namespace}/applications/{name}"

    def apply(self, spec: Mapping[str, object], annotations: Mapping[str, str] | None = None) -> None:
        """Create or change it."""
        self.controlplane.apply(
            {
                "apiVersion": "signet-gitops.dev/v1alpha1",
                "kind": "Application",
                "metadata": {"name": self.name, "namespace": self.namespace, "annotations": dict(annotations or {})},
                "spec": dict(spec),
            }
        )

    def status(self) -> dict[str, object]:
        """`.status`; empty while there is none."""
        found: dict[str, object] = self.controlplane.get(self.path).get("status") or {}
        return found

    def condition(self, kind: str) -> dict[str, str]:
        """One condition; empty while there is none."""
        conditions: list[dict[str, str]] = self.status().get("conditions", [])  # pyright: ignore[reportAssignmentType]
        return next((each for each in conditions if each["type"] == kind), dict[str, str]())

    def wait(self, kind: str, status: str, *, revision: str = "", seconds: float = 60.0) -> dict[str, object]:
        """Wait for a condition of the spec as it stands, at a revision (a commit, or the beginning of one); the status."""

        def reached() -> dict[str, object] | None:
            found = self.controlplane.get(self.path)
            now: dict[str, Any] = found.get("status") or {}
            at = str(now.get("checkedRevision") or now.get("revision") or "")
            current = now.get("observedGeneration") == found["metadata"]["generation"]
            said = {"type": kind, "status": status}.items()
            good = current and any(said <= each.items() for each in now["conditions"])
            return now if good and (not revision or f"@{revision[:12]}" in at) else None

        return wait_until(reached, seconds, f"{self.namespace}/{self.name} {kind}={status} {revision[:12]}")
