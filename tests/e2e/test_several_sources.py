"""An Application of two repositories on real servers: each with its own credential and key, an overlay across both, and a push to either."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import pytest
import runs_ended
from manifests_written import config_map

from testbed.processes import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testbed.installation import Installation, Tenant
    from testbed.repository import Repository


@pytest.fixture
def platform(tenant: Tenant) -> Repository:
    return tenant.installation.gitserver.create(f"platform-{secrets.token_hex(3)}")


@pytest.fixture(autouse=True)
def settings(installation: Installation) -> Iterator[None]:
    yield
    installation.configure()


def further(tenant: Tenant, platform: Repository, **more: object) -> dict[str, object]:
    where = {"name": "platform", "url": platform.url, "revision": {"branch": "main"}}
    return {**where, "credentials": {"secretName": "git"}, **more}


def test_layers_of_two_repositories_and_a_push_to_either(tenant: Tenant, platform: Repository):
    first = platform.commit({"base/a.yaml": config_map("a", value="base", more="base")})
    own = tenant.commit({"prod/a.yaml": config_map("a", value="prod")})
    spec = {"source": tenant.source("platform/base", "prod"), "sources": [further(tenant, platform)]}
    tenant.configure(**spec)
    report = tenant.until_ready()
    assert tenant.data("a") == {"value": "prod", "more": "base"}
    assert report.status["revision"] == f"main@{own[:12]}, platform main@{first[:12]}"

    second = platform.commit({"base/a.yaml": config_map("a", value="base", more="newer")})
    report = tenant.sync()
    assert tenant.data("a") == {"value": "prod", "more": "newer"}
    assert report.status["revision"] == f"main@{own[:12]}, platform main@{second[:12]}"
    tenant.sync({"prod/a.yaml": config_map("a", value="2")})
    assert tenant.data("a") == {"value": "2", "more": "newer"}


def test_a_repository_that_applications_share_is_asked_once(tenant: Tenant, platform: Repository):
    applications = [tenant.second(f"app-{number}") for number in range(4)]
    first = platform.commit({f"{number}/a.yaml": config_map(f"a-{number}", value="1") for number in range(4)})
    for number, each in enumerate(applications):
        each.commit({"own/b.yaml": config_map(f"b-{number}", value="1")})
        each.configure(source=each.source(f"platform/{number}", "own"), sources=[further(tenant, platform)])

    def all_at(commit: str, *those: Tenant) -> None:
        for each in those:
            each.until(
                lambda report: report.ready and f"platform main@{commit[:12]}" in str(report.status["checkedRevision"]),
                "at the commit",
            )

    all_at(first, *applications)
    since = runs_ended.at_rest(applications)
    requests = tenant.installation.gitserver.requests
    requests.clear()
    second = platform.commit({"2/a.yaml": config_map("a-2", value="2")})
    applications[0].request()
    all_at(second, applications[0], applications[2])
    runs_ended.wait_for_all(applications, since)
    assert tenant.data("a-2") == {"value": "2"}
    name = platform.url.rpartition("/")[2]
    assert len([each for each in requests if each.user and each.path == f"/{name}/info/refs"]) == 2


def test_an_overlay_names_a_base_of_the_other_repository_with_its_encrypted_secret(
    tenant: Tenant, platform: Repository
):
    value = tenant.installation.canary("several")
    manifest = f"apiVersion: v1\nkind: Secret\nmetadata: {{name: db}}\nstringData: {{password: '{value}'}}\n"
    platform.commit(
        {
            "base/kustomization.yaml": "resources: [a.yaml, db.yaml]\n",
            "base/a.yaml": config_map("a", value="base"),
            "base/db.yaml": tenant.seal(manifest),
        }
    )
    tenant.commit({"prod/kustomization.yaml": "resources: [../platform/base]\nnamePrefix: prod-\n"})
    source = tenant.source()
    tenant.configure(source=source, sources=[further(tenant, platform)], render={"kustomize": {"path": "prod"}})
    tenant.until_ready()
    assert tenant.data("prod-a") == {"value": "base"}
    assert tenant.secret("prod-db") == {"password": value}


def test_a_key_of_one_repository_opens_nothing_of_the_other(
    installation: Installation, tenant: Tenant, platform: Repository
):
    identity = tenant.create_key()
    key = installation.supervisor.folder / f"key-{secrets.token_hex(3)}"
    key.touch(mode=0o600)
    _ = key.write_text(identity)
    tenant.put_secret("sops-age", {})
    grant = {"path": str(key), "namespaces": [tenant.namespace], "repositories": [platform.url]}
    installation.configure(keys=[grant])
    value = installation.canary("granted")
    sealed = tenant.seal(f"apiVersion: v1\nkind: Secret\nmetadata: {{name: db}}\nstringData: {{password: '{value}'}}\n")
    platform.commit({"base/db.yaml": sealed})
    tenant.commit({"prod/copy.yaml": sealed.replace("name: db", "name: copy")})
    tenant.configure(
        source=tenant.source("platform/base", "prod"), sources=[further(tenant, platform)], decryption={"keys": []}
    )
    wait_until(lambda: tenant.get("secrets", "db") is not None, 60, "the Secret of the platform")
    tenant.until_failure(file="prod/copy.yaml", reason="DataKey")
    assert tenant.get("secrets", "copy") is None


def test_a_credential_is_shown_to_its_repository_alone(tenant: Tenant, platform: Repository):
    platform.commit({"base/a.yaml": config_map("a", value="base")})
    tenant.commit({"prod/b.yaml": config_map("b", value="1")})
    anonymous = {name: part for name, part in further(tenant, platform).items() if name != "credentials"}
    tenant.configure(source=tenant.source("platform/base", "prod"), sources=[anonymous])
    assert "source platform" in tenant.until_failure(reason="Source")["message"]
