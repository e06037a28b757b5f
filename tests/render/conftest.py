"""signet-render and kustomize, both built into the testbed's cache, and what each makes of the same files."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest
from tight import HURRIED, TIGHT

from agent.adapters.render.pool import Renderers
from agent.adapters.render.process import Helper
from agent.yaml.read import manifests
from render import build
from testbed import binaries

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping
    from pathlib import Path


@pytest.fixture(scope="session")
def program() -> Path:
    return build.built()


@pytest.fixture
async def renderers(program: Path) -> AsyncGenerator[Renderers]:
    running = Renderers(program)
    yield running
    await running.close()


@pytest.fixture(params=["seccomp", "code"])
async def confined(program: Path, request: pytest.FixtureRequest) -> AsyncGenerator[Helper]:
    """One process, with the kernel's filter and with the code's own refusals alone."""
    helper = await Helper.start(program, TIGHT, f"-seccomp={str(request.param == 'seccomp').lower()}")
    assert helper.confined == request.param
    yield helper
    await helper.end()


@pytest.fixture
async def hurried(program: Path) -> AsyncGenerator[Helper]:
    helper = await Helper.start(program, HURRIED)
    yield helper
    await helper.end()


@pytest.fixture
def cli(tmp_path: Path) -> Callable[[Mapping[str, str | bytes], str], list[object] | None]:
    """The documents of `kustomize build`, in its order; None where it refuses."""
    kustomize = binaries.path("kustomize")

    def build(files: Mapping[str, str | bytes], path: str) -> list[object] | None:
        root = tmp_path / os.urandom(6).hex()
        for name, content in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(content.encode() if isinstance(content, str) else content)
        done = subprocess.run(
            [kustomize, "build", "--load-restrictor=LoadRestrictionsNone", root / path],
            capture_output=True,
            check=False,
            env={"PATH": ""},
        )
        if done.returncode:
            return None
        return [each.tree for each in manifests.parse(done.stdout, file="kustomize", strict=False)]

    return build
