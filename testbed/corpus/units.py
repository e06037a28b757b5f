"""The units of a checkout: what a Flux Kustomization or an Argo CD Application deploys, and every kustomization that no other one names."""

from __future__ import annotations

import os
import posixpath
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, cast

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    Tree = dict[str, Any]

MOST_FILES: Final = 50_000
"""Files that are looked at."""
_LARGEST: Final = 2 * 1024 * 1024
_ROOTS: Final = ("kustomization.yaml", "kustomization.yml", "Kustomization")
_FLUX: Final = "kustomize.toolkit.fluxcd.io/"
_EXTENSIONS: Final = "source.extensions.fluxcd.io/"
_ARGO: Final = "argoproj.io/"
_STORE: Final = "vault://stand-in/kv"
"""A Secret that only the cluster has is a store for the renderer: its values are sealed."""
_CLEAR: Final = "stand-in.example.com"


@dataclass(frozen=True, slots=True)
class Unit:
    """`kind` is who names it. Without `kustomize` the folder's manifests are applied as they are. `refused` is why it is not tried."""

    kind: Literal["flux", "argo", "kustomization"]
    name: str
    path: str
    kustomize: Mapping[str, object] | None = None
    variables: Mapping[str, str] | None = None
    refused: str = ""


@dataclass(slots=True)
class Checkout:
    """What the files say. `unread` counts files that look like one of ours and are no YAML.

    `flux` has the folder of each file. `copied` are the folders of an archive that Flux makes, and where in the checkout they are from.
    """

    folders: set[str] = field(default_factory=set[str])
    charts: set[str] = field(default_factory=set[str])
    kustomizations: dict[str, Tree] = field(default_factory=dict[str, "Tree"])
    flux: list[tuple[str, Tree]] = field(default_factory=list["tuple[str, Tree]"])
    argo: list[Tree] = field(default_factory=list["Tree"])
    copied: dict[tuple[str, str], list[tuple[str, str]]] = field(
        default_factory=dict["tuple[str, str]", "list[tuple[str, str]]"]
    )
    values: dict[tuple[str, str], Tree] = field(default_factory=dict[tuple[str, str], "Tree"])
    unread: Counter[str] = field(default_factory=Counter[str])


def find(folder: Path, *, clear: bool = False) -> tuple[list[Unit], Checkout]:
    """The units by path. `clear`: variables from Secrets are in the clear, as those are that the operator lets an Application disclose."""
    checkout = _read(folder)
    units = [*_flux_units(checkout, clear=clear), *_argo_units(checkout)]
    deployed = {unit.path for unit in units}
    units += [Unit("kustomization", path or ".", path, {"path": path or "."}) for path in _tops(checkout, deployed)]
    return sorted(units, key=lambda unit: (unit.path, unit.kind, unit.name)), checkout


def _read(folder: Path) -> Checkout:
    found = Checkout()
    for path in _files(folder):
        name, text = path.name, ""
        below = "" if path.parent == folder else path.parent.relative_to(folder).as_posix()
        found.folders.update(_above(below))
        if name == "Chart.yaml":
            found.charts.add(below)
        if path.suffix in {".yaml", ".yml"} or name in _ROOTS:
            text = path.read_bytes().decode("utf-8", "replace") if path.stat().st_size <= _LARGEST else ""
        wanted = name in _ROOTS or any(
            each in text for each in (_FLUX, _EXTENSIONS, _ARGO, "kind: ConfigMap", "kind: Secret")
        )
        if text and wanted:
            _take(found, path, below, text)
    return found


def _files(folder: Path) -> Iterator[Path]:
    count = 0
    for where, folders, names in os.walk(folder):
        folders[:] = sorted(each for each in folders if each != ".git")
        for name in sorted(names):
            count += 1
            path = type(folder)(where) / name
            if count <= MOST_FILES and not path.is_symlink():
                yield path


def _above(below: str) -> Iterator[str]:
    while below:
        yield below
        below = posixpath.dirname(below)
    yield ""


def _take(found: Checkout, path: Path, below: str, text: str) -> None:
    try:
        documents = list(yaml.load_all(text, Loader=yaml.CSafeLoader))  # it is the safe one
    except (yaml.YAMLError, ValueError, RecursionError):
        found.unread["a kustomization" if path.name in _ROOTS else "another file"] += 1
        return
    for document in documents:
        if not isinstance(document, dict):
            continue
        tree = cast("Tree", document)
        version, kind = str(tree.get("apiVersion", "")), tree.get("kind")
        if path.name in _ROOTS and kind != "Component" and not version.startswith(_FLUX):
            found.kustomizations[below] = tree
        elif version.startswith(_FLUX) and kind == "Kustomization":
            found.flux.append((below, tree))
        elif version.startswith(_EXTENSIONS) and kind == "ArtifactGenerator":
            found.copied |= {(below, name): copies for name, copies in _copies(tree)}
        elif version.startswith(_ARGO) and kind == "Application":
            found.argo.append(tree)
        elif version == "v1" and kind in {"ConfigMap", "Secret"}:
            found.values[str(kind), _name(tree)] = tree


