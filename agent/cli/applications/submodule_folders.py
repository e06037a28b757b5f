"""Submodules of a work tree that an Application follows, as they are checked out: what they hold there is what is shown."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Literal

from agent.cli.errors import ReadError
from agent.engine import several
from agent.manifests import submodules
from agent.manifests.documents import TreeEntry

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from pathlib import Path

    from agent.api.sources import Source
    from agent.engine.several import Part


def parts(sources: Mapping[str, Source], layers: Sequence[str], modules: Mapping[str, Sequence[str]]) -> list[Part]:
    """The layers, each of the repository whose files it has. `modules` are the folders of submodules by the name of their source."""
    found = several.parts(sources, layers)
    return [piece for part in found for piece in part.of(modules.get(part.name, ()))]


def roots(folder: Path, checkouts: Mapping[str, Path], modules: Mapping[str, Sequence[str]]) -> dict[str, Path]:
    """The folders of all repositories, by what the paths of their files begin with."""
    found = {"": folder, **{f"{name}/": checkout for name, checkout in checkouts.items()}}
    for name, paths in modules.items():
        prefix = f"{name}/" if name else ""
        found |= {f"{prefix}{path}/": found[prefix] / path for path in paths}
    return found


def find(folder: Path, source: Source, committed: Callable[[Path], Collection[bytes] | None]) -> tuple[str, ...]:
    """Their folders, from that of the repository. `committed` gives the paths below a folder that Git knows.

    Raises SourceError, and ReadError for one that is not checked out.
    """
    found: list[str] = []
    waiting = [("", source.address)] if source.submodules else []
    while waiting:
        within, address = waiting.pop(0)
        root = folder / within if within else folder
        declared, known = root / submodules.FILE, committed(root)
        if not known or declared.is_symlink() or not declared.is_file():
            continue
        paths = [os.fsdecode(path) for path in known if path]
        listing = {path: TreeEntry("", 0, _kind(root, path)) for path in paths}
        for link in submodules.links(listing, declared.read_bytes(), address):
            if source.submodule(link.url) is None:
                continue
            path = f"{within}/{link.path}" if within else link.path
            if not (folder / path / ".git").exists():
                raise ReadError(
                    "a submodule is not checked out", hint="git submodule update --init --recursive", folder=path
                )
            found.append(path)
            if len(found) <= submodules.MOST:
                waiting.append((path, link.url))
    return tuple(found)


def _kind(root: Path, path: str) -> Literal["file", "submodule"]:
    """What Git knows by its path and is a folder is a submodule."""
    where = root / path
    return "submodule" if where.is_dir() and where.resolve() == root.resolve() / path else "file"
