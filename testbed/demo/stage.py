"""The servers of the demo, started in the background while the first steps are played, and the agent among them."""

from __future__ import annotations

import base64
import contextlib
import os
import secrets
import sys
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import urlsplit

from testbed import agent as agents
from testbed import binaries
from testbed.agent import Agent, Deployed
from testbed.canary import ProcessWatch
from testbed.controlplane import PROGRAMS, ControlPlane
from testbed.demo import chart, overlay, webhook
from testbed.demo.shop import ENVIRONMENTS, Developer
from testbed.demo.show import expect
from testbed.existing import ContextError, ExistingCluster
from testbed.gitserver import GitServer
from testbed.openbao import OpenBao
from testbed.processes import Supervisor, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from testbed.cluster import Cluster
    from testbed.demo.shop import Command
    from testbed.demo.show import Show
    from testbed.repository import Repository

CRD = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/applications.signet-gitops.dev"
_RENDERED: Final[dict[str, object]] = {
    "reports": {"kustomize": {"path": "reports/staging"}},
    "metrics": {"helm": chart.helm()},
}
_DEMO_LABEL = "signet-gitops.dev/demo"
_POLICY = (
    'path "secret/data/shop/*" { capabilities = ["read"] }\n'
    'path "secret/metadata/shop/*" { capabilities = ["read"] }\n'
    'path "sys/internal/ui/mounts/*" { capabilities = ["read"] }\n'
)


@dataclass(frozen=True, slots=True)
class Names:
    """What the demo's namespaces and ClusterRoles are called."""

    system: str
    roles: str
    tenants: dict[str, str]

    @classmethod
    def plain(cls) -> Names:
        """On a cluster of the demo's own."""
        tenants = {name: f"shop-{name}" for name in ENVIRONMENTS}
        return cls(agents.NAMESPACE, agents.ROLES, tenants | {"billing": "billing"})

    @classmethod
    def unique(cls) -> Names:
        """On a cluster that others use."""
        prefix = f"signet-demo-{secrets.token_hex(2)}"
        return cls(f"{prefix}-system", prefix, {name: f"{prefix}-{name}" for name in (*ENVIRONMENTS, "billing")})


