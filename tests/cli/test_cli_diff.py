"""A work tree against a real cluster, as a user who may get and patch."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import TYPE_CHECKING

import pytest

from agent.manifests import known_kinds
from testbed.canary import Canaries
from testbed.cluster import account

if TYPE_CHECKING:
    from conftest import Result, Shell

    from testbed.controlplane import ControlPlane
    from testbed.openbao import OpenBao

REGEX = ("--encrypted-regex", "^(data|stringData)$")
OLD, NEW, VAULT = "canary-of-diff-old-1", "canary-of-diff-new-2", "canary-of-diff-vault-3"
STAMPS = {
    "labels": {"signet-gitops.dev/installation": "i", "signet-gitops.dev/application": "web-u"},
    "annotations": {"signet-gitops.dev/owner": "v1.1.u.0123456789abcdef0123456789abcdef"},
}


def config_map(name: str = "cfg", **data: str) -> dict:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def secret(name: str = "db", **data: str) -> dict:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data}


def deployment(**template: object) -> dict:
    labels = {"app": "web"}
    spec = {
        "containers": [{"name": "main", "image": "registry.example/app:1", "envFrom": [{"secretRef": {"name": "db"}}]}]
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels, **template}, "spec": spec},
        },
    }


class Diff:
    """Runs `agent diff` against a namespace and looks for known secrets in all that it prints."""

    def __init__(self, shell: Shell, controlplane: ControlPlane, namespace: str) -> None:
        self.shell = shell
        self.controlplane = controlplane
        self.namespace = namespace
        self.config = controlplane.kubeconfig(shell.folder.parent / "kubeconfig", namespace=namespace)
        self.canaries = Canaries({name: name for name in (OLD, NEW, VAULT)})

    def __call__(self, *arguments: str) -> Result:
        result = self.shell.agent("diff", "--kubeconfig", str(self.config), *arguments)
        assert self.canaries.search_text(result.out + result.err.encode(), "output") == []
        assert "internal error" not in result.err, result.err
        return result

    def objects(self, *arguments: str, code: int) -> dict[str, dict]:
        result = self("-o", "json", *arguments)
        assert result.code == code, (result.err, result.out)
        return {f"{each['kind']}/{each['name']}": each for each in json.loads(result.out)["objects"]}

    def live(self, manifest: dict, *, stamps: dict | None = None, manager: str = "signet") -> None:
        """Put an object into the cluster as the agent does."""
        metadata = {**manifest["metadata"], "namespace": self.namespace, **(stamps or {})}
        text = json.dumps({**manifest, "metadata": metadata})
        self.controlplane.kubectl("apply", "--server-side", f"--field-manager={manager}", "-f", "-", input=text)

    def tree(self, name: str, manifest: dict) -> None:
        self.shell.write(f"{name}.yaml", json.dumps(manifest))

    def seal(self, name: str, manifest: dict) -> None:
        text = json.dumps(manifest).encode()
        made = self.shell.agent(
            "encrypt", "--age", self.shell.recipient, *REGEX, "--filename-override", "s.yaml", stdin=text
        )
        assert made.code == 0
        self.shell.write(f"{name}.yaml", made.out)


@pytest.fixture
def diff(shell: Shell, controlplane: ControlPlane, namespace: str) -> Diff:
    return Diff(shell, controlplane, namespace)


def encoded(text: str) -> str:
    return b64encode(text.encode()).decode()


def test_the_same_is_no_difference_whatever_the_agent_stamped_on_it(diff: Diff) -> None:
    diff.live(config_map(mode="a"), stamps=STAMPS)
    diff.live({**secret(), "stringData": None, "data": {"password": encoded(OLD)}}, stamps=STAMPS)
    diff.live(deployment(annotations={"signet-gitops.dev/secrets-version": "abc"}), stamps=STAMPS)
    diff.tree("cfg", config_map(mode="a"))
    diff.seal("db", secret(password=OLD))
    diff.tree("web", deployment())
    result = diff()
    assert (result.code, result.out) == (0, b""), result.err
    assert "3 objects compared, 0 differ" in result.err


def test_fields_that_differ_are_shown_and_secrets_as_fingerprints(diff: Diff) -> None:
    diff.live(config_map(mode="a", gone="x"))
    diff.live({**secret(), "stringData": None, "data": {"password": encoded(OLD), "same": encoded(VAULT)}})
    diff.tree("cfg", config_map(mode="b", new="y"))
    diff.seal("db", secret(password=NEW, same=VAULT))
    found = diff.objects(code=1)
    assert {line["path"]: (line["before"], line["after"]) for line in found["ConfigMap/cfg"]["fields"]} == {
        "data.mode": ("a", "b"),
        "data.new": (None, "y"),
        "data.gone": ("x", None),
    }
    (line,) = found["Secret/db"]["fields"]
    assert line["path"] == "data.password"
    assert line["before"].startswith("fp:")
    assert line["after"].startswith("fp:")
    assert line["before"] != line["after"]
    text = diff().out.decode()
    assert 'data.mode      "a"' in text
    assert "fp:" in text


def test_nothing_is_written(diff: Diff) -> None:
    diff.live(config_map(mode="a"))
    diff.tree("cfg", config_map(mode="b"))
    diff.tree("new", config_map("new", mode="b"))
    found = diff.objects(code=1)
    assert {name: each["action"] for name, each in found.items()} == {
        "ConfigMap/cfg": "change",
        "ConfigMap/new": "create",
    }
    path = f"/api/v1/namespaces/{diff.namespace}/configmaps"
    assert diff.controlplane.get(f"{path}/cfg")["data"] == {"mode": "a"}
    assert diff.controlplane.request("GET", f"{path}/new")[0] == 404


@pytest.mark.parametrize(("manager", "removed"), [("controller", []), ("kubectl-edit", ["data.theirs"])])
def test_a_live_edit_is_seen_and_what_people_added(diff: Diff, manager: str, removed: list[str]) -> None:
    diff.live(config_map(mode="a", kept="b"))
    diff.tree("cfg", config_map(mode="a", kept="b"))
    path = f"/api/v1/namespaces/{diff.namespace}/configmaps/cfg?fieldManager={manager}"
    diff.controlplane.merge(path, {"data": {"theirs": "1"}})
    assert diff().code == bool(removed)
    diff.controlplane.merge(path, {"data": {"mode": "hacked"}})
    line, *others = diff.objects(code=1)["ConfigMap/cfg"]["fields"]
    assert (line["before"], line["after"]) == ("hacked", "a")
    assert [each["path"] for each in others] == removed


def test_a_user_needs_get_and_patch_in_the_namespace_and_create_for_what_is_new(diff: Diff) -> None:
    rule = {"apiGroups": [""], "resources": ["configmaps", "secrets"], "verbs": ["get", "patch"]}
    diff.controlplane.create_service_account(diff.namespace, "dev")
    diff.controlplane.grant(diff.namespace, account(diff.namespace, "dev"), rule)
    diff.live(config_map(mode="a"))
    diff.tree("cfg", config_map(mode="b"))
    token = diff.controlplane.service_account_token(diff.namespace, "dev")
    diff.controlplane.kubeconfig(diff.config, token, namespace=diff.namespace)
    assert diff().code == 1
    diff.tree("new", config_map("new", mode="b"))
    result = diff()
    assert result.code == 2
    assert "ConfigMap" in result.err
    assert "RBAC does not allow it" in result.err
    assert b"data.mode" in result.out, "the rest is shown nevertheless"


def test_what_the_apiserver_refuses_is_shown_without_its_words(diff: Diff) -> None:
    diff.live(deployment())
    broken = deployment()
    broken["spec"]["replicas"] = NEW
    diff.tree("web", broken)
    diff.tree("cfg", config_map(mode="b"))
    result = diff()
    assert result.code == 2
    assert "spec.replicas" in result.err
    assert b"create  ConfigMap" in result.out


def test_references_that_are_not_resolved_are_named_and_not_compared(diff: Diff) -> None:
    diff.live({**secret(), "stringData": None, "data": {"password": encoded(OLD), "user": encoded("u")}})
    diff.live({**secret("tls"), "type": "kubernetes.io/dockerconfigjson", "stringData": {".dockerconfigjson": "{}"}})
    diff.tree("db", secret(password="vault://main/kv/db#password", user="u", more="x-${vault://main/kv/db#more}"))
    docker = {
        **secret("tls"),
        "type": "kubernetes.io/dockerconfigjson",
        "stringData": {".dockerconfigjson": "vault://main/kv/d#c"},
    }
    diff.tree("tls", docker)
    found = diff.objects(code=0)
    assert found["Secret/db"]["action"] == "same"
    assert found["Secret/db"]["unknown"] == [
        {"path": "stringData.password", "references": ["vault://main/kv/db#password"]},
        {"path": "stringData.more", "references": ["vault://main/kv/db#more"]},
    ]
    result = diff()
    assert "3 fields were not compared" in result.err
    assert b"unknown" in result.out
    diff.tree("new", secret("new", password="vault://main/kv/db#password"))
    assert diff.objects(code=1)["Secret/new"]["action"] == "create"


def test_references_are_resolved_at_the_store_that_the_user_names(diff: Diff, openbao: OpenBao) -> None:
    mount = diff.namespace
    openbao.enable_kv(mount)
    openbao.put("db", {"password": VAULT}, mount=mount)
    diff.live({**secret(), "stringData": None, "data": {"password": encoded(OLD)}})
    diff.tree("db", secret(password=f"vault://main/{mount}/db#password"))
    store = f"main={openbao.url}"
    assert diff("--vault-store", store).code == 2, "no token"
    diff.shell.env("VAULT_TOKEN", openbao.root_token)
    (line,) = diff.objects("--vault-store", store, code=1)["Secret/db"]["fields"]
    assert line["after"].startswith("fp:")
    diff.live({**secret(), "stringData": None, "data": {"password": encoded(VAULT)}})
    diff.shell.env("VAULT_TOKEN", None)
    diff.shell.write(str(diff.shell.folder.parent / "home/.vault-token"), openbao.root_token + "\n")
    assert diff("--vault-store", store).code == 0
    diff.tree("db", secret(password=f"vault://main/{mount}/none#password"))
    missing = diff("--vault-store", store)
    assert missing.code == 2
    assert f"vault://main/{mount}/none#password" in missing.err
    for wrong in ("main", "main=ftp://x", "MAIN=https://x"):
        assert diff("--vault-store", wrong).code == 2


def test_an_object_that_may_hold_secrets_is_compared_by_fingerprints_alone(diff: Diff) -> None:
    spec = {
        "source": {"url": "https://git.example.com/x.git", "revision": {"branch": "main"}},
        "secrets": {"allow": ["ConfigMap"]},
    }
    application = {"apiVersion": "signet-gitops.dev/v1alpha1", "kind": "Application", "spec": spec}
    metadata = {"name": "web", "namespace": diff.namespace}
    path = diff.shell.folder.parent / "application.yaml"
    path.write_text(json.dumps({**application, "metadata": metadata}))
    diff.live(config_map(password=OLD))
    diff.tree("cfg", config_map(password="no-secret-any-more"))
    lines = diff.objects("-f", str(path), code=1)["ConfigMap/cfg"]["fields"]
    assert [line["path"] for line in lines] == ["data.password"]
    assert lines[0]["before"].startswith("fp:")


def test_what_an_earlier_application_owns_is_said_until_it_is_handed_over(diff: Diff) -> None:
    source = {"url": "https://git.example.com/x.git", "revision": {"branch": "main"}}
    application = {"apiVersion": "signet-gitops.dev/v1alpha1", "kind": "Application", "spec": {"source": source}}
    path = diff.shell.folder.parent / "application.yaml"
    path.write_text(json.dumps({**application, "metadata": {"name": "web", "namespace": diff.namespace}}))
    for name in ("cfg", "other"):
        diff.live(config_map(name, mode="a"), stamps=STAMPS)
        diff.tree(name, config_map(name, mode="a"))
    said = diff("-f", str(path)).err
    assert f"an earlier Application owns ConfigMap {diff.namespace}/cfg, ConfigMap {diff.namespace}/other:" in said
    assert "agent recover" in said
    handed = {**STAMPS["annotations"], "signet-gitops.dev/new-owner": f"{diff.namespace}/web"}
    for name in ("cfg", "other"):
        diff.live(config_map(name, mode="a"), stamps={**STAMPS, "annotations": handed})
    assert "earlier" not in diff("-f", str(path)).err


def test_what_a_namespace_lacks_to_be_a_tenant_is_shown(diff: Diff) -> None:
    source = {"url": "https://git.example.com/x.git", "revision": {"branch": "main"}}
    application = {"apiVersion": "signet-gitops.dev/v1alpha1", "kind": "Application", "spec": {"source": source}}
    path = diff.shell.folder.parent / "application.yaml"
    path.write_text(json.dumps({**application, "metadata": {"name": "web", "namespace": diff.namespace}}))
    diff.tree("cfg", config_map(mode="a"))
    warning = f"warning: the ServiceAccount {diff.namespace}/signet-applier does not exist"
    result = diff("-f", str(path))
    assert (result.code, warning in result.err) == (1, True)
    assert "deploy/tenant.yaml" in result.err
    diff.controlplane.create_service_account(diff.namespace, "signet-applier")
    assert "ServiceAccount" not in diff("-f", str(path)).err


def test_objects_that_ask_to_be_left_alone_are(diff: Diff) -> None:
    disabled, absent = config_map("disabled", mode="b"), config_map("absent", mode="b")
    diff.live(config_map("disabled", mode="a"))
    diff.live(config_map("absent", mode="a"))
    disabled["metadata"]["annotations"] = {"signet-gitops.dev/reconcile": "disabled"}
    absent["metadata"]["annotations"] = {"signet-gitops.dev/apply": "if-not-present"}
    diff.tree("disabled", disabled)
    diff.tree("absent", absent)
    assert {each["action"] for each in diff.objects(code=0).values()} == {"left"}


def test_kinds_and_namespaces_that_the_tree_itself_brings_are_created(diff: Diff) -> None:
    group = f"{diff.namespace}.example.com"
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    versions = [{"name": "v1", "served": True, "storage": True, "schema": schema}]
    names = {"kind": "Zone", "plural": "zones", "singular": "zone", "listKind": "ZoneList"}
    spec = {"group": group, "scope": "Namespaced", "names": names, "versions": versions}
    kind = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition"}
    diff.tree("crd", {**kind, "metadata": {"name": f"zones.{group}"}, "spec": spec})
    diff.tree("zone", {"apiVersion": f"{group}/v1", "kind": "Zone", "metadata": {"name": "z"}})
    assert {each["action"] for each in diff.objects(code=1).values()} == {"create"}
    diff.tree("cfg", config_map())
    missing = f"{diff.namespace}-new"
    assert diff("-n", missing).code == 2
    diff.tree("ns", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": missing}})
    assert diff("-n", missing).code == 1


def test_what_is_held_makes_it_an_error(diff: Diff) -> None:
    diff.shell.env("SOPS_AGE_KEY", None)
    diff.seal("db", secret(password=OLD))
    diff.tree("other", {"apiVersion": "example.com/v1", "kind": "Nowhere", "metadata": {"name": "x"}})
    diff.tree("cfg", config_map(mode="b"))
    result = diff("-o", "json")
    assert result.code == 2
    answer = json.loads(result.out)
    assert {(each["name"], each["action"]) for each in answer["objects"]} == {
        ("cfg", "create"),
        ("db", "create"),
        ("x", "hold"),
    }
    (unopened,) = [each["unknown"] for each in answer["objects"] if each["name"] == "db"]
    assert unopened == [{"path": "stringData.password", "references": []}], "the agent may open what the user cannot"
    assert {each["reason"] for each in answer["problems"]} == {"DataKey", "UnknownKind"}
    assert all(each["hint"] for each in answer["problems"])


def test_no_cluster(diff: Diff) -> None:
    diff.tree("cfg", config_map())
    assert diff("--context", "none").code == 2
    assert diff("--prune").code == 2
    diff.config.write_text(diff.config.read_text().replace(diff.controlplane.admin_token, "wrong-token"))
    result = diff()
    assert result.code == 2
    assert "does not accept the credential" in result.err


def test_the_kinds_known_offline_are_those_that_a_cluster_serves(controlplane: ControlPlane) -> None:
    served = set()
    roots = ["/api/v1"]
    roots += [
        f"/apis/{version['groupVersion']}"
        for group in controlplane.get("/apis")["groups"]
        for version in group["versions"]
    ]
    for root in roots:
        version = root.removeprefix("/apis/").removeprefix("/api/")
        for resource in controlplane.get(root)["resources"]:
            if "/" not in resource["name"]:
                served.add((version, resource["kind"], resource["namespaced"]))
    known = {(resource.api_version, resource.kind, resource.namespaced) for resource in known_kinds.BUILT_IN}
    assert known == {
        each for each in served if each[0].partition("/")[0] in {name.partition("/")[0] for name, _, _ in known}
    }


def test_an_overlay_is_compared_as_it_is_rendered(diff: Diff) -> None:
    diff.live(config_map("prod-cfg", host="h"))
    diff.live(secret("prod-db", password=OLD))
    diff.tree("prod/cfg", config_map(host="${HOST}"))
    diff.seal("prod/db", secret(password=OLD))
    diff.seal("prod/made", secret("made", url="x"))
    diff.tree("prod/text", secret("text", url="u:${PW}@h"))
    diff.seal("vars", {"data": NEW})
    diff.shell.write(
        "prod/kustomization.yaml", "namePrefix: prod-\nresources: [cfg.yaml, db.yaml, made.yaml, text.yaml]\n"
    )
    spec = {
        "source": {"url": "https://git.example.com/shop.git", "revision": {"branch": "main"}},
        "render": {"kustomize": {"path": "prod"}},
        "substitute": {"variables": {"HOST": "h", "PW": "vault://main/secret/shop#pw"}, "files": ["vars.yaml"]},
    }
    application = {
        "apiVersion": "signet-gitops.dev/v1alpha1",
        "kind": "Application",
        "metadata": {"name": "web", "namespace": diff.namespace},
        "spec": spec,
    }
    diff.shell.write("application.json", json.dumps(application))
    found = diff.objects("-f", "application.json", code=1)
    assert {name: (each["action"], each["fields"]) for name, each in found.items()} == {
        "ConfigMap/prod-cfg": ("change", []),  # which the Application marks as its own
        "Secret/prod-db": ("change", []),
        "Secret/prod-made": ("create", []),
        "Secret/prod-text": ("create", []),
    }
    diff.tree("prod/cfg", config_map(host="${HOST}2"))
    found = diff.objects("-f", "application.json", code=1)
    (line,) = found["ConfigMap/prod-cfg"]["fields"]
    assert (line["before"], line["after"]) == ("h", "h2")
