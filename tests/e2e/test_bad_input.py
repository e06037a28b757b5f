"""A commit with a fault in it: the status says what and where and what to do, the rest of the commit is applied, nothing is pruned
or emptied, and the fault's end is the error's end."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from manifests_written import config_map, deployment, secret

from testbed.repository import Link

if TYPE_CHECKING:
    from collections.abc import Mapping

    from testbed.installation import Installation, Tenant
    from testbed.repository import Content

BOMB = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: victim}\nx0: &x0 [a, a, a, a, a, a, a, a, a, a]\n" + "".join(
    f"x{i}: &x{i} [{', '.join([f'*x{i - 1}'] * 10)}]\n" for i in range(1, 8)
)
CONFIG_MAP, SECRET = "ConfigMap {ns}/", "Secret {ns}/"


@dataclass(frozen=True)
class Fault:
    """`files` break a good commit; the failure then begins with these texts. `{ns}` stands for the tenant's namespace."""

    name: str
    files: Mapping[str, Content]
    reason: str
    file: str = ""
    object: str = ""
    field: str = ""
    message: str = ""
    hint: str = ""
    repair: Mapping[str, Content] = dataclasses.field(default_factory=dict)


def _reference(path: str, key: str = "password", store: str = "main") -> str:
    return f"vault://{store}/{{mount}}/{path}#{key}"


