"""Two real nodes with the agent in pods, for all tests of the folder: `make test-node` runs them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from image import build
from testbed.gitserver import GitServer
from testbed.node.installation import PodInstallation
from testbed.node.nodes import Nodes
from testbed.node.plan import SERVERS
from testbed.openbao import OpenBao

if TYPE_CHECKING:
    from collections.abc import Generator

    from testbed.installation import Tenant


@pytest.fixture(scope="session")
def nodes() -> Generator[Nodes]:
    with Nodes([build.archive()]) as running:
        yield running


@pytest.fixture(scope="session")
def installation(nodes: Nodes) -> Generator[PodInstallation]:
    with (
        GitServer(host=SERVERS) as gitserver,
        OpenBao(tls=True, host=SERVERS) as openbao,
        PodInstallation(nodes, gitserver, openbao) as running,
    ):
        running.start()
        yield running


@pytest.fixture
def tenant(installation: PodInstallation) -> Generator[Tenant]:
    """In a namespace that runs restricted pods alone. Its Application is taken away at the end, and its pods with its namespace."""
    made = installation.tenant()
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    path = f"/api/v1/namespaces/{made.namespace}"
    _ = installation.controlplane.merge(path, {"metadata": {"labels": labels}})
    yield made
    made.retire()
    _ = installation.controlplane.delete(path)