def _flux_units(checkout: Checkout, *, clear: bool) -> Iterator[Unit]:
    for folder, tree in checkout.flux:
        spec = _map(tree, "spec")
        path = _folder(checkout, folder, spec)
        if path not in checkout.folders:
            yield Unit("flux", _name(tree), path, refused="no such folder in this checkout")
            continue
        metadata = _map(spec, "commonMetadata")
        kustomize: Tree = {
            "path": path or ".",
            "generate": path not in checkout.kustomizations,
            "namespace": spec.get("targetNamespace"),
            "namePrefix": spec.get("namePrefix", ""),
            "nameSuffix": spec.get("nameSuffix", ""),
            "components": [posixpath.normpath(posixpath.join(path, str(each))) for each in _list(spec, "components")],
            "images": _list(spec, "images"),
            "patches": _list(spec, "patches"),
            "labels": _map(metadata, "labels"),
            "commonAnnotations": _map(metadata, "annotations"),
        }
        after = spec.get("postBuild")
        variables = _variables(checkout, cast("Tree", after), clear=clear) if isinstance(after, dict) else None
        yield Unit("flux", _name(tree), path, kustomize, variables)


def _copies(tree: Tree) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """The archives of an ArtifactGenerator: which folder of the repository each of their folders is."""
    for each in _maps(_map(tree, "spec"), "artifacts"):
        copies = [(str(one.get("to", "")), str(one.get("from", ""))) for one in _maps(each, "copy")]
        yield (
            str(each.get("name", "")),
            [(_in(to), _in(taken.removesuffix("**"))) for to, taken in copies if taken.endswith("/**")],
        )


def _in(path: str) -> str:
    """The path below an alias: `@repository/apps/` is `apps`."""
    return path.partition("/")[2].strip("/")


def _folder(checkout: Checkout, folder: str, spec: Tree) -> str:
    """The folder of the checkout that a Kustomization in a file of `folder` deploys."""
    path = posixpath.normpath(str(spec.get("path") or ".").lstrip("/"))
    source = _map(spec, "sourceRef")
    copies = (
        checkout.copied.get((folder, str(source.get("name", "")))) if source.get("kind") == "ExternalArtifact" else None
    )
    for to, taken in sorted(copies or (), reverse=True):
        if not to or f"{path}/".startswith(f"{to}/"):
            path = posixpath.normpath(posixpath.join(taken, posixpath.relpath(path, to or ".")))
            break
    return "" if path == "." else path


def _variables(checkout: Checkout, after: Tree, *, clear: bool) -> dict[str, str]:
    found: dict[str, str] = {}
    for each in _maps(after, "substituteFrom"):
        kind, name = str(each.get("kind")), str(each.get("name"))
        tree = checkout.values.get((kind, name), {})
        values = {**_map(tree, "data"), **_map(tree, "stringData")}
        if kind == "ConfigMap":
            found |= {key: str(value) for key, value in values.items()}
        else:
            found |= {key: _CLEAR if clear else f"{_STORE}/{name}#{key}" for key in values}
    return {**found, **{key: _text(value) for key, value in _map(after, "substitute").items()}}


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _argo_units(checkout: Checkout) -> Iterator[Unit]:
    for tree in checkout.argo:
        spec = _map(tree, "spec")
        for source in [_map(spec, "source"), *_maps(spec, "sources")]:
            path = posixpath.normpath(str(source.get("path") or "").strip("/"))
            if not source.get("path") or path not in checkout.folders:
                continue
            if path in checkout.charts:
                yield Unit("argo", _name(tree), path, refused="a Helm chart")
                continue
            given = _map(source, "kustomize")
            same = ("namePrefix", "nameSuffix", "commonAnnotations", "patches", "namespace")
            kustomize = {"path": path, **{name: given[name] for name in same if given.get(name)}}
            kustomize["images"] = [_image(str(each)) for each in _list(given, "images")]
            kustomize["components"] = [
                posixpath.normpath(posixpath.join(path, str(each))) for each in _list(given, "components")
            ]
            unread = sorted({*given} - {*same, "images", "components", "version"})
            refused = f"kustomize.{unread[0]} of an Application is not translated" if unread else ""
            renders = path in checkout.kustomizations
            yield Unit("argo", _name(tree), path, kustomize if renders else None, refused=refused)


def _image(text: str) -> Tree:
    """`name=new:tag`, `name:tag`, `name@digest`, as `kustomize edit set image` takes them."""
    name, has_new, rest = text.partition("=")
    place, _, digest = (rest if has_new else name).partition("@")
    host, slash, last = place.rpartition("/")
    base, _, tag = last.partition(":")
    new = f"{host}{slash}{base}"
    found = {"name": name if has_new else new, "newName": new if has_new else "", "newTag": tag, "digest": digest}
    return {key: value for key, value in found.items() if value}


def _tops(checkout: Checkout, deployed: set[str]) -> Iterator[str]:
    named: set[str] = set()
    for path, tree in checkout.kustomizations.items():
        for key in ("resources", "bases", "components"):
            for each in _list(tree, key):
                named.add(posixpath.normpath(posixpath.join(path, str(each))).removeprefix("./"))
    for path in checkout.kustomizations:
        generated = any(each in deployed and each not in checkout.kustomizations for each in _above(path))
        if path not in named and path not in deployed and not generated:
            yield path


def _map(tree: Mapping[str, Any], key: str) -> Tree:
    found = tree.get(key)
    return cast("Tree", found) if isinstance(found, dict) else {}


def _list(tree: Mapping[str, Any], key: str) -> list[Any]:
    found = tree.get(key)
    return cast("list[Any]", found) if isinstance(found, list) else []


def _maps(tree: Mapping[str, Any], key: str) -> list[Tree]:
    return [cast("Tree", each) for each in _list(tree, key) if isinstance(each, dict)]


def _name(tree: Tree) -> str:
    return str(_map(tree, "metadata").get("name", ""))
