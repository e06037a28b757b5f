"""The image, built once for the session, and a copy of its root. These tests need root, Linux and the network."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING, Protocol

import pytest

from image.build import Choices, build
from testbed.container import USER, command

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from image.archive import Image


class Run(Protocol):
    def __call__(
        self, *words: str, mounts: Mapping[str, Path] | None = None, **environment: str
    ) -> subprocess.CompletedProcess[str]: ...


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    assert os.geteuid() == 0, "tests of the image need root: they enter its root file system as another user"
    return build(Choices(output=tmp_path_factory.mktemp("image")))


@pytest.fixture(scope="session")
def root(image: Image, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unpacked") / "root"
    image.unpack(folder)
    return folder


@pytest.fixture
def run(image: Image, root: Path, tmp_path: Path) -> Run:
    """Runs words in the image, with an empty folder of its user at /run/signet."""
    home = tmp_path / "home"
    home.mkdir()
    os.chown(home, USER, USER)

    def run(
        *words: str, mounts: Mapping[str, Path] | None = None, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        places = {"/run/signet": home, **(mounts or {})}
        full = command(
            root, image.config, list(words), mounts=places, environment={"HOME": "/run/signet", **environment}
        )
        return subprocess.run(full, capture_output=True, text=True, check=False, timeout=60)

    return run