class Stage:
    """A context manager. Servers start at once in the background; `git`, `bao` and `cluster` wait for them.

    With a `context` of the user's kubeconfig that cluster is used, and left as it was.
    """

    def __init__(self, show: Show, context: str = "") -> None:
        self.context: str = context
        self.names: Names = Names.unique() if context else Names.plain()
        self.supervisor: Supervisor = Supervisor()
        self.developer: Developer = Developer(self.supervisor.folder / "developer")
        self.agent: Agent | None = None
        self.watch: ProcessWatch | None = None
        self.repositories: dict[str, Repository] = {}
        self.vault_token: str = ""
        self.recorder: overlay.Recorder | None = None
        self._show: Show = show
        self._controlplane: ControlPlane | None = None
        try:
            self._existing: ExistingCluster | None = ExistingCluster(context, self.supervisor) if context else None
        except ContextError:
            self.supervisor.stop()
            raise
        self._installed: bool = False
        self._bao: OpenBao = OpenBao(self.supervisor.folder / "openbao")
        self._git: GitServer = GitServer(self.supervisor.folder / "git")
        self._small: _Background = _Background(self._start_small)
        self._large: _Background = _Background(self._start_large)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.ExitStack() as closing:
            closing.callback(self.supervisor.stop)
            closing.callback(self._git.close)
            closing.callback(self._bao.close)
            closing.callback(self._close_controlplane)
            closing.callback(self.developer.close)
            closing.callback(self.clean)
            closing.callback(self._close_agent)

    @property
    def git(self) -> GitServer:
        self._small.wait()
        return self._git

    @property
    def bao(self) -> OpenBao:
        self._small.wait()
        return self._bao

    @property
    def cluster(self) -> Cluster:
        self._large.wait()
        found = self._existing or self._controlplane
        assert found is not None
        return found

    @property
    def runs_pods(self) -> bool:
        """Whether pods come up for certain: an image may not be within reach of the user's cluster."""
        return self._existing is None

    def application(self, name: str) -> Deployed:
        """The Application of an environment, of the other team, or one that renders."""
        if name in _RENDERED:
            return Deployed(self.cluster, self.names.tenants["staging"], name)
        return Deployed(self.cluster, self.names.tenants[name], "invoices" if name == "billing" else "shop")

    def secret(self, name: str, secret: str) -> dict[str, str]:
        """The values of a live Secret of an environment; none where there is no such Secret."""
        status, found = self.cluster.request("GET", f"/api/v1/namespaces/{self.names.tenants[name]}/secrets/{secret}")
        data: dict[str, str] = (found.get("data") or {}) if status == 200 else {}
        return {key: base64.b64decode(value).decode() for key, value in data.items()}

    def running(self) -> Agent:
        assert self.agent is not None
        return self.agent

    def fill(self) -> None:
        """Passwords into OpenBao, and a repository for each team."""
        self.bao.enable_kv()
        self.bao.put_policy("shop", _POLICY)
        self.vault_token = self.bao.token("shop")
        for name in ENVIRONMENTS:
            _ = self.bao.put(
                f"shop/{name}/database", {"password": self.developer.secret(f"vault shop/{name}#password")}
            )
        self.repositories = {name: self.git.create(name) for name in ("shop", "billing")}
        self.developer.values["the password for Git"] = self.git.password
        self.developer.values["the token for Vault"] = self.vault_token

    def refuse_foreign(self) -> None:
        """A second agent beside one that is installed would handle the same Applications. Raises ContextError."""
        status, found = self.cluster.request("GET", CRD)
        if status == 404:
            return
        if status != 200:
            raise ContextError(f"the user of context {self.context} may not read CustomResourceDefinitions ({status})")
        if _DEMO_LABEL not in found["metadata"].get("labels", {}):
            raise ContextError(
                f"Signet is installed on the cluster of context {self.context}; try it there, or elsewhere"
            )
        if self.cluster.get(f"{agents.API}/applications")["items"]:
            raise ContextError(
                f"a demo runs on the cluster of context {self.context}, or was interrupted;"
                " `kubectl delete crd applications.signet-gitops.dev` ends it"
            )

    def install(self) -> None:
        """deploy/, and a namespace with its keys for each environment and for the other team."""
        self._installed = True
        agents.install(self.cluster, namespace=self.names.system, roles=self.names.roles)
        if self.context:
            _ = self.cluster.merge(CRD, {"metadata": {"labels": {_DEMO_LABEL: self.names.roles}}})
        for name, namespace in self.names.tenants.items():
            agents.tenant(self.cluster, namespace, roles=self.names.roles)
            [key] = self.developer.keys.glob(f"{name}.*")
            credentials = {"username": self.git.username, "password": self.git.password, "ca.crt": self.git.ca_pem}
            for secret, data in (("sops-key", {key.name: key.read_text()}), ("git", credentials)):
                _ = self.cluster.apply(
                    {
                        "apiVersion": "v1",
                        "kind": "Secret",
                        "metadata": {"name": secret, "namespace": namespace},
                        "stringData": data,
                    }
                )

    def start_agent(self) -> Agent:
        """Its own process, with a token of its own ServiceAccount."""
        self.recorder = recorder = overlay.Recorder.made(self.supervisor.folder / "renderer")
        self.agent = agent = Agent(
            self.cluster,
            self.supervisor,
            name="agent-0",
            namespace=self.names.system,
            renderer=recorder.program if recorder else None,
        )
        token = agent.operator_file.with_name("vault-token")
        token.touch(mode=0o600)
        _ = token.write_text(self.vault_token)
        agent.configure(
            {
                "git": {"allowedHosts": [urlsplit(self.git.url).netloc]},
                "stores": {
                    "main": {
                        "address": self.bao.url,
                        "auth": {"tokenFile": str(token)},
                        "allowedPaths": ["secret/shop/**"],
                        "allowedNamespaces": [self.names.tenants[name] for name in ENVIRONMENTS],
                    }
                },
                "probeIntervalSeconds": 5,
                "webhooks": webhook.settings(self, agent.operator_file.parent),
            }
        )
        self._show.tail = lambda: agent.process.tail(12) if agent.process else ""
        process = agent.start()
        self.watch = ProcessWatch(process.pid)
        _ = self.watch.__enter__()
        return agent

    def deploy(self, name: str) -> Deployed:
        """Create the Application of an environment, of the other team, or one that renders."""
        deployed = self.application(name)
        repository = self.repositories["billing" if name == "billing" else "shop"]
        layers = ["base", f"envs/{name}"] if name in ENVIRONMENTS else ["."]
        spec: dict[str, object] = {
            "source": {
                "url": repository.url,
                "revision": {"branch": "main"},
                "layers": layers,
                "credentials": {"secretName": "git"},
            },
            "decryption": {"keys": [{"secretName": "sops-key"}]},
            "interval": "10s",
        }
        if name in _RENDERED:
            spec["render"] = _RENDERED[name]
        deployed.apply(spec)
        return deployed

    def ask(self, *arguments: str) -> Command:
        """Run `agent` as the cluster's user."""
        options = ("--context", self.context) if self.context else ()
        environment = dict(os.environ)
        if not self.context:
            environment["KUBECONFIG"] = str(self.cluster.kubeconfig(self.supervisor.folder / "admin.kubeconfig"))
        return self.developer.agent(*arguments, *options, environment=environment)

    def stop_agent(self) -> None:
        """SIGTERM, and wait. Harmless twice."""
        if self.watch is not None:
            self.watch.__exit__()
            self.watch = None
        if self.agent is not None:
            self.agent.stop()

    def _close_agent(self) -> None:
        self.stop_agent()
        if self.agent is not None:
            self.agent.close()

    def clean(self) -> None:
        """Delete from the user's cluster what the demo made there. The agent is stopped. Harmless twice; nothing for our own cluster."""
        if self._existing is None or not self._installed:
            return
        self._installed = False
        cluster, names = self._existing, self.names
        applications: list[dict[str, Any]] = cluster.get(f"{agents.API}/applications")["items"]
        for application in applications:
            if application["metadata"]["namespace"] in names.tenants.values():
                _ = cluster.merge(cluster.path(application), {"metadata": {"finalizers": None}})
        namespaces = [*names.tenants.values(), names.system]
        for namespace in namespaces:
            _ = cluster.request("DELETE", f"/api/v1/namespaces/{namespace}")
        agents.uninstall(cluster, namespace=names.system, roles=names.roles)
        for namespace in namespaces:
            path = f"/api/v1/namespaces/{namespace}"
            _ = wait_until(
                lambda path=path: cluster.request("GET", path)[0] == 404, 120, f"{namespace} is deleted", 0.5
            )
        expect(cluster.request("GET", CRD)[0] == 404, "no CustomResourceDefinition of the demo", "one")

    def _close_controlplane(self) -> None:
        if self._controlplane is not None:
            self._controlplane.stop()

    def _start_small(self) -> None:
        self._bao.start()
        self._git.start()

    def _start_large(self) -> None:
        if self._existing is not None:
            _ = self._existing.get("/version")
            return
        _ = binaries.build(PROGRAMS, self._progress() if binaries.missing(PROGRAMS) else None)
        overlay.build()
        self._show.moving("")
        self._controlplane = ControlPlane(self.supervisor.folder / "kubernetes")
        self._controlplane.start()

    def _progress(self) -> Callable[[binaries.Progress], None]:
        if not sys.stdout.isatty():
            return binaries.ProgressPrinter()
        return lambda progress: self._show.moving(str(progress))


class _Background:
    """Something that is done by a thread; the thread does not keep the process alive."""

    def __init__(self, work: Callable[[], None]) -> None:
        self._work: Callable[[], None] = work
        self._error: BaseException | None = None
        self._thread: threading.Thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def wait(self) -> None:
        """Until it is done. Raises what it raised."""
        self._thread.join()
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            self._work()
        except BaseException as error:  # noqa: BLE001  # raised again by who waits
            self._error = error
