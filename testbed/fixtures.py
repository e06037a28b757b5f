"""Pytest fixtures: servers for the session, started when a test first asks; namespaces and repositories for one test."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import pytest

from testbed.controlplane import ControlPlane
from testbed.gitserver import GitServer
from testbed.openbao import OpenBao
from testbed.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Generator

    from testbed.repository import Repository


@pytest.fixture(scope="session")
def controlplane() -> Generator[ControlPlane]:
    """One Kubernetes control plane for the session."""
    with ControlPlane() as running:
        yield running


@pytest.fixture
def namespace(controlplane: ControlPlane) -> str:
    """A fresh namespace. It stays: to delete one takes a hundred requests, and takes them again and again where a finalizer is left."""
    name = f"test-{secrets.token_hex(4)}"
    controlplane.create_namespace(name)
    return name


@pytest.fixture(scope="session")
def openbao() -> Generator[OpenBao]:
    """One OpenBao for the session, without mounts."""
    with OpenBao() as running:
        yield running


@pytest.fixture(scope="session")
def registry() -> Generator[Registry]:
    """One registry over HTTPS for the session, which asks for a user name and a password."""
    with Registry() as running:
        yield running


@pytest.fixture(scope="session")
def gitserver() -> Generator[GitServer]:
    """One Git server over HTTPS for the session."""
    with GitServer() as running:
        yield running


@pytest.fixture
def repository(gitserver: GitServer) -> Repository:
    """A fresh repository without a commit."""
    return gitserver.create(f"test-{secrets.token_hex(4)}")
