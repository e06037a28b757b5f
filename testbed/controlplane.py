"""A Kubernetes control plane on loopback: etcd, kube-apiserver, kube-controller-manager, and kwok for nodes and pod status.

There is no scheduler: an admission policy puts every pod on the one node, and kwok takes it to Ready. Nothing runs in a pod.
"""

from __future__ import annotations

import base64
import contextlib
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

from testbed import binaries
from testbed.certificates import Authority, new_key, private_key_pem, public_key_pem
from testbed.cluster import Cluster
from testbed.processes import Supervisor, free_port, wait_until
from testbed.requests import RequestError, request

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from testbed.processes import Process

PROGRAMS = ("etcd", "kube-apiserver", "kube-controller-manager", "kwok")
"""What a control plane needs to be built."""

NODE = "node-0"
_STAGES = Path(__file__).with_name("stages.yaml")
_AUDIT_POLICY = Path(__file__).with_name("audit-policy.yaml")
_CAPACITY = {"cpu": "4096", "memory": "64Ti", "pods": "100000"}
_NODE_OBJECT = {
    "apiVersion": "v1",
    "kind": "Node",
    "metadata": {"name": NODE, "labels": {"kubernetes.io/hostname": NODE, "kubernetes.io/os": "linux"}},
}
_SCHEDULING = {
    "apiVersion": "admissionregistration.k8s.io/v1",
    "kind": "MutatingAdmissionPolicy",
    "metadata": {"name": "testbed-scheduling"},
    "spec": {
        "matchConstraints": {
            "resourceRules": [
                {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
            ]
        },
        "matchConditions": [{"name": "unscheduled", "expression": "!has(object.spec.nodeName)"}],
        "reinvocationPolicy": "Never",
        "mutations": [
            {
                "patchType": "ApplyConfiguration",
                "applyConfiguration": {"expression": f'Object{{spec: Object.spec{{nodeName: "{NODE}"}}}}'},
            }
        ],
    },
}
_SCHEDULING_BINDING = {
    "apiVersion": "admissionregistration.k8s.io/v1",
    "kind": "MutatingAdmissionPolicyBinding",
    "metadata": {"name": "testbed-scheduling"},
    "spec": {"policyName": "testbed-scheduling"},
}
_PROBE_POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "probe"},
    "spec": {"containers": [{"name": "probe", "image": "probe"}]},
}


_SERVICE_NETWORK = "10.96.0.0/12"
_SERVICE_ADDRESS = "10.96.0.1"
"""Where pods find the API server: the first of the network."""


