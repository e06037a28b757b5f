"""Pytest fixtures: servers for the session, started when a test first asks; namespaces and repositories for one test."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import pytest

from testbed.controlplane import ControlPlane

if TYPE_CHECKING:
    from collections.abc import Generator


@pytest.fixture(scope="session")
def controlplane() -> Generator[ControlPlane]:
    """One Kubernetes control plane for the session."""
    with ControlPlane() as running:
        yield running


@pytest.fixture
def namespace(controlplane: ControlPlane) -> Generator[str]:
    """A fresh namespace; its deletion is not awaited."""
    name = f"test-{secrets.token_hex(4)}"
    controlplane.create_namespace(name)
    yield name
    _ = controlplane.delete(f"/api/v1/namespaces/{name}")
