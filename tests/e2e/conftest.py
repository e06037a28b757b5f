"""One agent for all end-to-end tests, each of which has tenants of its own; the last test inspects what the agent emitted."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from testbed.controlplane import ControlPlane
from testbed.installation import Installation

if TYPE_CHECKING:
    from collections.abc import Generator

    from testbed.gitserver import GitServer
    from testbed.installation import Tenant
    from testbed.openbao import OpenBao

FOLDER = Path(__file__).parent


@pytest.fixture(scope="session")
def installation(gitserver: GitServer, openbao: OpenBao) -> Generator[Installation]:
    """A control plane of its own, so that everything found there is the agent's doing, and faults disturb no other test."""
    with ControlPlane() as controlplane, Installation(controlplane, gitserver, openbao) as running:
        running.start()
        yield running


@pytest.fixture
def tenant(installation: Installation) -> Generator[Tenant]:
    """Its Applications, and those of other tenants that the test makes, are taken away at the end: each costs at every start."""
    if not installation.agent.running:
        installation.agent.start()  # a test before this one failed
    yield installation.tenant()
    for each in installation.tenants:
        each.retire()
    installation.tenants.clear()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What inspects everything that was emitted comes after everything that emits, in one process: `make test` runs two."""
    here = [index for index, item in enumerate(items) if item.path.parent == FOLDER]
    mine = sorted((items[index] for index in here), key=lambda item: item.path.name == "test_no_secret_leaves.py")
    for index, item in zip(here, mine, strict=True):
        items[index] = item