class ControlPlane(Cluster):
    """A control plane of our own at `host`, an address of this machine. A context manager; `folder` (a temporary one by default) holds
    state, logs and keys.

    With `audit` the API server writes an audit log to `audit_file`, a JSON event a line, before it answers: audit-policy.yaml says of what, or a
    policy that is given.
    """

    programs: ClassVar[tuple[str, ...]] = PROGRAMS

    def __init__(self, folder: Path | None = None, *, audit: bool | Path = False, host: str = "127.0.0.1") -> None:
        self._supervisor: Supervisor = Supervisor(folder, grace=0)
        self._authority: Authority = Authority.create("signet testbed kubernetes")
        self._host: str = host
        self._port: int = free_port()
        self._apiserver: Process | None = None
        self._etcd: str = ""
        self._apiserver_command: list[str] = []
        self._controllers: list[Process] = []
        self._controller_commands: dict[str, list[str]] = {}
        super().__init__(
            f"https://{host}:{self._port}", self._authority.pem, secrets.token_hex(16), self._supervisor.folder
        )
        self.audit_file: Path | None = self.folder / "audit.jsonl" if audit else None
        self._audit_policy: Path = audit if isinstance(audit, Path) else _AUDIT_POLICY

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start everything and return when pods would run: about ten seconds. Raises ProcessError, BuildError."""
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End every process and forget the state. Harmless twice."""
        self._supervisor.stop()

    def start_apiserver(self) -> None:
        """On the same port, over the same data. Returns when it is ready and would run pods."""
        self._run_apiserver()
        # Restarted, since their watches may wait a minute before they try again.
        self._run_controllers()
        _ = wait_until(self._runs_pods, 60, "pods are admitted and scheduled")

    def stop_apiserver(self) -> None:
        """Connections are refused from then on; etcd stays up."""
        _ = self.apiserver.stop(grace=1)

    def pause_apiserver(self) -> None:
        """It accepts connections and answers nothing: how a network that drops packets looks."""
        self.apiserver.pause()

    def resume_apiserver(self) -> None:
        self.apiserver.resume()

    @property
    def apiserver(self) -> Process:
        assert self._apiserver is not None
        return self._apiserver

    @contextlib.contextmanager
    def apiserver_away(self) -> Generator[None]:
        """Within it the API server is stopped."""
        self.stop_apiserver()
        try:
            yield
        finally:
            self.start_apiserver()

    @contextlib.contextmanager
    def apiserver_paused(self) -> Generator[None]:
        """Within it the API server does not answer."""
        self.pause_apiserver()
        try:
            yield
        finally:
            self.resume_apiserver()

    def restore(self, stored: Mapping[str, bytes]) -> None:
        """Put objects into etcd as another control plane stored them, with their uids. Raises RequestError."""
        for key, value in stored.items():
            body = {"key": base64.b64encode(key.encode()).decode(), "value": base64.b64encode(value).decode()}
            status, answer = request("POST", f"{self._etcd}/v3/kv/put", body)
            if status != 200:
                raise RequestError("POST", key, status, answer)

    def _start(self) -> None:
        paths = binaries.build(self.programs)
        self._etcd = self._start_etcd(paths["etcd"])
        self._apiserver_command = self._apiserver_arguments(paths["kube-apiserver"], self._etcd)
        self._run_apiserver()
        self._controller_commands = self._controller_arguments(paths)
        self._run_controllers()
        self._make_node()
        _ = wait_until(self._runs_pods, 60, "pods are admitted and scheduled")

    def _make_node(self) -> None:
        """The node that kwok plays, and the policy that puts every pod on it."""
        _ = self.apply(_SCHEDULING)
        _ = self.apply(_SCHEDULING_BINDING)
        _ = self.apply(_NODE_OBJECT)
        status = {"status": {"capacity": _CAPACITY, "allocatable": _CAPACITY}}
        _ = self.merge(f"/api/v1/nodes/{NODE}/status", status)

    def _run_apiserver(self) -> None:
        self._apiserver = self._supervisor.start("kube-apiserver", self._apiserver_command)
        self._apiserver.wait_ready(lambda: _ok(self, "/readyz"), 180)

    def _run_controllers(self) -> None:
        for process in self._controllers:
            _ = process.stop(grace=0)
        self._controllers = [
            self._supervisor.start(name, command, env={"HOME": str(self.folder)})
            for name, command in self._controller_commands.items()
        ]

    def _controller_arguments(self, paths: Mapping[str, Path]) -> dict[str, list[str]]:
        """Command lines, by name, of what runs beside the API server and starts again with it."""
        admin = self.kubeconfig(self.folder / "admin.kubeconfig")
        manager = self._manager_arguments(paths["kube-controller-manager"], admin)
        return {
            "kube-controller-manager": [*manager, "--controllers=*,-node-lifecycle-controller"],
            "kwok": [str(paths["kwok"]), f"--kubeconfig={admin}", f"--config={_STAGES}", "--manage-all-nodes"],
        }

    def _manager_arguments(self, program: Path, kubeconfig: Path) -> list[str]:
        return [
            str(program),
            f"--kubeconfig={kubeconfig}",
            "--leader-elect=false",
            "--secure-port=0",
            f"--service-account-private-key-file={self.folder / 'service-account.key'}",
            f"--root-ca-file={self.ca_file}",
            "--kube-api-qps=500",
            "--kube-api-burst=1000",
        ]

    def _start_etcd(self, program: Path) -> str:
        client, peer = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
        command = [
            program,
            f"--data-dir={self.folder / 'etcd'}",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
            "--unsafe-no-fsync",
            "--log-level=warn",
        ]

        def ready() -> bool:
            with contextlib.suppress(OSError):
                return request("GET", f"{client}/readyz", timeout=2)[0] == 200
            return False

        self._supervisor.start("etcd", command).wait_ready(ready)
        return client

    def _apiserver_arguments(self, program: Path, etcd: str) -> list[str]:
        certificate, key = self._authority.issue(self.folder, "apiserver", self._host, "localhost", _SERVICE_ADDRESS)
        account_key = new_key()
        private = {
            "service-account.key": private_key_pem(account_key),
            "service-account.pub": public_key_pem(account_key),
            "tokens.csv": "".join(f'{token},{user},{user},"{group}"\n' for token, user, group in self._accounts()),
        }
        for name, text in private.items():
            (self.folder / name).touch(mode=0o600)
            _ = (self.folder / name).write_text(text)
        return [
            str(program),
            f"--etcd-servers={etcd}",
            f"--bind-address={self._host}",
            f"--secure-port={self._port}",
            f"--tls-cert-file={certificate}",
            f"--tls-private-key-file={key}",
            "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
            f"--service-account-key-file={self.folder / 'service-account.pub'}",
            f"--service-account-signing-key-file={self.folder / 'service-account.key'}",
            f"--token-auth-file={self.folder / 'tokens.csv'}",
            "--authorization-mode=RBAC",
            f"--service-cluster-ip-range={_SERVICE_NETWORK}",
            "--endpoint-reconciler-type=none",
            "--allow-privileged=true",
            *self._audit_arguments(),
        ]

    def _accounts(self) -> list[tuple[str, str, str]]:
        """Token, user and group of those that log in with a token of the testbed."""
        return [(self.admin_token, "testbed-admin", "system:masters")]

    def _audit_arguments(self) -> list[str]:
        if self.audit_file is None:
            return []
        file = [f"--audit-log-path={self.audit_file}", "--audit-log-maxsize=4096", "--audit-log-mode=blocking"]
        return [f"--audit-policy-file={self._audit_policy}", *file]

    def _runs_pods(self) -> bool:
        """Whether the service account controller and the admission policy are in force."""
        status, answer = self.request("POST", "/api/v1/namespaces/default/pods?dryRun=All", _PROBE_POD)
        return status == 201 and answer["spec"].get("nodeName") == NODE


def _ok(cluster: Cluster, path: str) -> bool:
    with contextlib.suppress(OSError):
        return cluster.request("GET", path)[0] == 200
    return False
