"""A folder without a kustomization.yaml, as Flux takes it: all manifests below it, and folders with a kustomization as what they are.

The rules are those of `fluxcd/pkg/kustomize` for what a generated kustomization lists, and of `fluxcd/pkg/sourceignore` for files that no
artifact of Flux has.
"""

from __future__ import annotations

import json
import posixpath
from typing import TYPE_CHECKING, Final

from agent.values.errors import UnsupportedManifestError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from agent.manifests.documents import TreeEntry
    from agent.values.tree import Object

NAMES: Final = ("kustomization.yaml", "kustomization.yml", "Kustomization")
"""Of a kustomization, as kustomize knows them."""
_SUFFIXES: Final = (".yaml", ".yml")
_IGNORED_FOLDERS: Final = frozenset({".git", ".github", ".circleci"})
_IGNORED_FILES: Final = frozenset(
    {
        *(".travis.yml", ".gitlab-ci.yml", "appveyor.yml", ".drone.yml", "cloudbuild.yaml"),
        *("codeship-services.yml", "codeship-steps.yml", ".goreleaser.yml", ".sops.yaml", ".flux.yaml"),
    }
)
_IGNORE: Final = ".sourceignore"


def resources(listing: Mapping[str, TreeEntry], folder: str) -> tuple[str, ...]:
    """Paths of files, and of folders with a kustomization, in the order in which a walk meets them. `folder` is `.` for the root.

    Raises UnsupportedManifestError where a `.sourceignore` would say what counts.
    """
    base = "" if folder == "." else f"{folder}/"
    below = [path for path in listing if path.startswith(base)]
    _check_ignored(listing, below, folder)
    kustomized = {posixpath.dirname(path) for path in below if posixpath.basename(path) in NAMES}
    tops: dict[str, str] = {}
    found = {_resource(path, base, kustomized, tops) for path in below if not _is_ignored(path)}
    return tuple(sorted(found - {""}, key=lambda path: path.split("/")))


def kustomization(resources: Iterable[str], folder: str) -> bytes:
    """The text that lists them. Raises UnsupportedManifestError for a name that no YAML has."""
    listed: Object = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [f"./{posixpath.relpath(f'/{path}', f'/{folder}')}" for path in resources],
    }
    try:
        return json.dumps(listed, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise UnsupportedManifestError(
            "a file of the folder has a name that is not UTF-8", hint="rename it", file=folder
        ) from None


def _resource(path: str, base: str, kustomized: set[str], tops: dict[str, str]) -> str:
    """What lists a file: itself, or the topmost folder with a kustomization that it is in. Empty for one that nothing lists.

    `tops` keeps that of each folder, so that each is looked at once.
    """
    folders: list[str] = []
    folder = posixpath.dirname(path)
    while len(folder) > len(base) - 1 and folder and folder not in tops:
        folders.append(folder)
        folder = posixpath.dirname(folder)
    top = tops.get(folder, "")
    for each in reversed(folders):
        top = tops[each] = top or (each if each in kustomized else "")
    if top:
        return top
    return path if posixpath.splitext(path)[1] in _SUFFIXES else ""


def _is_ignored(path: str) -> bool:
    *folders, name = path.split("/")
    return name in _IGNORED_FILES or not _IGNORED_FOLDERS.isdisjoint(folders)


def _check_ignored(listing: Mapping[str, TreeEntry], below: Iterable[str], folder: str) -> None:
    above = [_IGNORE] if folder == "." else [_IGNORE, *_above(folder)]
    for path in sorted({path for path in above if path in listing} | {path for path in below if _named(path)}):
        raise UnsupportedManifestError(
            "a .sourceignore says which files of the folder count, and is not read",
            hint="write a kustomization.yaml that lists them: kustomize create --autodetect --recursive does",
            file=path,
        )


def _above(folder: str) -> list[str]:
    steps = folder.split("/")
    return ["/".join([*steps[:count], _IGNORE]) for count in range(1, len(steps))]


def _named(path: str) -> bool:
    return posixpath.basename(path) == _IGNORE
