"""A Gitea, and an agent whose webhooks are set up as docs/operations.md says."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import documented
import pytest

from testbed.controlplane import ControlPlane
from testbed.gitea import Gitea
from testbed.installation import Installation, Tenant

if TYPE_CHECKING:
    from collections.abc import Generator

    from testbed.gitea import Hosted
    from testbed.gitserver import GitServer
    from testbed.installation import Report
    from testbed.openbao import OpenBao

_NUMBERS = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Shop:
    """An Application that follows a branch of a repository at the forge, and would not look again within the hour."""

    tenant: Tenant
    repository: Hosted
    webhooks: documented.Webhooks

    def push(self, value: str, branch: str = "main") -> str:
        """A commit that gives its ConfigMap this value; its hash."""
        metadata = {"name": self.repository.name}
        manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"value": value}}
        return self.repository.push({"settings.json": json.dumps(manifest)}, branch)

    def push_ref(self, what: str) -> None:
        """As `git push` takes it; returns when its webhooks were sent."""
        self.repository.push_ref(what)
        for _ in ("what was pushed", "its webhooks"):
            self.repository.forge.flush()

    def add_hook_for_all(self) -> int:
        """A webhook for creations and deletions too; its number."""
        secret = (self.webhooks.folder / "webhook-shop").read_text()
        url = f"http://127.0.0.1:{self.webhooks.port}/hooks/shop"
        return self.repository.hook(url, secret, "push", "create", "delete")

    def follow(self, branch: str) -> None:
        """Wait until the Application is Ready at what the branch has."""
        commit = self.push("1", branch)
        self.tenant.application.apply({"source": self.repository.source(branch), "interval": "1h"})
        self.until_applied(commit, "1")
        self.repository.forge.flush()

    def until_applied(self, commit: str, value: str) -> Report:
        report = self.tenant.until(
            lambda report: report.ready and f"@{commit[:12]}" in str(report.status.get("revision")), "applied"
        )
        assert self.value == value
        return report

    @property
    def value(self) -> str:
        """What the ConfigMap in the cluster has."""
        return self.tenant.data(self.repository.name)["value"]

    @property
    def releases(self) -> list[str]:
        """What started each, the newest first."""
        return [str(each["cause"]).partition(":")[0] for each in self.tenant.application.status()["history"]]  # type: ignore[attr-defined]


@pytest.fixture(scope="session")
def forge() -> Generator[Gitea]:
    with Gitea() as running:
        yield running


@pytest.fixture(scope="session")
def webhooks(installation: Installation, tmp_path_factory: pytest.TempPathFactory) -> documented.Webhooks:
    return documented.prepare(installation, tmp_path_factory.mktemp("steps"))


@pytest.fixture(scope="session")
def installation(gitserver: GitServer, openbao: OpenBao) -> Generator[Installation]:
    with ControlPlane() as controlplane, Installation(controlplane, gitserver, openbao) as prepared:
        prepared.prepare()
        yield prepared


@pytest.fixture(scope="session")
def agent(installation: Installation, webhooks: documented.Webhooks, forge: Gitea) -> Installation:
    """The same, with an agent that runs."""
    installation.configure(git={"allowedHosts": [forge.host], "allowHttp": True}, webhooks=webhooks.settings)
    installation.agent.start()
    return installation


@pytest.fixture
def shop(agent: Installation, webhooks: documented.Webhooks, forge: Gitea) -> Generator[Shop]:
    name = f"shop-{next(_NUMBERS)}"
    tenant = Tenant(agent, "shop", name)
    tenant.put_secret("forge", {"username": forge.username, "password": forge.password})
    yield Shop(tenant, forge.create(name), webhooks)
    tenant.retire()
