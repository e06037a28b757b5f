"""Submodules on real servers: over HTTPS with a credential of their own, over SSH with a deploy key, and within one another."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from manifests_written import config_map

from testbed.repository import Submodule
from testbed.sshserver import SshServer, host_key

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testbed.installation import Installation, Tenant
    from testbed.repository import Repository


@pytest.fixture(autouse=True)
def settings(installation: Installation) -> Iterator[None]:
    yield
    installation.configure()


@pytest.fixture
def lib(installation: Installation) -> Repository:
    return installation.gitserver.create(f"lib-{secrets.token_hex(3)}")


def gitmodules(path: str, url: str) -> str:
    return f'[submodule "{path}"]\n\tpath = {path}\n\turl = {url}\n\tupdate = !touch /tmp/owned\n'


def followed(tenant: Tenant, url: str, secret: str | None = "git") -> dict[str, object]:
    named = {"url": url, **({"credentials": {"secretName": secret}} if secret else {})}
    return {**tenant.source("."), "submodules": [named]}


def test_one_over_https_is_read_at_the_commit_that_is_pinned(tenant: Tenant, lib: Repository) -> None:
    first = lib.commit({"base/b.yaml": config_map("b", value="1")})
    second = lib.commit({"base/b.yaml": config_map("b", value="2")})
    name = lib.url.rpartition("/")[2]
    tenant.commit(
        {"a.yaml": config_map("a", value="1"), ".gitmodules": gitmodules("lib", f"../{name}"), "lib": Submodule(first)}
    )
    tenant.configure(source=followed(tenant, lib.url))
    report = tenant.until_ready()
    assert tenant.data("b") == {"value": "1"}
    assert f"lib {first[:12]}" in str(report.status["revision"])
    report = tenant.sync({"lib": Submodule(second)})
    assert tenant.data("b") == {"value": "2"}
    assert f"lib {second[:12]}" in str(report.status["revision"])

    report = tenant.sync({"lib": Submodule("ab" * 20)})
    failure = report.failure(reason="Source")
    assert "no branch or tag" in failure["message"]
    assert "submodule lib" in failure["message"]
    assert tenant.data("b") == {"value": "2"}


def test_the_credential_of_the_source_is_not_shown_to_it(tenant: Tenant, lib: Repository) -> None:
    sha = lib.commit({"b.yaml": config_map("b", value="1")})
    tenant.commit(
        {"a.yaml": config_map("a", value="1"), ".gitmodules": gitmodules("lib", lib.url), "lib": Submodule(sha)}
    )
    tenant.put_secret("authority", {"ca.crt": tenant.installation.gitserver.ca_pem or ""})
    tenant.configure(source=followed(tenant, lib.url, "authority"))
    failure = tenant.until_failure(reason="Source")
    assert "asks for a user name and a password" in failure["message"]
    assert f"credentials Secret {tenant.namespace}/authority" in failure["message"]
    name = f"/{lib.url.rpartition('/')[2]}/"
    assert {each.user for each in tenant.installation.gitserver.requests if each.path.startswith(name)} == {""}


def test_without_a_word_in_the_spec_it_is_not_followed(tenant: Tenant, lib: Repository) -> None:
    sha = lib.commit({"b.yaml": config_map("b", value="1")})
    tenant.commit(
        {"a.yaml": config_map("a", value="1"), ".gitmodules": gitmodules("lib", lib.url), "lib": Submodule(sha)}
    )
    tenant.configure()
    failure = tenant.until_failure(file="lib")
    assert "submodules are not followed" in failure["message"]
    assert "submodules of the source" in failure["hint"]


def test_one_over_ssh_has_its_deploy_key(installation: Installation, tenant: Tenant, lib: Repository) -> None:
    with SshServer() as server:
        hosts = [urlsplit(installation.gitserver.url).netloc, server.netloc]
        installation.configure(git={"allowedHosts": hosts})
        key = host_key()
        deep = server.create(f"deep-{secrets.token_hex(3)}", key)
        inner = deep.commit({"c.yaml": config_map("c", value="1")})
        outer = lib.commit(
            {
                "b.yaml": config_map("b", value="1"),
                ".gitmodules": gitmodules("deep", deep.url),
                "deep": Submodule(inner),
            }
        )
        text = key.export_private_key().decode()
        installation.canaries[f"deploy-key-{len(installation.canaries)}"] = text.splitlines()[3]
        tenant.put_secret("deploy-key", {"identity": text, "known_hosts": server.known_hosts})
        tenant.commit({".gitmodules": gitmodules("lib", lib.url), "lib": Submodule(outer)})
        source = followed(tenant, lib.url)
        named = {"url": deep.url, "credentials": {"secretName": "deploy-key"}}
        tenant.configure(source={**source, "submodules": [*source["submodules"], named]})  # pyright: ignore[reportGeneralTypeIssues]
        report = tenant.until_ready()
        assert tenant.data("b") == {"value": "1"}
        assert tenant.data("c") == {"value": "1"}
        assert f"lib/deep {inner[:12]}" in str(report.status["revision"])


def test_a_host_that_the_operator_does_not_allow(tenant: Tenant) -> None:
    url = "https://elsewhere.example.com/lib"
    tenant.commit(
        {"a.yaml": config_map("a", value="1"), ".gitmodules": gitmodules("lib", url), "lib": Submodule("ab" * 20)}
    )
    tenant.configure(source=followed(tenant, url, None))
    assert "does not allow this Git host" in tenant.until_failure(reason="Source")["message"]