VICTIM = config_map("victim", value="2")
FAULTS = [
    Fault("a file that is no YAML", {"victim.yaml": "a: [1\nb: 2\n"}, "Yaml", file="victim.yaml:"),
    Fault("an alias bomb", {"victim.yaml": BOMB}, "Yaml", file="victim.yaml"),
    Fault("a file of 6 MiB", {"victim.yaml": "#" * (6 << 20)}, "Limit", file="victim.yaml", hint="limits.fileBytes"),
    Fault(
        "a symbolic link out of the tree",
        {"link.yaml": Link("../../../../etc/passwd")},
        "UnsupportedManifest",
        file="link.yaml",
        hint="copy what it points to",
        repair={"link.yaml": None},
    ),
    Fault(
        "a key twice in a map",
        {"victim.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: victim}\ndata: {a: '1', a: '2'}\n"},
        "Yaml",
        file="victim.yaml:4",
    ),
    Fault(
        "an object declared twice",
        {"again.yaml": config_map("victim", value="3")},
        "DuplicateObject",
        file="victim.yaml:1",
        object=CONFIG_MAP + "victim",
        hint="remove one",
        repair={"again.yaml": None},
    ),
    Fault(
        "a kind that the cluster does not serve",
        {"odd.yaml": '{"apiVersion": "example.com/v1", "kind": "Odd", "metadata": {"name": "odd"}}'},
        "UnknownKind",
        file="odd.yaml:1",
        object="Odd.example.com {ns}/odd",
        hint="is its CRD applied?",
        repair={"odd.yaml": None},
    ),
    Fault(
        "an object of another namespace",
        {
            "far.yaml": '{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "far", "namespace": "kube-system"}}'
        },
        "ForeignNamespace",
        file="far.yaml:1",
        object="ConfigMap kube-system/far",
        repair={"far.yaml": None},
    ),
    Fault(
        "a number in the data of a Secret",
        {
            "pin.yaml": '{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "pin"}, "data": {"pin": 60417385219}}'
        },
        "Manifest",
        object=SECRET + "pin",
        field="data.pin",
        hint="quote the value",
        repair={"pin.yaml": None},
    ),
    Fault(
        "a number that the API server quotes in its refusal",
        {"port.yaml": config_map("port", port=60417385219)},
        "ObjectInvalid",
        object=CONFIG_MAP + "port",
        field="data.port",
        hint="quote it",
        repair={"port.yaml": None},
    ),
    Fault(
        "an object that the API server finds invalid",
        {"web.yaml": deployment("web").replace('"name": "main"', '"name": "not a name"')},
        "ObjectInvalid",
        object="Deployment.apps {ns}/web",
        field="spec.template.spec.containers[0].name",
        repair={"web.yaml": None},
    ),
    Fault(
        "a reference in a ConfigMap",
        {"victim.yaml": config_map("victim", value=_reference("apps/db"))},
        "Sink",
        object=CONFIG_MAP + "victim",
        field="data.value",
        hint="use a Secret",
    ),
    Fault(
        "a reference in an environment variable",
        {"web.yaml": deployment("web", env=[{"name": "P", "value": _reference("apps/db")}])},
        "Sink",
        object="Deployment.apps {ns}/web",
        field="spec.template.spec.containers[0].env[0].value",
        hint="name a Secret with valueFrom.secretKeyRef",
        repair={"web.yaml": None},
    ),
    Fault(
        "a reference in metadata",
        {
            "victim.yaml": json.dumps(
                {
                    "apiVersion": "v1",
                    "kind": "ConfigMap",
                    "metadata": {"name": "victim", "annotations": {"note": _reference("apps/db")}},
                }
            )
        },
        "Sink",
        object=CONFIG_MAP + "victim",
        field="metadata.annotations.note",
        hint="metadata is not protected",
    ),
    Fault(
        "a store that the operator did not configure",
        {"db.yaml": secret("db", password=_reference("apps/db", store="elsewhere"))},
        "UnknownStore",
        object=SECRET + "db",
        field="stringData.password",
        hint="a reference names a store",
        repair={"db.yaml": None},
    ),
    Fault(
        "a path that the operator's file does not allow",
        {"db.yaml": secret("db", password=_reference("private/db"))},
        "StoreDenied",
        object=SECRET + "db",
        field="stringData.password",
        hint="allowedPaths",
        repair={"db.yaml": None},
    ),
    Fault(
        "a path that Vault denies",
        {"db.yaml": secret("db", password=_reference("apps/forbidden"))},
        "StoreDenied",
        object=SECRET + "db",
        field="stringData.password",
        repair={"db.yaml": None},
    ),
    Fault(
        "a value that Vault does not have",
        {"db.yaml": secret("db", password=_reference("apps/nowhere"))},
        "StoreNotFound",
        object=SECRET + "db",
        field="stringData.password",
        repair={"db.yaml": None},
    ),
    Fault(
        "ciphertext out of another file",
        {"db.yaml": secret("db", password="ENC[AES256_GCM,data:AAAA,iv:AAAA,tag:AAAA,type:str]")},
        "Manifest",
        file="db.yaml:1",
        object=SECRET + "db",
        field="stringData.password",
        hint="encrypt the whole file",
        repair={"db.yaml": None},
    ),
    Fault(
        "a kustomization",
        {"kustomization.yaml": "resources: [victim.yaml]\n"},
        "UnsupportedManifest",
        file="kustomization.yaml",
        hint="name its folder in spec.render",
        repair={"kustomization.yaml": None},
    ),
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_the_rest_is_applied_and_the_fault_is_reported(installation: Installation, tenant: Tenant, fault: Fault):
    installation.openbao.put("apps/db", {"password": installation.canary("sink")}, mount=installation.mount)
    start = {"victim.yaml": config_map("victim", value="1"), "other.yaml": config_map("other", value="1")}
    tenant.deploy({**start, "leaving.yaml": config_map("leaving", value="1")})

    broken = {
        path: content.replace("{mount}", installation.mount) if isinstance(content, str) else content
        for path, content in fault.files.items()
    }
    report = tenant.sync({**broken, "other.yaml": config_map("other", value="2"), "leaving.yaml": None})

    expected = {"file": fault.file, "object": fault.object.replace("{ns}", tenant.namespace), "reason": fault.reason}
    failure = report.failure(**expected)
    assert failure["field"].startswith(fault.field)
    assert failure["message"].startswith(fault.message)
    assert fault.hint in failure["hint"]
    assert failure["file"].startswith(fault.file or next(iter(fault.files)))
    assert not report.ready
    assert report.condition("Stalled")["status"] == "True"
    assert tenant.data("other") == {"value": "2"}, "the rest of the commit is applied"
    assert tenant.data("victim") == {"value": "1"} or "victim.yaml" not in fault.files, "what is held is left alone"
    assert tenant.data("leaving") == {"value": "1"} or not report.counts["held"], "nothing is pruned meanwhile"

    assert tenant.sync({"victim.yaml": VICTIM, **fault.repair}).ready
    assert tenant.data("victim") == {"value": "2"}
    assert tenant.get("configmaps", "leaving") is None


def test_one_bad_file_of_several_layers_leaves_the_last_good_revision(tenant: Tenant):
    base = {"base/a.yaml": config_map("a", value="1"), "base/b.yaml": config_map("b", value="1")}
    first = tenant.deploy(
        {**base, "prod/a.yaml": config_map("a", extra="prod")}, source=tenant.source("base", "prod")
    ).status["revision"]

    report = tenant.sync({"prod/a.yaml": "a: [1\n", "base/b.yaml": config_map("b", value="2"), "base/c.yaml": None})

    failure = report.failure(file="prod/a.yaml:", reason="Yaml")
    assert failure["message"]
    assert report.status["revision"] == first
    assert tenant.data("b") == {"value": "1"}, "what the file would have changed is not known"
    assert tenant.data("a") == {"value": "1", "extra": "prod"}
    tenant.controlplane.merge(tenant.path("configmaps", "a"), {"data": {"value": "by hand"}})
    tenant.until(lambda _: tenant.data("a")["value"] == "1", "drift is healed to the last good revision")

    assert tenant.sync({"prod/a.yaml": config_map("a", extra="new")}).ready
    assert tenant.data("b") == {"value": "2"}
    assert tenant.data("a") == {"value": "1", "extra": "new"}


def test_one_bad_object_of_a_thousand_leaves_the_others_applied(tenant: Tenant):
    good = {f"{number}.yaml": config_map(f"n{number}", value="1") for number in range(999)}
    _ = tenant.commit({**good, "bad.yaml": deployment("bad").replace('"image": "registry.example/app:1", ', "")})
    tenant.configure()

    report = tenant.until(lambda report: bool(report.failures), "the bad one is reported", seconds=240)

    assert [failure["object"] for failure in report.failures] == [f"Deployment.apps {tenant.namespace}/bad"]
    assert len(tenant.managed("configmaps")) == 999
    assert report.counts | {"total": 1000, "applied": 999, "failed": 1} == report.counts
    assert tenant.sync({"bad.yaml": deployment("bad")}).ready


def test_a_heal_does_not_hide_that_the_newest_commit_cannot_be_read(tenant: Tenant):
    tenant.deploy(
        {"base/a.yaml": config_map("a", value="1"), "prod/b.yaml": config_map("b", value="1")},
        source=tenant.source("base", "prod"),
    )
    assert not tenant.sync({"prod/b.yaml": "a: [1\n"}).ready

    tenant.controlplane.merge(tenant.path("configmaps", "a"), {"data": {"value": "by hand"}})

    report = tenant.until(lambda report: bool(report.status.get("heals")), "healed")
    assert report.status["heals"][0]["cause"].startswith("live: live-edit")
    assert tenant.data("a") == {"value": "1"}
    assert not report.ready
    assert report.failure(file="prod/b.yaml")
