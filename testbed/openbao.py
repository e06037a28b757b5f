"""An OpenBao server on loopback, initialised and unsealed: KV, transit, policies, tokens and Kubernetes login.

It is a server like any other, not one of `-dev`: it can be sealed, and keeps its data over a restart.
"""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Self

from testbed import binaries
from testbed.certificates import Authority
from testbed.processes import Supervisor, free_port, wait_until
from testbed.requests import Answer, RequestError, request

if TYPE_CHECKING:
    import ssl
    from collections.abc import Generator, Mapping, Sequence
    from pathlib import Path

    from testbed.cluster import Cluster
    from testbed.processes import Process

AUDIENCE = "vault"


class OpenBao:
    """A running server at `host`, an address of this machine. A context manager; `folder` (a temporary one by default) holds its data and log."""

    def __init__(self, folder: Path | None = None, *, tls: bool = False, host: str = "127.0.0.1") -> None:
        self._supervisor: Supervisor = Supervisor(folder, grace=0)
        self.folder: Path = self._supervisor.folder
        self._host: str = host
        self._port: int = free_port()
        self._process: Process | None = None
        self._authority: Authority | None = Authority.create("signet testbed openbao") if tls else None
        self.ca_pem: str | None = self._authority.pem if self._authority else None
        self.ca_file: Path = self.folder / "ca.crt"
        self._tls: ssl.SSLContext | None = self._authority.client_context() if self._authority else None
        self.url: str = f"{'https' if tls else 'http'}://{host}:{self._port}"
        self.root_token: str = ""
        self.unseal_key: str = ""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Start it, unsealed: a new server the first time, later the same one on the same port over the same data."""
        try:
            self._start()
        except BaseException:
            self.close()
            raise

    def stop(self) -> None:
        """End the process and keep the data."""
        if self._process is not None:
            _ = self._process.stop(grace=2)

    def close(self) -> None:
        """End the process and forget the data. Harmless twice."""
        self._supervisor.stop()

    @property
    def process(self) -> Process:
        assert self._process is not None
        return self._process

    @contextlib.contextmanager
    def away(self) -> Generator[None]:
        """Within it the server is stopped."""
        self.stop()
        try:
            yield
        finally:
            self.start()

    def seal(self) -> None:
        _ = self.checked("PUT", "sys/seal")

    def unseal(self) -> None:
        """Returns when the server is active."""
        _ = self.checked("PUT", "sys/unseal", {"key": self.unseal_key})
        _ = wait_until(lambda: self.request("GET", "sys/health")[0] == 200, 60, "openbao: active")

    @contextlib.contextmanager
    def sealed(self) -> Generator[None]:
        """Within it the server is sealed."""
        self.seal()
        try:
            yield
        finally:
            self.unseal()

    def request(self, method: str, path: str, body: object = None, *, token: str | None = None) -> tuple[int, Answer]:
        """Status and answer; `path` comes without `/v1/`. As root without a `token`. Raises OSError for no answer."""
        headers = {"X-Vault-Token": token or self.root_token, "Content-Type": "application/json"}
        return request(method, f"{self.url}/v1/{path}", body, headers=headers, tls=self._tls)

    def checked(self, method: str, path: str, body: object = None) -> Answer:
        """The answer. Raises RequestError for a status of 400 or above."""
        status, answer = self.request(method, path, body)
        if status >= 400:
            raise RequestError(method, path, status, answer)
        return answer

    def enable_kv(self, mount: str = "secret", *, version: int = 2) -> None:
        _ = self.checked("POST", f"sys/mounts/{mount}", {"type": "kv", "options": {"version": str(version)}})
        if version == 2:
            probe = f"{mount}/config"
            _ = wait_until(lambda: self.request("GET", probe)[0] == 200, 60, f"openbao: {mount} upgraded to version 2")

    def put(self, path: str, data: Mapping[str, object], *, mount: str = "secret") -> int:
        """Write a secret. Gives its new version; 0 on a mount of KV version 1."""
        options = self.checked("GET", f"sys/mounts/{mount}")["data"]["options"]
        if options.get("version") != "2":
            _ = self.checked("POST", f"{mount}/{path}", data)
            return 0
        return self.checked("POST", f"{mount}/data/{path}", {"data": data})["data"]["version"]

    def enable_transit(self, mount: str = "transit") -> None:
        _ = self.checked("POST", f"sys/mounts/{mount}", {"type": "transit"})

    def create_transit_key(self, name: str, *, mount: str = "transit") -> None:
        """An AES-256-GCM key."""
        _ = self.checked("POST", f"{mount}/keys/{name}", {})

    def put_policy(self, name: str, rules: str) -> None:
        """`rules` is HCL: `path "secret/data/shop/*" { capabilities = ["read"] }`."""
        _ = self.checked("PUT", f"sys/policies/acl/{name}", {"policy": rules})

    def token(self, *policies: str, ttl: str = "1h") -> str:
        """A renewable token with exactly these policies and `default`."""
        return self.checked("POST", "auth/token/create", {"policies": policies, "ttl": ttl})["auth"]["client_token"]

    def revoke(self, token: str) -> None:
        """Revoke a token and its leases."""
        _ = self.checked("POST", "auth/token/revoke", {"token": token})

    def enable_kubernetes_auth(self, cluster: Cluster, *, mount: str = "kubernetes") -> None:
        """Login with ServiceAccount tokens of `cluster`, reviewed by a ServiceAccount that may do only that."""
        account = f"openbao-{mount}"
        cluster.create_service_account("kube-system", account)
        _ = cluster.apply(
            {
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "kind": "ClusterRoleBinding",
                "metadata": {"name": account},
                "roleRef": {
                    "apiGroup": "rbac.authorization.k8s.io",
                    "kind": "ClusterRole",
                    "name": "system:auth-delegator",
                },
                "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": "kube-system"}],
            }
        )
        reviewer = cluster.service_account_token("kube-system", account, seconds=86_400)
        _ = self.checked("POST", f"sys/auth/{mount}", {"type": "kubernetes"})
        config = {
            "kubernetes_host": cluster.url,
            "kubernetes_ca_cert": cluster.ca_pem,
            "token_reviewer_jwt": reviewer,
            "disable_local_ca_jwt": True,
        }
        _ = self.checked("POST", f"auth/{mount}/config", config)

    def put_kubernetes_role(
        self,
        name: str,
        *,
        service_accounts: Sequence[str],
        namespaces: Sequence[str],
        policies: Sequence[str],
        audience: str = AUDIENCE,
        ttl: str = "10m",
        mount: str = "kubernetes",
    ) -> None:
        role = {
            "bound_service_account_names": service_accounts,
            "bound_service_account_namespaces": namespaces,
            "token_policies": policies,
            "audience": audience,
            "token_ttl": ttl,
        }
        _ = self.checked("POST", f"auth/{mount}/role/{name}", role)

    def _start(self) -> None:
        config = self.folder / "config.json"
        if not config.exists():
            _ = config.write_text(json.dumps(self._configuration()))
        self._process = self._supervisor.start("openbao", [binaries.path("bao"), "server", f"-config={config}"])
        self._process.wait_ready(self._listens)
        if not self.root_token:
            answer = self.checked("PUT", "sys/init", {"secret_shares": 1, "secret_threshold": 1})
            self.root_token, self.unseal_key = answer["root_token"], answer["keys_base64"][0]
        self.unseal()

    def _configuration(self) -> dict[str, object]:
        data = self.folder / "data"
        data.mkdir(mode=0o700)
        cluster_port = free_port()
        listener: dict[str, object] = {"address": f"{self._host}:{self._port}", "tls_disable": self._authority is None}
        if self._authority is not None:
            certificate, key = self._authority.issue(self.folder, "openbao", self._host, "localhost")
            _ = self.ca_file.write_text(self._authority.pem)
            listener |= {"tls_cert_file": str(certificate), "tls_key_file": str(key)}
        listener["cluster_address"] = f"127.0.0.1:{cluster_port}"
        return {
            "storage": {"raft": {"path": str(data), "node_id": "testbed", "performance_multiplier": 1}},
            "listener": {"tcp": listener},
            "api_addr": self.url,
            "cluster_addr": f"https://127.0.0.1:{cluster_port}",
            "log_level": "warn",
        }

    def _listens(self) -> bool:
        with contextlib.suppress(OSError):
            return self.request("GET", "sys/seal-status")[0] == 200
        return False
