"""What a test asks of a Kubernetes API server beside the agent: requests, kubectl, kubeconfigs and tokens."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from testbed import binaries
from testbed.processes import wait_until
from testbed.requests import Answer, RequestError, request

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

FIELD_MANAGER = "testbed"
_RBAC = "rbac.authorization.k8s.io"


class KubectlError(RuntimeError):
    """kubectl ended with an error; the text is its standard error."""


def account(namespace: str, name: str) -> dict[str, str]:
    """A ServiceAccount as the subject of a binding."""
    return {"kind": "ServiceAccount", "name": name, "namespace": namespace}


def group(name: str) -> dict[str, str]:
    """A group as the subject of a binding."""
    return {"apiGroup": _RBAC, "kind": "Group", "name": name}


class Cluster:
    """An API server at `url`, reached with a token of the group system:masters.

    That group is exempt from API priority and fairness: measure with a ServiceAccount's token.
    """

    def __init__(self, url: str, ca_pem: str, admin_token: str, folder: Path) -> None:
        self.url: str = url
        self.ca_pem: str = ca_pem
        self.admin_token: str = admin_token
        self.folder: Path = folder
        self.ca_file: Path = folder / "ca.crt"
        self._tls: ssl.SSLContext = ssl.create_default_context(cadata=ca_pem or None)
        self._resources: dict[tuple[str, str], tuple[str, bool]] = {}
        _ = self.ca_file.write_text(ca_pem)

    def request(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        token: str | None = None,
        content_type: str = "application/json",
        timeout: float = 30.0,
    ) -> tuple[int, Answer]:
        """Status and answer. `path` begins with a slash and may hold a query. Raises OSError where nothing answers."""
        headers = {
            "Authorization": f"Bearer {token or self.admin_token}",
            "Content-Type": content_type,
            "Accept": "application/json",
        }
        return request(method, self.url + path, body, headers=headers, tls=self._tls, timeout=timeout)

    def checked(self, method: str, path: str, body: object = None, *, content_type: str = "application/json") -> Answer:
        """The answer. Raises RequestError for a status of 400 or above."""
        status, answer = self.request(method, path, body, content_type=content_type)
        if status >= 400:
            raise RequestError(method, path, status, answer)
        return answer

    def get(self, path: str) -> Answer:
        return self.checked("GET", path)

    def create(self, path: str, obj: Mapping[str, object]) -> Answer:
        """POST to a collection."""
        return self.checked("POST", path, obj)

    def delete(self, path: str) -> Answer:
        return self.checked("DELETE", path)

    def merge(self, path: str, patch: Mapping[str, object]) -> Answer:
        """A JSON merge patch: how a person edits a live object."""
        query = "&" if "?" in path else "?"
        return self.checked(
            "PATCH", f"{path}{query}fieldManager=kubectl-edit", patch, content_type="application/merge-patch+json"
        )

    def apply(self, obj: Mapping[str, Any]) -> Answer:
        """Server-side apply as the field manager `testbed`."""
        path = f"{self.path(obj)}?fieldManager={FIELD_MANAGER}&force=true"
        return self.checked("PATCH", path, obj, content_type="application/apply-patch+yaml")

    def path(self, obj: Mapping[str, Any]) -> str:
        """The path of an object, by discovery; the namespace is `default` where it needs one and has none."""
        version, kind, metadata = obj["apiVersion"], obj["kind"], obj["metadata"]
        root = f"/apis/{version}" if "/" in version else f"/api/{version}"
        if (version, kind) not in self._resources:
            for resource in self.get(root)["resources"]:
                if "/" not in resource["name"]:
                    self._resources[version, resource["kind"]] = (resource["name"], resource["namespaced"])
        plural, namespaced = self._resources[version, kind]
        namespace = f"/namespaces/{metadata.get('namespace', 'default')}" if namespaced else ""
        return f"{root}{namespace}/{plural}/{quote(metadata['name'])}"

    def create_namespace(self, name: str) -> None:
        """Returns when its ServiceAccount `default` is there, so that pods can be made."""
        _ = self.create("/api/v1/namespaces", {"metadata": {"name": name}})
        account = f"/api/v1/namespaces/{name}/serviceaccounts/default"
        _ = wait_until(lambda: self.request("GET", account)[0] == 200, 60, f"service account of namespace {name}")

    def create_service_account(self, namespace: str, name: str) -> None:
        _ = self.create(f"/api/v1/namespaces/{namespace}/serviceaccounts", {"metadata": {"name": name}})

    def service_account_token(
        self, namespace: str, name: str, *, audiences: Iterable[str] = (), seconds: int = 3600
    ) -> str:
        """A TokenRequest: a token bound to nothing but the ServiceAccount. `seconds` is at least 600."""
        spec = {"audiences": list(audiences), "expirationSeconds": seconds}
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token"
        return self.create(path, {"spec": spec})["status"]["token"]

    def grant(self, namespace: str, subject: Mapping[str, str], *rules: Mapping[str, Any], name: str = "") -> None:
        """Let `subject` do this in a namespace, by a Role `name` (its own by default). It is in force on return."""
        name = name or subject["name"]
        metadata = {"name": name, "namespace": namespace}
        _ = self.apply({"apiVersion": f"{_RBAC}/v1", "kind": "Role", "metadata": metadata, "rules": [*rules]})
        self.bind(namespace, subject, "Role", name)

    def bind(self, namespace: str, subject: Mapping[str, str], kind: str, role: str, *, name: str = "") -> None:
        """Bind a Role or ClusterRole, in every namespace where `namespace` is empty. The binding has the role's name by default.

        It is in force on return: the API server learns of roles and bindings by a watch, after it has answered.
        """
        binding = {
            "apiVersion": f"{_RBAC}/v1",
            "kind": "RoleBinding" if namespace else "ClusterRoleBinding",
            "metadata": {"name": name or role, **({"namespace": namespace} if namespace else {})},
            "roleRef": {"apiGroup": _RBAC, "kind": kind, "name": role},
            "subjects": [subject],
        }
        _ = self.apply(binding)
        found = self.get(self.path({**binding, "kind": kind, "metadata": {"name": role, "namespace": namespace}}))
        self.wait_may(namespace, subject, next(rule for rule in found["rules"] if "resources" in rule))

    def wait_may(self, namespace: str, subject: Mapping[str, str], rule: Mapping[str, Any]) -> None:
        """Until `subject` may do what the last words of a rule allow."""
        review = _review(namespace, subject, rule)

        def in_force() -> bool:
            answer = self.create("/apis/authorization.k8s.io/v1/subjectaccessreviews", review)
            return answer["status"]["allowed"]

        _ = wait_until(in_force, 60, f"{rule} in force for {subject['name']}")

    def kubeconfig(self, path: Path, token: str | None = None, *, namespace: str = "default", server: str = "") -> Path:
        """Write a kubeconfig (0600) for `token`, the administrator's by default, by way of `server`. Gives `path`."""
        name, url = "testbed", server or self.url
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": name, "cluster": {"server": url, "certificate-authority": str(self.ca_file)}}],
            "users": [{"name": name, "user": {"token": token or self.admin_token}}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": name, "namespace": namespace}}],
            "current-context": name,
        }
        path.touch(mode=0o600)
        _ = path.write_text(json.dumps(config, indent=2))
        return path

    def kubectl(self, *args: str, input: str | bytes | None = None, check: bool = True) -> str:  # noqa: A002
        """kubectl's standard output, as the administrator. Raises KubectlError unless `check` is off."""
        config = self.folder / "admin.kubeconfig"
        if not config.exists():
            _ = self.kubeconfig(config)
        done = subprocess.run(
            [binaries.path("kubectl"), f"--kubeconfig={config}", *args],
            input=input.encode() if isinstance(input, str) else input,
            capture_output=True,
            check=False,
            env={**os.environ, "KUBECACHEDIR": str(self.folder / "kubectl-cache")},
        )
        if check and done.returncode:
            raise KubectlError(done.stderr.decode(errors="replace").strip())
        return done.stdout.decode(errors="replace")

    def wait_available(self, namespace: str, deployment: str, seconds: float = 60.0) -> None:
        """Until every replica of the current generation of a Deployment is available."""
        path = f"/apis/apps/v1/namespaces/{namespace}/deployments/{deployment}"

        def available() -> bool:
            status, found = self.request("GET", path)
            if status != 200:
                return False
            state, wanted = found["status"], found["spec"]["replicas"]
            current = state.get("observedGeneration") == found["metadata"]["generation"]
            counts = [state.get(field, 0) for field in ("replicas", "updatedReplicas", "availableReplicas")]
            return current and counts == [wanted] * 3

        _ = wait_until(available, seconds, f"deployment {namespace}/{deployment} available", interval=0.2)

    def metrics(self) -> str:
        """The API server's own metrics, in Prometheus' text format."""
        return self.get("/metrics")


def _review(namespace: str, subject: Mapping[str, str], rule: Mapping[str, Any]) -> dict[str, Any]:
    """Whether `subject` may do what the last words of a rule allow."""
    attributes = {
        "namespace": namespace,
        "group": rule["apiGroups"][-1],
        "resource": rule["resources"][-1],
        "verb": rule["verbs"][-1],
        "name": rule.get("resourceNames", [""])[-1],
    }
    name = subject["name"]
    if subject["kind"] == "ServiceAccount":
        who = {"user": f"system:serviceaccount:{subject['namespace']}:{name}"}
    else:
        who = {"user": "someone", "groups": [name]}
    spec = {**who, "resourceAttributes": attributes}
    return {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec}
