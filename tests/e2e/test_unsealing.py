"""SealedSecrets: objects like any other until the operator gives the agent their keys; then the agent makes their Secrets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from manifests_written import config_map, deployment, secret

from testbed import binaries, sealing
from testbed.processes import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testbed.installation import Installation, Tenant
    from testbed.sealing import SealingPair

USES_DB = [{"name": "P", "valueFrom": {"secretKeyRef": {"name": "db", "key": "password"}}}]
CRD = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "sealedsecrets.bitnami.com"},
    "spec": {
        "group": "bitnami.com",
        "scope": "Namespaced",
        "names": {"kind": "SealedSecret", "plural": "sealedsecrets", "singular": "sealedsecret"},
        "versions": [
            {
                "name": "v1alpha1",
                "served": True,
                "storage": True,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
            }
        ],
    },
}


@pytest.fixture(scope="module")
def pair(installation: Installation, tmp_path_factory: pytest.TempPathFactory) -> SealingPair:
    binaries.path("kubeseal")
    made = sealing.pair(tmp_path_factory.mktemp("sealing"), "sealing-key")
    installation.canaries["sealing-key"] = made.key.splitlines()[5]
    return made


@pytest.fixture
def given(installation: Installation, pair: SealingPair) -> Iterator[None]:
    """The operator gives the agent the key."""
    give(installation, pair)
    yield
    installation.configure()


@pytest.fixture
def served(installation: Installation, tenant: Tenant) -> Iterator[None]:
    """The cluster serves SealedSecrets while the test runs, and the agent may get their key."""
    controlplane = installation.controlplane
    controlplane.apply(CRD)
    wait_until(lambda: controlplane.request("GET", path_of(tenant))[0] == 200, 60, "SealedSecret is served")
    yield
    installation.configure()
    tenant.retire()
    definition = controlplane.path(CRD)
    controlplane.delete(definition)
    wait_until(lambda: controlplane.request("GET", definition)[0] == 404, 60, "SealedSecret is gone")


def give(installation: Installation, pair: SealingPair) -> None:
    manifest: dict[str, Any] = {**pair.manifest, "metadata": {"name": pair.name, "namespace": "signet-system"}}
    installation.controlplane.apply(manifest)
    installation.configure(sealedSecrets={"keys": [{"secretName": pair.name}]})


def sealed(pair: SealingPair, tenant: Tenant, name: str, *flags: str, **data: str) -> str:
    return pair.seal(secret(name, **data), "--namespace", tenant.namespace, *flags)


def path_of(tenant: Tenant, name: str = "") -> str:
    return f"/apis/bitnami.com/v1alpha1/namespaces/{tenant.namespace}/sealedsecrets" + (f"/{name}" if name else "")


def test_the_agent_unseals_what_is_bound_to_its_application_s_namespace(
    installation: Installation, tenant: Tenant, pair: SealingPair, given: None
):
    before, after = installation.canary("sealed"), installation.canary("sealed")
    tenant.deploy(
        {
            "db.yaml": sealed(pair, tenant, "db", password=before),
            "wide.yaml": sealed(pair, tenant, "wide", "--scope", "namespace-wide", password=before),
            "web.yaml": deployment("web", env=USES_DB),
            "leaving.yaml": config_map("leaving", value="1"),
        }
    )
    assert tenant.secret("db") == {"password": before}
    assert tenant.secret("wide") == {"password": before}

    other = installation.tenant()
    moved = sealed(pair, tenant, "db", password=after).replace("name: db\n", "name: other\n", 1)
    stolen = sealed(pair, other, "stolen", password=after).replace(other.namespace, tenant.namespace)
    wide = sealed(pair, tenant, "cluster", "--scope", "cluster-wide", password=after)
    image = deployment("web", env=USES_DB).replace("app:1", "app:2")
    good = sealed(pair, tenant, "db", password=after)
    ciphertext = next(line for line in good.splitlines() if "password: A" in line)
    report = tenant.sync(
        {
            "db.yaml": good.replace(ciphertext, ciphertext[:-8]),
            "moved.yaml": moved,
            "stolen.yaml": stolen,
            "cluster.yaml": wide,
            "web.yaml": image,
            "leaving.yaml": None,
        }
    )

    for name, message in {
        "db": "was altered or cut off",
        "other": "no sealing key opens a value",
        "stolen": "no sealing key opens a value",
        "cluster": "cluster-wide values are not unsealed",
    }.items():
        failure = report.failure(object=f"Secret {tenant.namespace}/{name}", reason="SealedSecret")
        assert message in failure["message"]
        assert failure["hint"]
    assert tenant.secret("db") == {"password": before}
    assert [tenant.get("secrets", name) for name in ("other", "stolen", "cluster")] == [None, None, None]
    live = tenant.get("apps/deployments", "web") or {}
    assert live["spec"]["template"]["spec"]["containers"][0]["image"].endswith("app:1"), "no torn release"
    assert tenant.data("leaving") == {"value": "1"}

    assert tenant.sync({"db.yaml": good, "moved.yaml": None, "stolen.yaml": None, "cluster.yaml": None}).ready
    assert tenant.secret("db") == {"password": after}
    assert tenant.get("configmaps", "leaving") is None


def test_a_secret_outlives_the_change_from_its_controller_to_the_agent(
    installation: Installation, tenant: Tenant, pair: SealingPair, served: None
):
    controlplane, value = installation.controlplane, installation.canary("sealed")
    allow(tenant)
    tenant.deploy({"db.yaml": sealed(pair, tenant, "db", password=value)})
    live = controlplane.get(path_of(tenant, "db"))
    assert tenant.get("secrets", "db") is None, "without keys it is an object like any other"
    uid = as_the_controller(tenant, live, value)

    give(installation, pair)

    wait_until(lambda: controlplane.request("GET", path_of(tenant, "db"))[0] == 404, 60, "the SealedSecret is gone")
    kept = wait_until(lambda: without_owner(tenant.get("secrets", "db")), 60, "the Secret has no owner any more")
    assert kept["metadata"]["uid"] == uid, "it was never away"
    assert tenant.secret("db") == {"password": value}
    assert tenant.managed("secrets") == {"secrets/db"}


def allow(tenant: Tenant) -> None:
    rule = {"apiGroups": ["bitnami.com"], "resources": ["*"], "verbs": ["*"]}
    tenant.controlplane.grant(tenant.namespace, tenant.account, rule, name="sealed-secrets")


def as_the_controller(tenant: Tenant, live: dict[str, Any], value: str) -> str:
    """Make the Secret as the controller of sealed-secrets does; its uid."""
    owner = {
        "apiVersion": "bitnami.com/v1alpha1",
        "kind": "SealedSecret",
        "name": "db",
        "uid": live["metadata"]["uid"],
        "controller": True,
    }
    metadata = {"name": "db", "namespace": tenant.namespace, "ownerReferences": [owner]}
    manifest = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"password": value}}
    tenant.controlplane.apply(manifest)
    return tenant.get("secrets", "db")["metadata"]["uid"]


def without_owner(found: dict[str, Any] | None) -> dict[str, Any] | None:
    return found if found and not found["metadata"].get("ownerReferences") else None
