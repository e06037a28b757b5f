"""`agent bootstrap --platform`: an operator with its definition, its webhook and a custom resource, deployed by the platform's Application."""

from __future__ import annotations

import base64
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest
import yaml

from testbed import agent as agents
from testbed.certificates import Authority
from testbed.controlplane import ControlPlane
from testbed.installation import Installation

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from conftest import Shell

    from testbed.gitserver import GitServer
    from testbed.openbao import OpenBao

OPERATOR = """\
apiVersion: v1
kind: Namespace
metadata: {name: backups}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: backups.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {kind: Backup, plural: backups, singular: backup}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: operator, namespace: backups}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: backups}
rules:
- {apiGroups: [example.com], resources: [backups], verbs: [get, list, watch, update]}
- {nonResourceURLs: [/metrics], verbs: [get]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: backups}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: backups}
subjects: [{kind: ServiceAccount, name: operator, namespace: backups}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: operator, namespace: backups}
spec:
  replicas: 0
  selector: {matchLabels: {app: operator}}
  template:
    metadata: {labels: {app: operator}}
    spec:
      serviceAccountName: operator
      containers: [{name: operator, image: registry.example.com/operator:1.0}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: backups}
webhooks:
- name: backups.example.com
  admissionReviewVersions: [v1]
  sideEffects: None
  failurePolicy: Fail
  clientConfig: {url: "https://127.0.0.1:PORT/", caBundle: BUNDLE}
  rules: [{apiGroups: [example.com], apiVersions: [v1], operations: [CREATE], resources: [backups]}]
"""
RESOURCE = """\
apiVersion: example.com/v1
kind: Backup
metadata: {name: nightly, namespace: backups}
spec: {schedule: "0 3 * * *"}
"""


class Webhook:
    """The operator's own: it admits everything, and remembers what it was asked about."""

    def __init__(self, folder: Path) -> None:
        self.authority = Authority.create("operator")
        self.seen: list[tuple[str, str]] = []
        asked = self.seen

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["request"]
                if not request.get("dryRun"):
                    asked.append((request["kind"]["kind"], request["name"]))
                answer = json.dumps(
                    {
                        "apiVersion": "admission.k8s.io/v1",
                        "kind": "AdmissionReview",
                        "response": {"uid": request["uid"], "allowed": True},
                    }
                ).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                """Nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = self.authority.server_context(folder, "webhook", "127.0.0.1")
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def webhook(tmp_path: Path) -> Generator[Webhook]:
    running = Webhook(tmp_path)
    yield running
    running.close()


def test_an_operator_is_deployed_with_its_definition_webhook_and_resource(
    shell: Shell, gitserver: GitServer, openbao: OpenBao, webhook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(shell.folder)
    with ControlPlane() as cluster, Installation(cluster, gitserver, openbao) as installation:
        installation.start()
        shell.env("KUBECONFIG", str(cluster.kubeconfig(shell.folder / "kubeconfig")))
        (shell.folder / "password").write_text(gitserver.password)
        (shell.folder / "ca.pem").write_text(gitserver.ca_pem)
        repository = gitserver.create("platform")
        port, bundle = webhook.server.server_address[1], base64.b64encode(webhook.authority.pem.encode()).decode()
        operator = OPERATOR.replace("PORT", str(port)).replace("BUNDLE", bundle)
        first = repository.commit({"operator.yaml": operator, "backup.yaml": RESOURCE}, "Add an operator")

        made = shell.agent(
            "bootstrap", "platform", "--platform", "--no-recovery", "--yes", "--url", repository.url,
            "--username", gitserver.username, "--password-file", "password", "--ca-file", "ca.pem",
        )  # fmt: skip
        assert made.code == 0, made.err
        assert "create ClusterRole signet-platform" in made.out.decode()
        grant = made.err.partition("destinations: ")[2].splitlines()[0]
        application = agents.Deployed(cluster, "platform", "platform")
        waiting = application.wait("Ready", "False", revision=first)
        assert "operator" in json.dumps(waiting)
        installation.configure(destinations=yaml.safe_load(grant))

        application.wait("Ready", "True", revision=first)
        live = cluster.get("/apis/example.com/v1/namespaces/backups/backups/nightly")
        assert live["spec"] == {"schedule": "0 3 * * *"}
        assert webhook.seen == [("Backup", "nightly")]
        for path in (
            "/apis/rbac.authorization.k8s.io/v1/clusterroles/backups",
            "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/backups",
            "/apis/apps/v1/namespaces/backups/deployments/operator",
            "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/backups",
        ):
            assert cluster.request("GET", path)[0] == 200
        again = shell.agent("bootstrap", "platform", "--platform", "--no-recovery", "--url", repository.url)
        assert again.code == 0
        assert again.out.decode().startswith("recipient of platform: age1")
