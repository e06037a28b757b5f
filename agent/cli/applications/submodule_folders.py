"""Submodules of a work tree that an Application follows, as they are checked out: what they hold there is what is shown.

Which are followed, and which are refused, is the engine's to say.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from agent.adapters.git import addresses
from agent.cli.applications import refusals, work_tree_index
from agent.cli.errors import ReadError
from agent.engine import several
from agent.engine.submodules import Following
from agent.manifests import submodules
from agent.manifests.documents import TreeEntry
from agent.values.ids import short

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from agent.api.application import ApplicationSpec
    from agent.api.operator import OperatorSettings
    from agent.api.sources import Source
    from agent.engine.context import Grants
    from agent.engine.several import Part
    from agent.engine.submodules import Followed


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


def of_sources(
    folder: Path,
    checkouts: Mapping[str, Path],
    spec: ApplicationSpec,
    granted: Grants,
    settings: OperatorSettings | None,
) -> dict[str, tuple[str, ...]]:
    """The folders of submodules, from that of the repository, by the name of their source; `checkouts` has the folders of further sources.

    Raises ReadError for one that is not checked out as it is pinned, and UnknownChangeError for what the agent refuses.
    """
    found: dict[str, tuple[str, ...]] = {}
    for name in spec.all_sources:
        with refusals.said():
            root, following = checkouts.get(name, folder), Following(spec, name, granted)
            found[name] = tuple(each.module.path for each in _checked_out(root, following, settings))
    return found


def _checked_out(folder: Path, following: Following, settings: OperatorSettings | None) -> Iterator[Followed]:
    waiting = following.first("")
    while waiting:
        outer = waiting.pop(0)
        root = folder / outer.module.path
        declared, known = root / submodules.FILE, work_tree_index.not_ignored(root) or ()
        if submodules.FILE.encode() not in known or declared.is_symlink() or not declared.is_file():
            continue
        pinned = work_tree_index.submodules(root)
        listing = {os.fsdecode(path): TreeEntry("", 0) for path in sorted(known) if path}
        listing |= {path: TreeEntry(commit, 0, "submodule") for path, commit in pinned.items()}
        for each in following.inner(outer, submodules.links(listing, declared.read_bytes(), outer.module.url)):
            if settings is not None:
                _ = addresses.check(each.module.url, settings.git)
            _check(folder / each.module.path, each.module.commit)
            waiting.append(each)
            yield each


def _check(folder: Path, pinned: str) -> None:
    """Raises ReadError where something else is checked out than the agent reads."""
    if not (folder / ".git").exists():
        raise ReadError(
            "a submodule is not checked out", hint="git submodule update --init --recursive", folder=str(folder)
        )
    found = work_tree_index.head(folder)
    if found != pinned:
        raise ReadError(
            "a submodule is checked out at another commit than its repository pins",
            hint="git submodule update --recursive, or git add it where the other commit is meant",
            folder=str(folder),
            pinned=short(pinned),
            found=short(found),
        )
