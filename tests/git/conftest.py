"""A mirror folder, and sources and credentials for the testbed's Git server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from git_sources import make_source

from agent.adapters.git.mirrors import Mirrors
from agent.api.model import validate
from agent.api.operator import GitSettings, Limits
from agent.engine.credentials import GitCredential
from agent.values.fingerprint import Fingerprinter
from agent.values.secret import Secret

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from pathlib import Path

    from agent.api.sources import Source
    from agent.values.tree import Tree
    from testbed.gitserver import GitServer
    from testbed.repository import Repository


@pytest.fixture
def source(repository: Repository) -> Callable[..., Source]:
    """A source of the test's repository: `source(layers=[…], revision={"tag": "v1"}, url=…)`."""

    def build(**fields: object) -> Source:
        return make_source(str(fields.pop("url", repository.url)), **fields)

    return build


@pytest.fixture
def credential(gitserver: GitServer) -> GitCredential:
    return GitCredential(gitserver.username, Secret(gitserver.password, "test:password"), gitserver.ca_pem or "")


@pytest.fixture
def host(gitserver: GitServer) -> str:
    return gitserver.url.partition("://")[2]


@pytest.fixture
async def mirrors(make_mirrors: Callable[..., Mirrors]) -> Mirrors:
    return make_mirrors()


@pytest.fixture
async def make_mirrors(tmp_path: Path, host: str) -> AsyncGenerator[Callable[..., Mirrors]]:
    """Mirrors with other settings and limits, closed at the end: `make_mirrors(git={…}, limits={…})`."""
    made: list[Mirrors] = []

    def make(git: dict[str, Tree] | None = None, limits: dict[str, Tree] | None = None, packs: int = 40) -> Mirrors:
        settings = validate(GitSettings, {"allowedHosts": [host], "timeoutSeconds": 20, **(git or {})})
        fingerprinter = Fingerprinter.derive(Secret(b"k" * 32, "test:key"), "git")
        made.append(Mirrors(tmp_path / "mirrors", settings, validate(Limits, limits or {}), fingerprinter, packs=packs))
        return made[-1]

    yield make
    for one in made:
        await one.close()
