"""A base of another repository, fetched over HTTPS with its own credential: where the operator grants it, and its commit is on a branch."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from manifests_written import config_map

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testbed.installation import Installation, Tenant
    from testbed.repository import Repository


@pytest.fixture
def bases(installation: Installation) -> Iterator[Repository]:
    """A repository of bases; the operator's file is as before when the test ends."""
    yield installation.gitserver.create(f"bases-{secrets.token_hex(3)}")
    installation.configure()


def test_a_granted_base_is_fetched_at_a_commit_that_a_branch_contains(
    installation: Installation, tenant: Tenant, bases: Repository
) -> None:
    base = {"web/kustomization.yaml": "resources: [a.yaml]\n", "web/a.yaml": config_map("settings", value="1")}
    first = bases.commit(base)
    url = bases.url.removesuffix(".git")

    def overlay(commit: str) -> dict[str, str]:
        return {"prod/kustomization.yaml": f"resources: ['{url}//web?ref={commit}']\nnamePrefix: prod-\n"}

    tenant.commit(overlay(first))
    declared = [{"url": url, "credentials": {"secretName": "git"}}]
    tenant.configure(render={"kustomize": {"path": "prod", "remoteBases": declared}})
    assert "git.remoteBases" in tenant.until_failure(reason="RemoteBase")["hint"]
    paths = {each.path for each in installation.gitserver.requests}
    assert not [each for each in paths if bases.path.stem in each]

    installation.configure(git={"allowedHosts": [urlsplit(url).netloc], "remoteBases": [installation.gitserver.url]})
    tenant.until_ready()
    assert tenant.data("prod-settings") == {"value": "1"}

    changed = {"web/a.yaml": config_map("settings", value="2")}
    proposed = bases.commit(changed, branch="proposed", parent=first)
    bases.git("update-ref", "refs/pull/1/head", proposed)
    bases.delete_branch("proposed")
    report = tenant.sync(overlay(proposed))
    assert "no branch or tag" in report.failure(reason="Source")["message"]
    assert tenant.data("prod-settings") == {"value": "1"}

    bases.reset(proposed)
    tenant.sync()
    tenant.until_ready()
    assert tenant.data("prod-settings") == {"value": "2"}
