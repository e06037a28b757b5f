"""Encrypted files that cannot be trusted or opened: what they name is held, with what needs it, and the last version stays."""

from __future__ import annotations

from typing import TYPE_CHECKING

from manifests_written import config_map, deployment, secret

if TYPE_CHECKING:
    from testbed.installation import Installation, Tenant

USES_DB = [{"name": "P", "valueFrom": {"secretKeyRef": {"name": "db", "key": "password"}}}]


def test_a_file_that_was_altered_holds_its_object_and_the_workload_that_needs_it(
    installation: Installation, tenant: Tenant
):
    before, after = installation.canary("mac"), installation.canary("mac")
    tenant.deploy(
        {
            "db.yaml": tenant.seal(secret("db", password=before)),
            "web.yaml": deployment("web", env=USES_DB),
            "other.yaml": config_map("other", value="1"),
            "leaving.yaml": config_map("leaving", value="1"),
        }
    )
    assert tenant.secret("db") == {"password": before}

    sealed = tenant.seal(secret("db", password=after))
    image = deployment("web", env=USES_DB).replace("app:1", "app:2")
    report = tenant.sync(
        {
            "db.yaml": sealed.replace("metadata:\n", "metadata:\n    labels:\n        team: intruder\n"),
            "web.yaml": image,
            "other.yaml": config_map("other", value="2"),
            "leaving.yaml": None,
        }
    )

    failure = report.failure(file="db.yaml", reason="MacMismatch")
    assert failure["hint"]
    assert tenant.secret("db") == {"password": before}
    live = tenant.get("apps/deployments", "web") or {}
    assert live["spec"]["template"]["spec"]["containers"][0]["image"].endswith("app:1"), "no torn release"
    assert report.counts["held"] == 2
    assert tenant.data("other") == {"value": "2"}
    assert tenant.data("leaving") == {"value": "1"}

    assert tenant.sync({"db.yaml": sealed}).ready
    assert tenant.secret("db") == {"password": after}
    assert tenant.get("configmaps", "leaving") is None


def test_ciphertext_of_another_tenant_does_not_open(installation: Installation, tenant: Tenant):
    value = installation.canary("other-tenant")
    stolen = tenant.seal(secret("db", password=value))
    tenant.deploy({"db.yaml": stolen})
    thief = installation.tenant()
    thief.deploy({"other.yaml": config_map("other", value="1")})

    report = thief.sync({"stolen.yaml": stolen, "other.yaml": config_map("other", value="2")})

    failure = report.failure(file="stolen.yaml", reason="DataKey")
    assert failure["hint"]
    assert thief.get("secrets", "db") is None
    assert thief.data("other") == {"value": "2"}
    assert thief.sync({"stolen.yaml": None}).ready
    assert tenant.sync().ready
    assert tenant.secret("db") == {"password": value}


def test_files_that_only_a_transit_engine_opens_need_no_key_of_the_tenant(installation: Installation, tenant: Tenant):
    values = {name: installation.canary("transit") for name in ("one", "two", "three")}
    sealed = {f"{name}.yaml": tenant.seal_by_transit(secret(name, password=value)) for name, value in values.items()}

    tenant.deploy(sealed)

    assert {name: tenant.secret(name) for name in values} == {
        name: {"password": value} for name, value in values.items()
    }
    elsewhere = sealed["one.yaml"].replace(installation.openbao.url, "https://vault.example.com:8200")
    failure = tenant.sync({"one.yaml": elsewhere}).failure(file="one.yaml", reason="DataKey")
    assert "no configured store has this address" in failure["message"]
    assert tenant.secret("one") == {"password": values["one"]}


def test_a_missing_key_holds_what_it_opens_until_it_is_back(installation: Installation, tenant: Tenant):
    first, second = installation.canary("key"), installation.canary("key")
    tenant.deploy(
        {"db.yaml": tenant.seal(secret("db", password=first)), "other.yaml": config_map("other", value="1")},
        interval="10s",
    )
    key = tenant.get("secrets", "sops-age") or {}
    tenant.controlplane.delete(tenant.path("secrets", "sops-age"))

    report = tenant.sync(
        {"db.yaml": tenant.seal(secret("db", password=second)), "other.yaml": config_map("other", value="2")}
    )

    failure = report.failure(file="db.yaml")
    assert "sops-age" in failure["object"] + failure["message"]
    assert failure["hint"]
    assert tenant.secret("db") == {"password": first}
    assert tenant.data("other") == {"value": "2"}

    tenant.controlplane.apply({**key, "metadata": {"name": "sops-age", "namespace": tenant.namespace}})
    tenant.until_ready()
    assert tenant.secret("db") == {"password": second}
