"""The built image as a file: an OCI image layout in a tar archive, as `ctr images import`, `skopeo` and `docker load` take it."""

from __future__ import annotations

import json
import tarfile
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Layer:
    """`packed` is its size in bytes as a registry has it."""

    digest: str
    packed: int
    made_by: str


@dataclass(frozen=True, slots=True)
class Image:
    """One archive. `digest` is that of the manifest, by which a cluster pulls it; `config` what a container gets of it."""

    path: Path
    digest: str
    config: dict[str, Any]
    layers: tuple[Layer, ...]

    @classmethod
    def read(cls, path: Path) -> Image:
        with tarfile.open(path) as tar:
            index = json.loads(_blob(tar, "index.json"))
            digest: str = index["manifests"][0]["digest"]
            manifest = json.loads(_blob(tar, _place(digest)))
            config = json.loads(_blob(tar, _place(manifest["config"]["digest"])))
        made = [step.get("created_by", "") for step in config["history"] if not step.get("empty_layer")]
        layers = tuple(
            Layer(each["digest"], each["size"], by) for each, by in zip(manifest["layers"], made, strict=True)
        )
        return cls(path, digest, config["config"], layers)

    @property
    def packed(self) -> int:
        """Bytes that a node pulls."""
        return sum(layer.packed for layer in self.layers)

    def members(self, layer: Layer) -> Iterator[tuple[tarfile.TarInfo, bytes]]:
        """The entries of a layer, with the content of regular files."""
        with self._opened(layer) as content:
            for member in content:
                file = content.extractfile(member) if member.isreg() else None
                yield member, b"" if file is None else file.read()

    def unpack(self, folder: Path) -> None:
        """Its root file system. Needs root to keep owners."""
        folder.mkdir(exist_ok=True)
        folder.chmod(0o755)
        for layer in self.layers:
            with self._opened(layer) as content:
                # Python 3.11.2 has no filters, and needs none for an image of our own.
                content.extraction_filter = getattr(tarfile, "tar_filter", None)
                content.extractall(folder)  # noqa: S202

    @contextmanager
    def _opened(self, layer: Layer) -> Generator[tarfile.TarFile]:
        with tarfile.open(self.path) as tar:
            packed = tar.extractfile(_place(layer.digest))
            assert packed is not None
            with packed, tarfile.open(fileobj=packed, mode="r:gz") as content:
                yield content


def _place(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/')}"


def _blob(tar: tarfile.TarFile, name: str) -> bytes:
    file = tar.extractfile(name)
    assert file is not None
    return file.read()
